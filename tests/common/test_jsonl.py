"""JSON from users' files, and from what this program itself left in its folders: nothing in it ends a command oddly."""

import json

import pytest

from inspector.common import jsonl
from inspector.common.cache import cache_folder
from inspector.common.errors import InspectorError
from inspector.common.jsonl import json_rows
from inspector.probes.request import speeds
from inspector.study.provenance import UNKNOWN, origin_of
from inspector.tasks.problems import _problems, _rows
from inspector.tui import session
from trainer.rollouts.row_file import RowFile
from trainer.rollouts.schema import read_rollouts
from trainer.rollouts.teachers import _fields
from trainer.runs.log import read_log
from trainer.saving import outcome

DEEP = "[" * 100_000
ODD = [DEEP, "5", '{"a": 1e999}', f'{{"step": {"9" * 10_000}}}', "\udcff", "{", '{"recipe": 5}']


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def read(path):
    """Also arrays, as some datasets of the Hub are."""
    return _problems(_rows(path), path, completions=False)


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
@pytest.mark.parametrize(
    "text", [DEEP, f"[{DEEP}", f'{{"question": {DEEP}', "5", '"x"', "\udcff", f'{{"a": {"9" * 9999}']
)
def test_problems(folder, suffix, text):
    with pytest.raises(InspectorError, match=f"odd{suffix}") as caught:
        read(write(folder / f"odd{suffix}", text))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
@pytest.mark.parametrize("answer", ["1e999", "NaN", "-Infinity", "9" * 400])
def test_what_is_no_number_is_no_answer_and_elsewhere_no_matter(folder, suffix, answer):
    """Python and pandas write NaN for what is missing."""
    row = f'{{"question": "1 + 1 = ?", "answer": %s, "other": {answer}}}'
    text = f"[{row}]" if suffix == ".json" else row
    assert read(write(folder / f"a{suffix}", text % "2"))[0].answer == "2"
    with pytest.raises(InspectorError, match="row 1: no answer in its columns"):
        read(write(folder / f"b{suffix}", text % answer))


def test_a_line_too_long_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(jsonl, "LARGEST", 50)
    monkeypatch.setattr("inspector.common.foreign.LARGEST", 50)
    path = write(folder / "long.jsonl", json.dumps({"a": 1}) + "\n" + json.dumps({"a": "x" * 60}) + "\n")
    with pytest.raises(InspectorError, match=r"long\.jsonl, row 2: no JSON of at most"):
        list(json_rows(path))


@pytest.mark.parametrize("reward", ["1e999", "NaN", "9" * 400, DEEP])
def test_rollouts(folder, reward):
    path = write(folder / "r.jsonl", f'{{"prompt": "1", "completion": "2", "reward": {reward}}}\n')
    with pytest.raises(InspectorError, match=r"r\.jsonl, row 1: "):
        read_rollouts(path)


def test_a_count_that_no_file_can_hold(folder):
    row = {"prompt": "1", "completion": "2", "reward": 1}
    path = write(folder / "r.jsonl", json.dumps(row) + "\n")
    full = read_rollouts(path)[0].to_row() | {"seed": 2**63}
    with pytest.raises(InspectorError, match="seed is no whole number"):
        read_rollouts(write(path, json.dumps(full) + "\n"))


@pytest.mark.parametrize("text", ODD)
def test_what_this_program_left_in_its_folders(folder, text):
    write(folder / "run" / "run.json", text)
    assert origin_of(folder / "run", "x") == UNKNOWN
    with pytest.raises(InspectorError, match=r"run\.json"):
        outcome.read(folder / "run")
    assert isinstance(read_log(write(folder / "log.jsonl", text)), list)
    write(session.path(), text)
    assert session.read() == session.Session()
    write(cache_folder("speed") / "speeds.json", text)
    assert set(speeds()) <= {"recipe"}
    with pytest.raises(InspectorError, match=r"rows\.jsonl, row 1"):
        RowFile(write(folder / "rows.jsonl", f"{text}\n"))


@pytest.mark.parametrize("text", [DEEP, '{"top_k": 1e999}', '{"top_p": NaN}', "5"])
def test_fields_of_a_request(text):
    with pytest.raises(InspectorError, match="--body"):
        _fields(text)
