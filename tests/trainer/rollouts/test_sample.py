"""A run goes on from what is there: each (group, k) once, whatever happened in between."""

import json
from collections import Counter
from pathlib import Path

import pytest

from inspector.base_model.generation import Hooks
from inspector.common.errors import CancelledError, InspectorError
from inspector.tasks.grading import Grader, correct
from tests.base_model.chat_server import ChatServer, Fault
from tests.base_model.test_servers import die_after
from tests.trainer.rollout_rows import jsonl, rollout, undated
from trainer.rollouts.row_file import RowFile
from trainer.rollouts.sample import Options, sample, working_file
from trainer.rollouts.schema import read_rollouts

SIZE = 5


def solver(_model, question):
    n = int(question.split()[0])
    return f"it is \\boxed{{{n + 1 if n % 2 else -1}}}" if n != 2 else "I do not know."


@pytest.fixture
def chat(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer(("big",), solver) as server:
        yield server


class InProcess(Grader):
    """The same grading without a second process to start."""

    def grade(self, answer, gold):
        return correct(answer, gold)


@pytest.fixture
def run(tmp_path, chat, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trainer.rollouts.sample.Grader", InProcess)
    jsonl(tmp_path / "sums.jsonl", [{"question": f"{n} + 1 = ?", "answer": f"{n + 1}"} for n in range(SIZE)])

    def go(out="r.jsonl", task="sums.jsonl", **more):
        return sample(Options(**{"task": task, "out": Path(out), "k": 3, "server": (chat.url,)} | more))

    return go


def places(path="r.jsonl"):
    return Counter((r.source_index, r.k) for r in read_rollouts(path))


EVERY = Counter((n, k) for n in range(SIZE) for k in range(3))


def test_of_two_servers_one_dies(run, chat, capsys):
    with ChatServer(("big",), solver) as other:
        die_after(other, 4)
        assert run(server=(chat.url, other.url), concurrency=2) == 0
    assert places() == EVERY
    assert len(other.asked) >= 5
    assert "left out" in capsys.readouterr().err


def test_rows(run, chat):
    assert run() == 0
    rows = read_rollouts("r.jsonl")
    assert places() == EVERY
    assert [r.reward for r in rows[::3]] == [0, 1, 0, 1, 0]
    assert [r.reward_status for r in rows[::3]] == ["ok", "ok", "unparsable_answer", "ok", "ok"]
    assert [r.answer_parsed for r in rows[::3]] == ["-1", "2", "", "4", "-1"]
    one = rows[3]
    assert (one.teacher, one.temperature, one.top_p, one.max_tokens, one.source) == (
        "big",
        1.0,
        1.0,
        4096,
        "sums.jsonl",
    )
    assert (one.problem, one.solution, one.finish_reason, one.split) == ("1 + 1 = ?", "2", "stop", "train")
    assert one.prompt == ({"role": "user", "content": "1 + 1 = ? Put the final answer in \\boxed{}."},)
    assert one.completion_tokens == len(one.text)
    assert len({r.seed for r in rows}) == len({r.id for r in rows}) == 15
    assert len({r.group_id for r in rows}) == SIZE


def test_the_worked_example_is_shown_and_not_stored(run, chat):
    chat.reply = lambda *_: "\\boxed{2}"
    assert run(task="arithmetic-train", limit=2) == 0
    assert {len(body["messages"]) for body in chat.asked} == {3}
    rows = read_rollouts("r.jsonl")
    assert {len(r.prompt) for r in rows} == {1}
    assert {(r.teacher, r.max_tokens) for r in rows} == {("big, 1 shot", 128)}
    assert run(out="bare.jsonl", task="arithmetic-train", limit=2, shots=0) == 0
    assert len(chat.asked[-1]["messages"]) == 1
    with pytest.raises(InspectorError, match=r"has 0 worked examples: --shots 1 is too many"):
        run(out="other.jsonl", shots=1)


def test_nothing_is_asked_twice(run, chat):
    run()
    before = Path("r.jsonl").read_bytes()
    chat.asked.clear()
    assert run() == 0
    assert not chat.asked
    assert Path("r.jsonl").read_bytes() == before
    assert run(k=4) == 0
    assert len(chat.asked) == SIZE
    assert Path("r.jsonl").read_bytes().startswith(before)


@pytest.mark.parametrize("cut", [1, 40])
def test_a_cut_line_is_drawn_again(run, chat, cut):
    run()
    whole = undated(read_rollouts("r.jsonl"))
    with Path("r.jsonl").open("rb+") as file:
        file.truncate(Path("r.jsonl").stat().st_size - cut)
    chat.asked.clear()
    assert run() == 0
    assert len(chat.asked) == 1
    assert undated(read_rollouts("r.jsonl")) == whole


def test_a_first_line_that_was_cut(run):
    Path("r.jsonl").write_text('{"schema_version": 1, "id": "ab')
    assert run() == 0
    assert places() == EVERY


def test_an_interrupted_run_keeps_what_came(run, chat, monkeypatch, capsys):
    """After seven requests, in the place of a signal."""

    def hooks(_cancelled, note, *more):
        return Hooks(lambda: len(chat.asked) >= 7, note, *more)

    with monkeypatch.context() as patched:
        patched.setattr("trainer.rollouts.sample.Hooks", hooks)
        with pytest.raises(CancelledError):
            run(concurrency=1)
    kept = places()
    assert 5 <= len(kept) <= 7
    assert f"{len(kept)} rollouts in r.jsonl: the same command goes on from there." in capsys.readouterr().err
    chat.asked.clear()
    assert run() == 0
    assert len(chat.asked) == 15 - len(kept)
    assert places() == EVERY


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"temperature": 0.5},
            r"big at temperature 1, .*; this run is big at temperature 0.5, top-p 1, at most 4096 tokens",
        ),
        ({"max_new_tokens": 9}, "at most 9 tokens: repeat those settings"),
        ({"seed": 1}, "holds rollouts of another seed, other worked examples"),
        ({"body": '{"top_k": 1}'}, "or another --body: repeat those settings, or name another file by --out"),
    ],
)
def test_other_settings_are_not_mixed_in(run, chat, more, said):
    run()
    chat.asked.clear()
    with pytest.raises(InspectorError, match=said):
        run(**more)
    assert not chat.asked
    assert places() == EVERY


