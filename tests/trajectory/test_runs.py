"""Which runs and checkpoints a folder holds, and what state they are in."""

import json
import os
import shutil
import time

import pytest

from inspector.common.errors import InspectorError
from inspector.trajectory.result import METRICS, Curve, Trajectory, rows
from inspector.trajectory.runs import Scanner
from tests.makers import write_random
from tests.trajectory.training import aged, begin, finish, land, log, trained


def scan(root, now=None):
    return Scanner(root).scan(time.time() if now is None else now)


def test_runs_by_name_and_checkpoints_by_step(tmp_path):
    trained(tmp_path / "sft-10", 100, 20, 5)
    trained(tmp_path / "sft-9", 10)
    (tmp_path / ".start").mkdir()
    (tmp_path / "notes").mkdir()
    nine, ten = scan(tmp_path)
    assert (nine.name, ten.name) == ("sft-9", "sft-10")
    assert [point.step for point in ten.points] == [5, 20, 100]
    assert (ten.state, ten.step, ten.steps) == ("training", 100, 40)
    assert ten.newest == tmp_path / "sft-10" / ".checkpoints" / "checkpoint-100"
    assert ten.losses[:2] == ((1, 2.0), (2, 1.0))


def test_what_was_held_out_is_read_beside_the_losses(tmp_path):
    """Twice, as the log is looked at again and again; a kept step before the last one does not shorten the run."""
    trained(tmp_path / "sft", 10)
    lines = [{"step": 0, "nll_right": 2.5}, {"step": 1, "loss": 2.0}, {"step": 1, "nll_right": 1.5, "accuracy": 0.25}]
    (tmp_path / "sft" / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    scanner = Scanner(tmp_path)
    for _ in range(2):
        (run,) = scanner.scan(time.time())
        assert run.losses == ((1, 2.0),)
        assert run.held_out == (("nll_right", ((0, 2.5), (1, 1.5))), ("accuracy", ((1, 0.25),)))
    found = Trajectory((Curve(run, ()),))
    assert found.metrics == (*METRICS[:5], "loss", "nll_right", "accuracy")
    assert [row[:3] + row[5:] for row in rows(found)] == [
        ("sft", 1, "loss", 2.0), ("sft", 0, "nll_right", 2.5), ("sft", 1, "nll_right", 1.5),
        ("sft", 1, "accuracy", 0.25),
    ]  # fmt: skip


@pytest.mark.parametrize("below", ["", ".checkpoints"])
def test_one_run_alone(tmp_path, below):
    trained(tmp_path / "sft", 10)
    (run,) = scan(tmp_path / "sft" / below)
    assert (run.name, len(run.points)) == ("sft", 1)


def test_runs_of_several_folders_are_told_apart_by_the_path_and_listed_once(tmp_path):
    for place in ("one", "two", "deep/two"):
        trained(tmp_path / place / "sft", 10)
    trained(tmp_path / "one" / "dpo", 10)
    roots = (tmp_path / "one", tmp_path / "one" / "sft", tmp_path / "two", tmp_path / "deep" / "two")
    found = {run.name: run.folder.relative_to(tmp_path).as_posix() for run in Scanner(*roots).scan(time.time())}
    assert found == {
        "deep-two-sft": "deep/two/sft",
        "dpo": "one/dpo",
        "one-sft": "one/sft",
        f"{tmp_path.name}-two-sft": "two/sft",
    }


def test_folders_that_are_not_there_yet_are_waited_for_only_where_that_is_asked(tmp_path):
    trained(tmp_path / "sft", 10)
    roots = (tmp_path / "sft", tmp_path / "dpo")
    with pytest.raises(InspectorError, match="No folder"):
        Scanner(*roots).scan(time.time())
    scanner = Scanner(*roots, wait=True)
    assert [run.name for run in scanner.scan(time.time())] == ["sft"]
    assert scanner.awaited == (tmp_path / "dpo",)
    trained(tmp_path / "dpo", 10)
    assert [run.name for run in scanner.scan(time.time())] == ["dpo", "sft"]
    assert scanner.awaited == ()


def test_what_is_half_there_is_no_checkpoint(tmp_path):
    run = begin(tmp_path / "sft")
    write_random(run / ".checkpoints" / ".writing" / "checkpoint-10")
    (write_random(run / ".checkpoints" / "checkpoint-20") / "adapter_config.json").unlink()
    (write_random(run / ".checkpoints" / "checkpoint-30") / "adapter_model.safetensors").unlink()
    write_random(run / ".checkpoints" / "checkpoint-40.tmp")
    assert scan(tmp_path)[0].points == ()


def test_finished_by_its_record_alone(tmp_path):
    trained(tmp_path / "sft", 10, 20, done=True)
    aged(tmp_path, 1e6)
    (run,) = scan(tmp_path)
    assert (run.state, run.step, run.steps, run.newest) == ("finished", 20, 20, tmp_path / "sft")
    assert [point.folder.name for point in run.points] == ["checkpoint-10", "checkpoint-20"]


def test_a_finished_adapter_without_its_checkpoint_is_the_last_point(tmp_path):
    finish(trained(tmp_path / "sft", 10), 30)
    assert [point.step for point in scan(tmp_path)[0].points] == [10, 30]
    assert scan(tmp_path)[0].points[-1].folder == tmp_path / "sft"


def test_silence_is_a_stop_and_a_record_that_is_damaged_is_none(tmp_path):
    run = trained(tmp_path / "sft", 10, 20)
    (run / "run.json").write_text("{")
    written = (run / "log.jsonl").stat().st_mtime
    for seconds, state in ((0, "training"), (100, "training"), (130, "stopped")):
        assert scan(tmp_path, written + seconds)[0].state == state
    land(run, 30)
    assert scan(tmp_path)[0].state == "training"


def test_a_slow_run_is_given_three_of_its_gaps(tmp_path):
    run = trained(tmp_path / "sft", 10)
    aged(run, 1000)
    land(run, 20)
    written = (run / "log.jsonl").stat().st_mtime
    for seconds, state in ((2900, "training"), (3100, "stopped")):
        assert scan(tmp_path, written + seconds)[0].state == state


@pytest.mark.parametrize(("landed", "limit"), [((1e9,), 900), ((1e9 - 30, 1e9), 120), ((1e9 - 50, 1e9), 150)])
def test_at_its_limit_silence_is_a_stop(tmp_path, landed, limit):
    """15 minutes after the first checkpoint; then three of the longest gap, and two minutes at least."""
    run = trained(tmp_path / "sft", *range(1, len(landed) + 1))
    places = [*run.rglob("*")]
    for at in landed:
        for path in places:
            os.utime(path, (at, at))
        places = [path for path in places if not path.parent.name.endswith("-1")]
    for seconds, state in ((limit - 0.5, "training"), (limit, "stopped")):
        assert scan(tmp_path, 1e9 + seconds)[0].state == state


def test_checkpoints_of_a_plain_trainer(tmp_path):
    for step in (5, 10):
        folder = write_random(tmp_path / "out" / f"checkpoint-{step}", step)
        state = {"max_steps": 10, "log_history": [{"step": 5, "loss": 1.5}, {"step": 10, "eval_loss": 1.0}]}
        (folder / "trainer_state.json").write_text(json.dumps(state))
    (run,) = scan(tmp_path / "out")
    assert ([p.step for p in run.points], run.state, run.losses) == ([5, 10], "finished", ((5, 1.5),))
    assert run.newest == folder
    write_random(tmp_path / "out")
    (run,) = scan(tmp_path / "out")
    assert ([p.step for p in run.points], run.newest) == ([5, 10], tmp_path / "out")
    (folder / "trainer_state.json").write_text(json.dumps(state | {"max_steps": 20}))
    assert scan(tmp_path / "out")[0].newest == folder  # what an earlier training left there is not its


@pytest.mark.parametrize("told", [{}, {"max_steps": 0}, {"max_steps": 11}])
def test_a_plain_trainer_below_its_last_step_or_that_names_none_has_not_finished(tmp_path, told):
    folder = write_random(tmp_path / "out" / "checkpoint-10")
    (folder / "trainer_state.json").write_text(json.dumps(told))
    (run,) = scan(tmp_path / "out")
    assert (run.state, run.step, run.steps) == ("training", 10, told.get("max_steps", 0))
    (run,) = scan(tmp_path / "out", time.time() + 1e6)
    assert run.state == "stopped"


@pytest.mark.parametrize(
    ("landed", "logged", "step"), [((), 1, 1), ((), 3, 3), ((5,), 1, 5), ((5,), 7, 7), ((5, 8), 1, 8)]
)
def test_a_run_is_as_far_as_its_last_checkpoint_or_its_last_loss(tmp_path, landed, logged, step):
    log(trained(tmp_path / "sft", *landed), logged)
    assert scan(tmp_path)[0].step == step


def test_a_log_cut_by_a_kill_and_odd_lines(tmp_path):
    run = trained(tmp_path / "sft", 10)
    (run / "log.jsonl").write_text('{"step": 1, "loss": 3}\n{"step": 2}\n[]\n{"step": 3, "loss": NaN}\n{"step": 4, "lo')
    assert scan(tmp_path)[0].losses == ((1, 3.0),)


@pytest.mark.parametrize(
    ("line", "losses"),
    [
        ("[" * 100_000, ((1, 3.0),)),
        ('{"step": 2, "loss": 1e999}', ((1, 3.0),)),
        (f'{{"step": 2, "loss": {"9" * 1000}}}', ((1, 3.0),)),
        (f'{{"step": {"9" * 299}, "loss": 2}}', ((1, 3.0), (0, 2.0))),
        ('{"step": 1e999, "loss": 2}', ((1, 3.0), (0, 2.0))),
    ],
)
def test_a_log_of_anyone(tmp_path, line, losses):
    run = trained(tmp_path / "sft", 10)
    (run / "log.jsonl").write_text(f'{{"step": 1, "loss": 3}}\n{line}\n')
    assert scan(tmp_path)[0].losses == losses


@pytest.mark.parametrize(
    "text", ['{"recipe": [1]}', '{"recipe": {"steps": 1e999}}', '{"recipe": 5}', "[" * 100_000, "5"]
)
@pytest.mark.parametrize(
    "name", [".checkpoints/started.json", "run.json", ".checkpoints/checkpoint-10/trainer_state.json"]
)
def test_records_of_anyone(tmp_path, name, text):
    run = trained(tmp_path / "sft", 10)
    (run / name).write_text(text)
    assert [point.step for point in scan(tmp_path)[0].points] == [10]


def test_only_what_changed_is_read_again(tmp_path, monkeypatch):
    run, scanner = trained(tmp_path / "sft", 10), Scanner(tmp_path)
    first = scanner.scan(time.time())
    reads = []
    real = type(run).read_text
    monkeypatch.setattr(type(run), "read_text", lambda self, **k: (reads.append(self.name), real(self, **k))[1])
    assert scanner.scan(time.time()) == first
    assert reads == []
    land(run, 20)
    assert len(scanner.scan(time.time())[0].points) == 2
    assert reads == ["log.jsonl"]


def test_what_is_no_file_is_not_waited_for(tmp_path, monkeypatch):
    run = trained(tmp_path / "sft", 10)
    real = type(run).read_text
    wait = lambda path: pytest.fail(f"waits for {path.name}")  # noqa: E731
    monkeypatch.setattr(type(run), "read_text", lambda self, **k: real(self, **k) if self.is_file() else wait(self))
    (run / "log.jsonl").unlink()
    for name in ("log.jsonl", "run.json"):
        os.mkfifo(run / name)
    (found,) = scan(tmp_path)
    assert (found.state, found.step, found.losses) == ("training", 10, ())


def test_no_such_folder(tmp_path):
    with pytest.raises(InspectorError, match="No folder"):
        scan(tmp_path / "nowhere")


def test_an_earlier_step_is_the_runs_own(tmp_path):
    """By its recipe while it trains, then by its record; a point of its own if that step's checkpoint is gone."""
    folder = begin(tmp_path / "sft", report_step=20)
    for step in (10, 20, 40):
        land(folder, step)
    (run,) = scan(tmp_path)
    assert (run.state, run.reported, run.own) == ("training", 20, "its adapter is that of step 20 of 40")
    finish(folder, 20, steps=40)
    (run,) = scan(tmp_path)
    assert (run.state, run.step, run.steps, run.reported, run.newest) == ("finished", 40, 40, 20, folder)
    assert [point.folder.name for point in run.points] == ["checkpoint-10", "checkpoint-20", "checkpoint-40"]
    shutil.rmtree(folder / ".checkpoints" / "checkpoint-20")
    (run,) = scan(tmp_path)
    assert [point.folder.name for point in run.points] == ["checkpoint-10", "sft", "checkpoint-40"]
    finish(trained(tmp_path / "dpo", 10, 40), 40, steps=40)
    assert scan(tmp_path)[0].own == ""
