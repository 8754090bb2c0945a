"""Stopped in any way and resumed: the same bits as a run that was not."""

import json
import signal
import time

import pytest
import torch

from inspector.common.errors import CancelledError, InspectorError
from tests.acceptance.command import begun
from tests.trainer.small import adapter_of, equal, made, options, rollouts, tiny, trained
from trainer.runs.log import read_log
from trainer.saving import checkpoints
from trainer.train import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


@pytest.fixture
def file(tmp_path):
    return rollouts(tmp_path)


def begin(base, name, file, out, **more):
    """The command of a run, in a process of its own."""
    asked = options(base, name, file, out, **more)
    settings = [word for pair in asked.settings for word in ("--set", pair)]
    words = ["train", name, "--rollouts", str(file), "--out", str(out), "--recipe", "demo-smollm2", *settings]
    return begun("trainer", *words)


def after(process, log, step):
    """Wait until this step is in the log."""
    end = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < end:
        lines = read_log(log) if log.exists() else []
        if lines and lines[-1]["step"] >= step:
            return
        time.sleep(0.002)
    raise AssertionError(process.communicate()[1].decode())


def test_killed_and_resumed_is_the_same_bits(base, file, tmp_path):
    """kill -9 some steps after a checkpoint; with dropout, so that random states matter."""
    name, more = "rift", {"steps": 60, "save_steps": 7, "dropout": 0.1}
    process = begin(base, name, file, tmp_path / "killed", **more)
    after(process, tmp_path / "killed" / name / "log.jsonl", 10)
    process.kill()
    process.communicate()
    left = checkpoints.complete(tmp_path / "killed" / name / ".checkpoints")
    assert left
    assert not (tmp_path / "killed" / name / "run.json").exists()
    resumed = trained(base, name, file, tmp_path / "killed", **more)
    whole = trained(base, name, file, tmp_path / "whole", **more)
    assert equal(resumed, whole)
    steps = [line["step"] for line in read_log(tmp_path / "killed" / name / "log.jsonl")]
    assert steps == list(range(1, 61))


def test_a_second_process_on_one_run_is_refused(base, file, tmp_path):
    """A forgotten terminal, a job that was started again: the first goes on, the second touches nothing."""
    run = (base, "sft", file, tmp_path)
    process = begin(*run, steps=2000, save_steps=2000)
    after(process, tmp_path / "sft" / "log.jsonl", 1)
    second = begin(*run, steps=2000, save_steps=2000)
    said = second.communicate(timeout=120)[1].decode()
    assert second.returncode == 2
    assert said.endswith(f"Error: {tmp_path / 'sft'} is being trained by another process: wait until it is done.\n")
    assert process.poll() is None
    process.kill()
    process.communicate()
    steps = [line["step"] for line in read_log(tmp_path / "sft" / "log.jsonl")]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.parametrize("name", ["offline-grpo", "dpo", "kto", "simpo"])
def test_stopped_at_any_step_is_the_same_bits(base, file, tmp_path, name):
    """Resumed at each checkpoint in turn: what follows never differs."""
    more = {"steps": 5, "dropout": 0.1}
    whole = trained(base, name, file, tmp_path / "whole", save_steps=1, keep=9, **more)
    for stop in (1, 3, 4):
        out = tmp_path / str(stop)
        guard_at(stop, lambda out=out: train(options(base, name, file, out, save_steps=9, **more)))
        assert [checkpoints.step_of(c) for c in checkpoints.complete(out / name / ".checkpoints")] == [stop]
        assert equal(trained(base, name, file, out, save_steps=9, **more), whole)
        one, other = (place / name / ".checkpoints" / f"checkpoint-{stop}" for place in (tmp_path / "whole", out))
        assert equal(adapter_of(one), adapter_of(other))


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_an_earlier_step_is_the_runs_own(base, file, tmp_path, capsys, stop):
    """Step 2 of 5, between the checkpoints: written, and the same bits if stopped before, at, or behind it."""
    more = {"steps": 5, "save_steps": 3}
    plain = trained(base, "sft", file, tmp_path / "plain", save_steps=1, keep=9, steps=5)
    run = (base, "sft", file, tmp_path / "early")
    guard_at(stop, lambda: train(options(*run, report_step=2, **more)))
    assert not (tmp_path / "early" / "sft" / "run.json").exists()
    own = trained(*run, report_step=2, **more)
    assert equal(own, adapter_of(tmp_path / "plain" / "sft" / ".checkpoints" / "checkpoint-2"))
    assert equal(plain, adapter_of(tmp_path / "early" / "sft" / ".checkpoints" / "checkpoint-5"))
    record = json.loads((tmp_path / "early" / "sft" / "run.json").read_text())
    log = read_log(tmp_path / "early" / "sft" / "log.jsonl")
    assert [line["step"] for line in log] == [1, 2, 3, 4, 5]
    assert (record["step"], record["steps"], record["epochs"]) == (2, 5, pytest.approx(16 / 24))
    assert record["tokens"] == log[0]["tokens"] + log[1]["tokens"]
    assert record["loss"] == pytest.approx((log[0]["loss"] + log[1]["loss"]) / 2)
    assert "2 steps (of 5 trained) of 8 rows" in (tmp_path / "early" / "sft" / "README.md").read_text()
    train(options(*run, report_step=2, **more))
    said = capsys.readouterr().err
    assert "the adapter of step 2 in " in said
    assert "sft: done before (step 2 of 5)." in said
    with pytest.raises(InspectorError, match="holds another run: report_step is 2 there and 3 here"):
        train(options(*run, report_step=3, **more))