def test_fewer_prompts_and_other_tasks_are_fine(run, chat):
    run()
    assert run(limit=2) == 0
    chat.reply = lambda *_: "\\boxed{2}"
    assert run(task="arithmetic-train", limit=2, shots=0, max_new_tokens=4096) == 0
    assert len(read_rollouts("r.jsonl")) == 21


def test_parquet_grows_too(run, chat):
    assert run(out="r.parquet", limit=2) == 0
    assert places("r.parquet") == Counter({place: 1 for place in EVERY if place[0] < 2})
    chat.asked.clear()
    assert run(out="r.parquet") == 0
    assert len(chat.asked) == 9
    assert places("r.parquet") == EVERY
    assert sorted(p.name for p in Path().iterdir()) == ["r.parquet", "sums.jsonl"]
    assert run() == 0
    assert undated(read_rollouts("r.parquet")) == undated(read_rollouts("r.jsonl"))


def test_a_parquet_run_that_was_killed_goes_on_from_the_working_file(run, chat):
    assert run(limit=2) == 0
    assert working_file(Path("r.JSONL")) == Path("r.JSONL")
    Path("r.jsonl").rename(working_file(Path("r.parquet")))
    chat.asked.clear()
    assert run(out="r.parquet") == 0
    assert len(chat.asked) == 9
    assert places("r.parquet") == EVERY


def test_what_the_server_refuses_is_missing_and_said(run, chat, capsys):
    chat.faults = [Fault(400, where="3 + 1", times=2)]
    assert run() == 3
    assert "2 rollouts missing: run the same command again" in capsys.readouterr().err
    assert run() == 0
    assert places() == EVERY


def test_a_server_that_fails_for_good_loses_nothing(run, chat, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(chat, "fault", lambda _question: Fault(400 if len(chat.asked) > 6 else 0))
        with pytest.raises(InspectorError, match="fails again and again: it answers 400"):
            run(concurrency=1)
    assert len(read_rollouts("r.jsonl")) == 6
    assert run() == 0
    assert places() == EVERY


def test_files_that_are_something_else(run, chat):
    for text, said in {
        "notes\n": "row 1: no JSON", '{"prompt": "x", "completion": "y", "reward": 1}\n': "row 1: not written by",
        "my notes": "row 1: not written by", json.dumps(rollout(k=-0.5).to_row()) + "\n": "row 1: k is no whole number",
    }.items():  # fmt: skip
        Path("r.jsonl").write_text(text)
        with pytest.raises(InspectorError, match=said):
            run()
        assert Path("r.jsonl").read_text() == text
    for out, said in {"r.csv": "must end in .jsonl or .parquet", "no/r.jsonl": "there is no folder no"}.items():
        with pytest.raises(InspectorError, match=said):
            run(out=out)
    assert not chat.asked


def test_two_at_once_are_refused(run):
    with RowFile(Path("r.jsonl")), pytest.raises(InspectorError, match=r"Another process is writing r\.jsonl"):
        run()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"server": ()}, "No teacher: name one with --teacher"),
        ({"server": (), "teacher": "no/such/folder/here"}, "no/such/folder/here"),
        ({"task": "gsm9k"}, "No problems 'gsm9k'"),
        ({"teacher": "huge"}, "serves no model 'huge', but big"),
    ],
)
def test_bad_input(run, more, said):
    with pytest.raises(InspectorError, match=said):
        run(**more)
