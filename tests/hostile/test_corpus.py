"""Every hostile case through the commands: the right exit code, one clear sentence, right numbers, no harm done."""

import json
import re
from pathlib import Path

import pytest

from inspector.common.text import plain
from tests.acceptance.command import FEW, ROOT, begun, inspector
from tests.hostile import valid
from tests.hostile.case import ESCAPES
from tests.hostile.make import CASES, folder_of, make
from tests.hostile.pickle_cases import RAN

pytestmark = pytest.mark.slow

MEMORY = 100 * 2**20


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The corpus' folder, and case name -> its path and how `analyze` and `check` ended on it."""
    root = tmp_path_factory.mktemp("corpus")
    warm = ["analyze", str(valid.peft(root / "warm"))]
    valid.model(root / "base", extra=ESCAPES)
    paths = {case.name: make(case, root) for case in CASES}
    commands = [command for case in CASES for command in _commands(case, paths[case.name], root)]
    halves = commands[::2], commands[1::2]  # a core each
    running = [_started([warm, *half], root / f"{half[0][0]}.json") for half in halves]
    ends = [_ended(process, half) for process, half in zip(running, halves, strict=True)]
    pairs = zip(CASES, zip(*ends, strict=True), strict=True)
    return root, {case.name: (paths[case.name], *end) for case, end in pairs}


def _commands(case, path, root):
    """`analyze`, with what it measured written to a file where the number counts; and `check`."""
    options = [option.format(base=root / "base") for option in case.options]
    out = [] if case.norm is None else ["--metric", "norm", "--out", str(root / f"{folder_of(case)}.json")]
    yield ["analyze", *options, *out, str(path)]
    yield ["check", *options, "--tensors", str(path)]


def _started(commands, file):
    file.write_text(json.dumps(commands))
    return begun("tests.hostile.run", file, known=FEW)


def _ended(process, commands):
    out, err = (text.decode() for text in process.communicate())
    ends = [json.loads(line) for line in out.splitlines()]
    at = len(ends)
    assert at == len(commands), f"it died ({process.returncode}) of {commands[at]}: {err[-2000:]}"
    return ends


def size(path: Path) -> int:
    """Bytes of the files of a case."""
    folder = path if path.is_dir() else path.parent
    return sum(p.stat().st_size for p in folder.iterdir() if p.is_file())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_commands_end_well(case, results):
    path, analyze, check = results[1][case.name]
    told = " ".join((analyze["err"] + analyze["out"] + check["out"]).split())
    assert analyze["code"] == case.code, told
    of_study = path.suffix in {".json", ".parquet"}  # no adapter to check
    assert check["code"] in ((2,) if of_study else {0: (0, 1), 2: (1, 2), 3: (1, 3)}[case.code]), told
    assert re.search(case.says, told), told
    for end in analyze, check:
        assert all(c.isprintable() or c == "\n" for c in end["out"] + end["err"]), repr(end)
        assert not re.search("Traceback|Unexpected|report the", end["out"] + end["err"]), end["err"]
        assert end["grown"] < MEMORY + 10 * size(path)
    if case.code == 2:
        error = analyze["err"].splitlines()[-1]
        assert error.startswith("Error: ")
        assert plain(path, 400) in error
        assert analyze["out"] == ""


@pytest.mark.parametrize("case", [case for case in CASES if case.norm is not None], ids=lambda case: case.name)
def test_the_number_is_right(case, results):
    table = json.loads((results[0] / f"{folder_of(case)}.json").read_text())["table"]
    norms = [v for s, v in zip(table["scope"], table["value"], strict=True) if s == "global"]
    assert norms == [pytest.approx(case.norm, rel=1e-6)]


def test_there_are_enough():
    assert len(CASES) >= 90
    assert len({case.name for case in CASES}) == len(CASES)


def test_no_code_of_a_file_was_run(results):
    assert results[0].is_dir()
    assert not list(results[0].rglob(RAN))
    assert not (ROOT / RAN).exists()


END_TO_END = (
    "weights: a name of escapes and markup",
    "place: weights a pipe",
    "pickle: os.system",
    "config: alpha_pattern of 20,000 regexes",
    "factors: a rank far above all",
)


@pytest.mark.parametrize("name", END_TO_END)
def test_as_a_user_runs_it(name, tmp_path):
    (case,) = (case for case in CASES if case.name == name)
    done = inspector(*case.options, make(case, tmp_path))
    assert done.returncode == case.code, done.stderr
    assert "Traceback" not in done.stderr
    assert all(c.isprintable() or c == "\n" for c in done.stdout + done.stderr)
    assert not list(tmp_path.rglob(RAN))