def test_a_reported_step_that_was_removed_is_said_before_the_other_steps(base, file, tmp_path):
    run, more = (base, "sft", file, tmp_path), {"steps": 5, "report_step": 2}
    guard_at(3, lambda: train(options(*run, **more)))
    (tmp_path / "sft" / ".checkpoints" / "checkpoint-2" / "adapter_model.safetensors").unlink()
    with pytest.raises(InspectorError, match="The adapter of step 2, which is the run's own"):
        train(options(*run, **more))
    assert [c.name for c in checkpoints.complete(tmp_path / "sft" / ".checkpoints")] == ["checkpoint-2", "checkpoint-3"]


def guard_at(stop, run):
    """Ask for the stop as a signal does, while step `stop` is made."""
    before = checkpoints.Guard.on_step_end

    def on_step_end(self, args, state, control, **more):
        self.asked = self.asked or state.global_step == stop
        before(self, args, state, control, **more)

    checkpoints.Guard.on_step_end = on_step_end
    try:
        with pytest.raises(CancelledError):
            run()
    finally:
        checkpoints.Guard.on_step_end = before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_checkpoints_and_exits_130(base, file, tmp_path, number):
    process = begin(base, "sft", file, tmp_path, steps=2000, save_steps=2000)
    after(process, tmp_path / "sft" / "log.jsonl", 3)
    process.send_signal(number)
    said = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 130, said
    assert "Stopping after this step, with a checkpoint" in said
    assert "the same command goes on from there." in said
    assert len(checkpoints.complete(tmp_path / "sft" / ".checkpoints")) == 1
    assert not (tmp_path / "sft" / "run.json").exists()


def test_a_loss_that_is_not_finite_stops_before_the_weights(base, file, tmp_path):
    """The forward pass gives nan from step 4 on; the checkpoint of step 2 stays, and is finite."""
    from trainer.objectives.weighted import WeightedTrainer

    plain = WeightedTrainer.compute_loss

    def broken(self, *args, **more):
        return plain(self, *args, **more) * (float("nan") if self.state.global_step >= 3 else 1)

    WeightedTrainer.compute_loss = broken
    try:
        with pytest.raises(InspectorError, match=r"not finite at step 4: .* checkpoint of step 2 is kept; lower lr"):
            trained(base, "sft", file, tmp_path, steps=6)
    finally:
        WeightedTrainer.compute_loss = plain
    kept = checkpoints.newest(tmp_path / "sft" / ".checkpoints")
    assert kept.name == "checkpoint-2"
    assert all(torch.isfinite(t).all() for t in adapter_of(kept).values())


def test_what_a_kill_left_half_written_is_no_checkpoint(base, file, tmp_path):
    folder = tmp_path / "sft" / ".checkpoints"
    half = folder / ".writing" / "checkpoint-2"
    half.mkdir(parents=True)
    (half / "optimizer.pt").write_bytes(b"half")
    assert checkpoints.complete(folder) == []
    assert checkpoints.newest(folder) is None
    trained(base, "sft", file, tmp_path)
    assert not (half / "optimizer.pt").exists()
    assert [c.name for c in checkpoints.complete(folder)] == ["checkpoint-2", "checkpoint-4"]


def test_a_full_disk_keeps_the_last_good_checkpoint(base, file, tmp_path, monkeypatch):
    real, made_before = torch.save, []

    def save(*args, **more):
        made_before.append(1)
        if len(made_before) > 3:
            raise OSError(28, "No space left on device")
        return real(*args, **more)

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(InspectorError, match="No space left on device"):
        trained(base, "sft", file, tmp_path)


def test_older_checkpoints_keep_the_adapter_alone(base, file, tmp_path):
    trained(base, "sft", file, tmp_path, steps=6, save_steps=1)
    found = checkpoints.complete(tmp_path / "sft" / ".checkpoints")
    assert [checkpoints.step_of(c) for c in found] == [1, 2, 3, 4, 5, 6]
    assert all((c / "adapter_model.safetensors").is_file() for c in found)
    assert not any((c / "optimizer.pt").exists() for c in found)
    assert not any(
        path.name in {"README.md", "training_args.bin", "tokenizer.json"} for c in found for path in c.iterdir()
    )


def test_thin_keeps_the_newest(tmp_path):
    for n in (10, 9, 100):
        (tmp_path / f"checkpoint-{n}").mkdir()
        (tmp_path / f"checkpoint-{n}" / "optimizer.pt").touch()
    checkpoints.thin(tmp_path, 2)
    assert [c.name for c in checkpoints.complete(tmp_path)] == ["checkpoint-9", "checkpoint-10", "checkpoint-100"]
    assert not (tmp_path / "checkpoint-9" / "optimizer.pt").exists()
    assert checkpoints.newest(tmp_path).name == "checkpoint-100"


def test_nothing_is_sent_home(base, file, tmp_path, monkeypatch):
    sent = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda *a, **k: sent.append(a))
    for name in ("sft", "dpo", "kto"):
        made(base, name, file, tmp_path)
    assert not sent
