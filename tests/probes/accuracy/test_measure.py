"""Whole evaluations: by hand, on a stand-in for a model, on a tiny model, and killed in the middle."""

import json
import math
import signal
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from inspector.adapters.opening import identity, open_sources
from inspector.adapters.options import ReadOptions
from inspector.analysis.analyse import analyse
from inspector.base_model.attach import attach
from inspector.base_model.base import Base, base_weights
from inspector.base_model.generation import Answer, generate
from inspector.common.errors import CancelledError, InspectorError
from inspector.probes.accuracy.engines import Local
from inspector.probes.accuracy.measure import Watch, _Speed, evaluate
from inspector.probes.accuracy.records import Record, Run
from inspector.probes.accuracy.solved import Results
from inspector.study.probe_results import merged
from inspector.study.study import ProbeInfo, Settings
from inspector.tasks.grading import correct
from inspector.tasks.problems import Problem, Problems, token_limit
from inspector.workflows.evaluate import Options
from inspector.workflows.evaluate import evaluate as evaluate_sources
from tests.acceptance.command import begun
from tests.base_model.tiny_model import saved_adapter, saved_base, tiny_model, tiny_tokenizer
from tests.makers import write_random

N = math.nan


class Fake:
    """An engine that answers from a function of (model, question), and lists what it was asked."""

    base = "tiny"

    def __init__(self, reply):
        self.reply, self.asked, self.stop_at = reply, [], None

    def run(self, task, name, digest):
        return Run(task, "base", digest, "fake")

    def info(self):
        return ProbeInfo("accuracy", "tiny")

    def prompts(self, problems):
        return [None if p.question == "too long" else p.question for p in problems.problems]

    def answers(self, name, prompts, hooks):
        for index, question in enumerate(prompts):
            if self.stop_at is not None and len(self.asked) >= self.stop_at:
                raise CancelledError
            self.asked.append((name, question))
            reply = self.reply(name, question)
            if reply is not None:
                yield Answer(index, reply, 3, "stop")


class Here:
    """Grades in this process: a second one takes a second to start."""

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def grade(self, answer, gold):
        return correct(answer, gold)


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr("inspector.probes.accuracy.measure.Grader", Here)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    found, failures = open_sources([f"{name}={write_random(folder / name, n)}" for n, name in enumerate("ab")])
    assert not failures
    return found


def task(count, name="sums"):
    return Problems(name, tuple(Problem(f"p{n}", f"{n} + 1 = ?", str(n + 1)) for n in range(count)))


def solver(name, question):
    """The base is always wrong, a right on even numbers, b always."""
    n = int(question.split()[0])
    right = {None: False, "a": n % 2 == 0, "b": True}[name]
    return f"\\boxed{{{n + 1 if right else 0}}}"


def ran(engine, adapters, problems, folder, **watch):
    return evaluate(engine, adapters, problems, folder, Watch(**watch), with_base=True)


def lines(folder):
    """(file, key) of every record on disk."""
    return [
        (path.name, json.loads(line)["key"])
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()[1:]
    ]


def test_the_longest_answer_is_what_a_task_needs():
    tasks = ("arithmetic", "aime24", "aime25", "aime26", "gsm8k", "sums.jsonl")
    assert [token_limit(task) for task in tasks] == [128, 16_384, 16_384, 16_384, 512, 512]


@pytest.mark.parametrize(
    ("base", "adapter", "complete"), [(None, "12", True), ("12", "12", True), ("1", "12", False), ("12", "2", False)]
)
def test_complete_is_with_every_answer_of_every_model(base, adapter, complete):
    def of(keys):
        return {
            key: Record(key, key, correct=True, status="ok", parsed="", completion="", tokens=1, finish="stop")
            for key in keys
        }

    made = None if base is None else of(base)
    assert Results(ProbeInfo("accuracy", "b"), ("a",), ("1", "2"), made, (of(adapter),)).complete == complete


