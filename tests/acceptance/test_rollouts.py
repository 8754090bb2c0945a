"""`inspector rollouts` as a user runs it: killed and gone on with, interrupted, mapped, summed up."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from inspector.cli import main
from tests.acceptance.command import ROOT, begun, inspector
from tests.base_model.chat_server import ChatServer, Fault
from tests.base_model.tiny_model import saved_base
from tests.trainer.rollout_rows import jsonl, undated
from trainer.rollouts.schema import digest, read_rollouts

PROMPTS, K = 30, 3
SUMS = "--out", "r.jsonl", "--task", "arithmetic-train"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command in this process: what a process of its own adds is tested below."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    capsys.readouterr()

    def go(*arguments):
        code = main.run(lambda: main.cli.main(["rollouts", *map(str, arguments)], standalone_mode=False))
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return go


def started(place, *arguments):
    return begun("inspector", "rollouts", *arguments, cwd=place)


def rows_of(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def waited(process, path, rows):
    while process.poll() is None and rows_of(path) < rows:
        time.sleep(0.005)


def test_killed_and_gone_on_with_equals_uninterrupted(tmp_path, run):
    """kill -9 in the middle of a local run, the last line cut too: the same rollouts, each (group, k) once."""
    base = saved_base(tmp_path / "base")
    command = ["--task", "arithmetic-train", "--limit", PROMPTS, "--k", K, "--teacher", base, "--device", "cpu"]
    command += ["--max-new-tokens", "24", "--batch", "4"]
    assert run(*command, "--out", "whole.jsonl").code == 0
    cut = tmp_path / "cut.jsonl"
    process = started(tmp_path, *command, "--out", cut)
    waited(process, cut, 30)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    with cut.open("rb+") as file:
        file.truncate(cut.stat().st_size - 30)
    before = rows_of(cut)
    assert 29 <= before < PROMPTS * K
    done = run(*command, "--out", cut)
    assert f"{before} of {PROMPTS * K} are in {cut} already." in done.err
    found, whole = read_rollouts(cut), read_rollouts("whole.jsonl")
    assert Counter((r.group_id, r.k) for r in found) == Counter((r.group_id, r.k) for r in whole)
    assert set(Counter((r.group_id, r.k) for r in found).values()) == {1}
    assert undated(found) == undated(whole)
    assert digest(found) == digest(whole)
    assert {r.teacher for r in found} == {"base, 1 shot"}
    assert str(tmp_path) not in (tmp_path / "whole.jsonl").read_text()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_resumed(tmp_path, run, sent):
    with ChatServer(("big",), lambda *_: "\\boxed{2}") as chat:
        chat.faults = [Fault(pause=0.1, times=999)]
        command = ["--task", "arithmetic-train", "--limit", "10", "--server", chat.url, "--concurrency", "2"]
        out = tmp_path / "r.parquet"
        process = started(tmp_path, *command, "--out", out.name)
        waited(process, tmp_path / "r.parquet.partial.jsonl", 5)
        process.send_signal(sent)
        said = process.communicate(timeout=120)[1].decode()
        assert process.returncode == 130, said
        assert "rollouts in r.parquet.partial.jsonl: the same command goes on from there." in said
        assert said.endswith("Interrupted.\n")
        assert not out.exists()
        before = rows_of(tmp_path / "r.parquet.partial.jsonl")
        chat.faults.clear()
        chat.asked.clear()
        assert run(*command, "--out", "r.parquet").code == 0
        assert len(chat.asked) == 40 - before
        assert len(read_rollouts(out)) == 40


def test_faults_of_a_server_lose_nothing(run):
    """429 with a time to wait, 500, an answer cut in the middle: 20 completions all the same."""
    with ChatServer(("big",), lambda *_: "\\boxed{2}") as chat:
        chat.faults = [Fault(429, times=2, headers={"Retry-After": "0.1"}), Fault(500), Fault(cut=True)]
        done = run("--task", "arithmetic-train", "--limit", "5", "--server", chat.url, "--out", "r.jsonl")
        assert done.code == 0, done.err
        assert len(chat.asked) == 24
    assert "20 of 5 prompts, 4 each from arithmetic-train" in done.out
    assert "5 prompts of arithmetic-train, 4 each from big, 1 shot: temperature 1, top-p 1, at most 128" in done.err
    assert "20 of 20 (100 %)" in done.err
    assert "\x1b" not in done.out + done.err
    assert run("r.jsonl", "--summary").out == done.out


def test_rollouts_of_others(tmp_path, run):
    theirs = {
        "problem": "1 + 1?",
        "generations": ["\\boxed{2}", "3"],
        "correctness_math_verify": [True, False],
        "answer": "2",
    }
    jsonl(tmp_path / "theirs.jsonl", [theirs, theirs | {"problem": "And?"}])
    done = run("--from", "theirs.jsonl", "--map", "open-r1", "--out", "ours.parquet")
    assert (done.code, done.err) == (0, "4 rollouts of theirs.jsonl written to ours.parquet.\n")
    assert "mixed groups  2 (100.0 %)" in done.out
    assert [r.reward for r in read_rollouts("ours.parquet")] == [1, 0, 1, 0]
    assert "exists already" in run("--from", "theirs.jsonl", "--map", "open-r1", "--out", "ours.parquet").err
    bad = run("--from", "theirs.jsonl", "--map", "verl", "--out", "bad.jsonl")
    assert (bad.code, "theirs.jsonl, row 1: no column 'prompt'" in bad.err) == (2, True)
    assert not (tmp_path / "bad.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Name what to write with --out"),
        (("--out", "r.jsonl"), "Name the prompts with --task"),
        (("--out", "r.jsonl", "--task", "arithmetic-train"), "No teacher"),
        (("--out", "r.csv", "--task", "arithmetic-train", "--teacher", "x"), "must end in .jsonl or .parquet"),
        (("r.jsonl",), "Sum it up with --summary"),
        (("r.jsonl", "--summary"), "Cannot read r.jsonl: No such file"),
        (("r.jsonl", "--summary", "--task", "x"), "r.jsonl stands alone"),
        (("--out", "r.jsonl", "--from", "x.jsonl", "--task", "x"), "leave out one of them"),
        (("--out", "r.jsonl", "--from", "x.jsonl"), "names no prompt and no completion"),
        (("--out", "r.jsonl", "--map", "verl"), "or others' rollouts with --from"),
        (("--out", "r.jsonl", "--from", "x.jsonl", "--map", "verl", "--k", "4"), "--k says how to sample, and --from"),
        (("r.jsonl", "--summary", "--seed", "42"), "--seed says how rollouts are made, and r.jsonl has them"),
        ((*SUMS, "--teacher", "smollm2", "--body", ""), "--body is for a --server: leave it out, or name one."),
        ((*SUMS, "--teacher", "smollm2", "--per-minute", "0"), "--per-minute is for a --server"),
        ((*SUMS, "--server", "http://127.0.0.1:9", "--batch", "0"), "--batch is for a teacher that runs here"),
        (("--out", "r.jsonl", "--k", "0"), "--k"),
        (("--out", "r.jsonl", "--task", "arithmetic-train", "--server", "http://127.0.0.1:9"), "cannot be reached"),
    ],
)
def test_bad_input_is_one_clear_sentence(run, arguments, says):
    done = run(*arguments)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err


def test_help_is_light_and_a_server_needs_no_torch(tmp_path):
    code = (
        "import sys; from inspector.cli.main import cli\n"
        "try: cli.main(sys.argv[1:], standalone_mode=False)\n"
        "finally: assert not {'torch', 'transformers', 'trl'} & set(sys.modules)"
    )
    with ChatServer(("big",), lambda *_: "\\boxed{2}") as chat:
        sampling = ["rollouts", "--task", "arithmetic-train", "--limit", "2", "--server", chat.url, "--out", "r.jsonl"]
        for arguments in (["--help"], ["rollouts", "--help"], sampling, ["rollouts", "r.jsonl", "--summary"]):
            done = subprocess.run(
                [sys.executable, "-c", code, *arguments], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert "rollouts" in done.stdout
    assert "rollouts" in inspector("--help").stdout