def test_every_model_is_asked_every_problem_once_and_never_again(adapters, tmp_path, here):
    engine, seen = Fake(solver), []
    results = ran(engine, adapters, task(6), tmp_path, progress=lambda *at: seen.append(at))
    assert engine.asked == [(m, p.question) for m in (None, "a", "b") for p in task(6).problems]
    assert results.complete
    found = results.blocks()
    np.testing.assert_allclose(found["accuracy", "global"], [[0.5], [1.0]])
    assert found["accuracy_base", "global"] == [0.0]
    assert found["mcnemar_wins", "global"][1, 0, 0] == 3
    assert seen[-1][1:] == (18, 18)
    again = Fake(solver)
    same = ran(again, adapters, task(6), tmp_path)
    assert not again.asked
    assert same == results
    heads = [json.loads(path.read_text().partition("\n")[0])["model"] for path in tmp_path.glob("*.jsonl")]
    assert sorted(heads) == ["a", "b", "tiny"]


def test_partial_results_come_once_a_second_and_speeds_four_times(adapters, tmp_path, here, monkeypatch):
    now, parts = [100.0], []
    monkeypatch.setattr("inspector.probes.accuracy.measure.time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(name, question):
        now[0] += 0.3
        return solver(name, question)

    ran(Fake(slow), adapters, task(6), tmp_path, partial=parts.append)
    assert [len(r.base) + sum(map(len, r.adapters)) for r in parts] == [4, 8, 12, 16, 18]
    speed = _Speed()
    assert speed.text == ""
    found = []
    for later in (0.2, 0.06, 0.01, 0.3):
        now[0] += later
        found.append(speed.due())
    assert found == [False, True, False, True]
    assert speed.text == "", "none yet"
    at_once = _Speed()
    at_once.add(3)
    assert at_once.text == "", "in no time"
    speed.add(20)
    speed.add(37)
    assert speed.text == ", 100 tokens/s"


def test_tokens_of_an_answer_that_is_not_done_show_as_speed(adapters, tmp_path, here, monkeypatch):
    """20 tokens every 0.2 s: told from a quarter of a second on, and then not before the next one."""
    now, told = [100.0], []
    monkeypatch.setattr("inspector.probes.accuracy.measure.time", SimpleNamespace(monotonic=lambda: now[0]))

    class Stepping(Fake):
        def answers(self, name, prompts, hooks):
            for _ in range(4):
                now[0] += 0.2
                hooks.step(20)
            yield from super().answers(name, prompts, hooks)

    ran(
        Stepping(solver), adapters[:1], task(1), tmp_path, progress=lambda text, done, _total: told.append((done, text))
    )
    assert [text for done, text in told if not done] == [
        "tiny: 0 of 1", "tiny: 0 of 1, 100 tokens/s", "tiny: 0 of 1, 100 tokens/s",
    ]  # fmt: skip


def test_a_larger_limit_asks_only_what_is_new(adapters, tmp_path, here):
    ran(Fake(solver), adapters, task(3), tmp_path)
    engine, notes = Fake(solver), []
    assert ran(engine, adapters, task(5), tmp_path, note=notes.append).complete
    assert notes == ["9 of 15 answers are in the records already"]
    assert {question for _, question in engine.asked} == {"3 + 1 = ?", "4 + 1 = ?"}
    changed = Problems("sums", (replace(task(1).problems[0], answer="2"),))
    engine = Fake(solver)
    ran(engine, adapters, changed, tmp_path)
    assert len(engine.asked) == 3  # another gold answer is another problem


def test_cancelled_keeps_what_was_done_and_goes_on(adapters, tmp_path, here):
    engine, got = Fake(solver), []
    engine.stop_at = 8
    with pytest.raises(CancelledError):
        ran(engine, adapters, task(6), tmp_path, partial=got.append)
    assert len(lines(tmp_path)) == 8
    assert [len(records) for records in (got[-1].base, *got[-1].adapters)] == [6, 2, 0]
    rest = Fake(solver)
    results = ran(rest, adapters, task(6), tmp_path)
    assert sorted(engine.asked + rest.asked, key=str) == sorted(
        ((m, p.question) for m in (None, "a", "b") for p in task(6).problems), key=str
    )
    assert results.complete
    assert len(set(lines(tmp_path))) == len(lines(tmp_path)) == 18


def test_what_fails_is_named_and_the_rest_goes_on(adapters, tmp_path, here):
    def reply(name, question):
        if name == "a":
            raise InspectorError("The server is gone.")
        return None if (name, question[0]) == ("b", "4") else solver(name, question)

    notes = []
    results = ran(Fake(reply), adapters, task(5), tmp_path, note=notes.append)
    assert results.failures == {
        "a": "The server is gone.",
        "b": "b has no answer to 1 problem: run again to ask once more.",
    }
    assert not results.complete
    assert [len(records) for records in results.adapters] == [0, 4]
    assert ran(Fake(solver), adapters, task(5), tmp_path).complete


def test_nothing_at_all_is_an_error(adapters, tmp_path, here):
    def gone(_name, _question):
        raise InspectorError("The server is gone.")

    with pytest.raises(InspectorError, match="The server is gone"):
        ran(Fake(gone), adapters, task(2), tmp_path)
    base_alone = ran(Fake(lambda name, question: solver(name, question) if name is None else gone(name, question)),
                     adapters, task(2), tmp_path / "base")  # fmt: skip
    assert set(base_alone.failures) == {"a", "b"}
    assert len(base_alone.base) == 2


def test_a_base_that_fails_is_named_as_it_is_shown(adapters, tmp_path, here):
    def reply(name, question):
        if name is None:
            raise InspectorError("Out of memory.")
        return solver(name, question)

    engine = Fake(reply)
    assert ran(engine, adapters, task(2), tmp_path).failures == {engine.base: "Out of memory."}


def test_problems_that_do_not_fit_are_left_out_and_said(adapters, tmp_path, here):
    problems = Problems("long", (*task(2).problems, Problem("x", "too long", "1")))
    results = ran(Fake(solver), adapters, problems, tmp_path)
    assert results.info.examples == 2
    assert results.info.note == "left out 1 problem: longer than the base's context"
    with pytest.raises(InspectorError, match="No problem of long fits"):
        ran(Fake(solver), adapters, Problems("long", problems.problems[2:]), tmp_path)


def test_the_same_adapter_under_two_names_is_asked_once(tmp_path, here):
    folder = write_random(tmp_path / "same")
    found, _ = open_sources([f"one={folder}", f"two={folder}"])
    engine = Fake(lambda _name, _question: "1")
    told = []
    results = ran(engine, found, task(4), tmp_path / "records", progress=lambda *report: told.append(report[1:]))
    assert len(engine.asked) == 8
    assert told[-1] == (12, 12)
    assert sorted({done for done, _ in told}) == [0, 1, 2, 3, 4, 6, 8, 10, 12], "an answer of the two counts twice"
    assert results.adapters[0] == results.adapters[1]
    assert results.complete


def test_identity_knows_weights_and_scale(tmp_path):
    folders = [write_random(tmp_path / "x"), write_random(tmp_path / "y"), write_random(tmp_path / "z", alpha=17)]
    found, _ = open_sources([str(folder) for folder in folders])
    x, y, z = map(identity, found)
    assert x == y
    assert x != z


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(attached, adapters): the model in memory, two adapters from disk on it."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = tiny_tokenizer()
    base = Base(tiny_model(tokenizer), tokenizer, "tiny", "d" * 64, "cpu", "float32")
    found, failures = open_sources([f"{n}={saved_adapter(folder / n, seed)}" for seed, n in enumerate("ab", 1)])
    assert not failures
    return attach(base, found), found


@pytest.mark.parametrize("batch", [1, 4])
def test_an_evaluation_is_attach_generate_grade(tiny, tmp_path, here, batch):
    """Against the parts by hand; golds are what the base says, so that it is right by construction."""
    attached, adapters = tiny
    base = attached.base
    chat = "Question: {0} {0} Put the final answer in \\boxed{{}}.\n\nAnswer:"
    prompts = [base.tokenizer(chat.format(n))["input_ids"] for n in range(5)]
    said = {}
    for name in (None, "a", "b"):
        attached.use(name)
        made = generate(base.model, base.tokenizer, prompts, 12, 5, "\n\nQuestion:")
        said[name] = [answer.text for answer in sorted(made, key=lambda a: a.index)]
    assert said[None] != said["a"] != said["b"]
    golds = [correct(text, "1").parsed or "1" for text in said[None]]
    problems = Problems("echo", tuple(Problem(str(n), f"{n} {n}", gold) for n, gold in enumerate(golds)))
    partial = []
    watch = Watch(partial=partial.append)
    results = evaluate(Local(attached, 12, batch), adapters, problems, tmp_path, watch, with_base=True)
    info, found = results.info, results.blocks()
    for name, value in zip(
        (None, "a", "b"), (*found["accuracy_base", "global"], *found["accuracy", "global"][:, 0]), strict=True
    ):
        right = [correct(text, gold).correct for text, gold in zip(said[name], golds, strict=True)]
        assert value == pytest.approx(np.mean(right))
    assert found["accuracy_base", "global"][0] > found["accuracy", "global"][0, 0]
    assert (info.base, info.examples, info.detail) == ("tiny", 5, "greedy, at most 12 new tokens")
    assert partial[-1].info == info
    study = merged(analyse(adapters, Settings(device="cpu")), info, found)
    assert study.block("accuracy", "global").shape == (2, 1)


def test_cancelled_within_an_answer(tiny, tmp_path, here):
    attached, adapters = tiny
    problems = Problems("echo", tuple(Problem(str(n), f"{n} ?", "1") for n in range(6)))
    given = Local(attached, 30, 2), adapters, problems, tmp_path
    polls = iter(range(10_000))
    with pytest.raises(CancelledError):
        evaluate(*given, Watch(cancelled=lambda: next(polls) > 40), with_base=True)
    kept = len(lines(tmp_path))
    assert 0 < kept < 18
    assert evaluate(*given, Watch(), with_base=True).info.examples == 6
    assert len(set(lines(tmp_path))) == len(lines(tmp_path)) == 18


def test_killed_in_the_middle_and_resumed(tmp_path, capsys):
    """`kill -9` on the real command, then again: the same answers as without it, each problem once."""
    base = saved_base(tmp_path / "base")
    sources = [f"{n}={saved_adapter(tmp_path / n, seed)}" for seed, n in enumerate("ab", 1)]
    rows = [json.dumps({"id": f"p{n}", "question": f"{n} and {n}", "answer": str(n)}) for n in range(8)]
    (tmp_path / "task.jsonl").write_text("\n".join(rows))
    options = Options(str(tmp_path / "task.jsonl"), device="cpu", batch=2, max_new_tokens=24)
    read_options = ReadOptions(base_weights(str(base)))
    records, whole = tmp_path / "killed", tmp_path / "whole"
    command = ["eval", *sources, "--task", options.task, "--base", str(base), "--device", "cpu", "--batch", "2"]
    process = begun("inspector", *command, "--max-new-tokens", "24", "--records", records, cwd=tmp_path)
    while process.poll() is None and (not records.is_dir() or len(_written(records)) < 6):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    errors = process.communicate()[1]
    assert process.returncode == -signal.SIGKILL, errors.decode()
    cut = min(records.glob("*.jsonl"))
    with cut.open("ab") as file:
        file.write(b'{"key": "0123", "id": "p')  # what a write in progress leaves
    before = [line for line in _written(records) if line.endswith(b"}")]
    assert 6 <= len(before) < 24

    assert evaluate_sources(sources, replace(options, records=records), read_options) == 0
    assert evaluate_sources(sources, replace(options, records=whole), read_options) == 0
    tables = capsys.readouterr().out.split("pairs, problem by problem")
    assert len(lines(records)) == len(set(lines(records))) == 24
    assert set(before) <= set(_written(records))
    assert sorted(_written(records)) == sorted(_written(whole))
    assert tables[0] in tables[1]


def _written(folder):
    """The lines of all records, without the first of each file."""
    return [line for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()[1:]]
