"""Runs in a queue: the same bits as one after another, failures that stop nothing, signals that stop all."""

import json
import os
import re
import signal
import threading
import time
from dataclasses import replace

import pytest

from inspector.common.errors import CancelledError, InspectorError
from tests.trainer.small import adapter_of, equal, options, rollouts, tiny, trained
from trainer.rollouts.schema import digest, read_rollouts
from trainer.runs import queue_table
from trainer.runs.data import prepared
from trainer.runs.gpus import Device, gpus, numbers
from trainer.runs.queue import OUTPUT, train_queued
from trainer.runs.tasks import CHECKPOINTS, tasks
from trainer.saving import checkpoints, outcome
from trainer.train import train

TWO = [Device("first", {"CUDA_VISIBLE_DEVICES": "", "PLACE": "1"}), Device("second", {"PLACE": "2"})]
"""CPUs stand for GPUs."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


@pytest.fixture
def file(tmp_path):
    return rollouts(tmp_path)


def all_of(base, file, out, *names, **settings):
    """The runs of several methods, and what a queue is told beside them."""
    given = replace(options(base, "all", file, out, **settings), gpus="0-1")
    chosen = [task for task in tasks(given) if task.method.name in names]
    read = read_rollouts(file)
    return chosen, given, prepared(chosen, read, digest(read), "", lambda _text: None)


def test_the_bits_are_those_of_one_after_another(base, file, tmp_path, capsys):
    """One of three cannot be trained, which stops neither of the others."""
    out, finished = tmp_path / "out", []
    chosen, given, data = all_of(base, file, out, "sft", "dpo", "rift")
    (out / "dpo" / outcome.LOG).mkdir(parents=True)
    failed = train_queued(chosen, given, data, TWO, finished.append)
    told = capsys.readouterr().err
    assert list(failed) == ["dpo"]
    assert re.search(r"Is a directory: .*\(all that it printed: .*output\.txt\)$", failed["dpo"])
    assert f"dpo: failed: {failed['dpo']}" in told
    assert {folder.name for folder in finished} == {"sft", "rift"}
    for name in ("sft", "rift"):
        assert re.search(rf"^{name}: started on (first|second)\.$", told, re.MULTILINE)
        assert re.search(rf"^{name}: 4 steps in \d+ s, in .*{name}\.$", told, re.MULTILINE)
        assert equal(adapter_of(out / name), trained(base, name, file, tmp_path / "alone"))
    assert not re.search(r"^\w+: step ", told, re.MULTILINE), "the table says that"


def interrupting(running, *, times=1):
    """Send this process signals when all of these runs have made a step."""

    def wait():
        logs = [task.folder / outcome.LOG for task in running]
        before = [log.stat().st_mtime_ns if log.is_file() else 0 for log in logs]
        while not all(log.is_file() and log.stat().st_mtime_ns > at for log, at in zip(logs, before, strict=True)):
            time.sleep(0.05)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.slow
def test_a_signal_stops_all_after_their_step(base, file, tmp_path):
    """The same queue goes on from there. What waits is not begun."""
    chosen, given, data = all_of(base, file, tmp_path / "out", "sft", "rift", "dft", steps=20_000, save_steps=0)
    steps = []
    for _ in range(2):
        interrupting(chosen[:2])
        with pytest.raises(CancelledError):
            train_queued(chosen, given, data, TWO, lambda _folder: None)
        steps.append([checkpoints.step_of(checkpoints.newest(t.folder / CHECKPOINTS)) for t in chosen[:2]])
    assert all(0 < first < second < 20_000 for first, second in zip(*steps, strict=True))
    output = (chosen[0].folder / CHECKPOINTS / OUTPUT).read_text()
    assert f"Going on after step {steps[0][0]}." in output
    assert not chosen[2].folder.exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_the_second_signal_kills(base, file, tmp_path):
    chosen, given, data = all_of(base, file, tmp_path / "out", "sft", steps=20_000, save_steps=0)
    interrupting(chosen, times=2)
    with pytest.raises(CancelledError):
        train_queued(chosen, given, data, TWO, lambda _folder: None)
    assert checkpoints.newest(chosen[0].folder / CHECKPOINTS) is None


@pytest.mark.parametrize(("broken", "code"), [((), 0), (("sft",), 3), (("sft", "rift"), None)])
def test_the_exit_code_tells_what_failed(base, file, tmp_path, monkeypatch, capsys, broken, code):
    """What is done before is not trained again; what failed is named."""
    monkeypatch.setattr("trainer.train.gpus", lambda _text: TWO)
    monkeypatch.setattr("trainer.runs.queue.train_queued", lambda *given: dict.fromkeys(broken, "why"))
    monkeypatch.setattr("trainer.train.tasks", lambda _given: chosen)
    chosen, given, _ = all_of(base, file, tmp_path / "out", "sft", "rift", device="auto")
    if code is None:
        with pytest.raises(InspectorError, match="No run was finished"):
            train(given)
    else:
        assert train(given) == code
    told = capsys.readouterr().err
    assert (f"{len(broken)} of 2 runs failed: {', '.join(broken)}." in told) == bool(broken)


def test_what_does_not_go_with_gpus(base, file, tmp_path, monkeypatch):
    given = replace(options(base, "sft", file, tmp_path / "out"), gpus="0")
    with pytest.raises(InspectorError, match="--gpus and device=cpu both say"):
        train(given)
    anywhere = replace(given, settings=(*given.settings, "device=auto"))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(InspectorError, match="there are none here: leave it out"):
        train(anywhere)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InspectorError, match="leave out torchrun"):
        train(anywhere)
    assert not (tmp_path / "out").exists()


def test_numbers_of_gpus():
    assert numbers("0-3") == [0, 1, 2, 3]
    assert numbers("5, 0-1,1") == [5, 0, 1]
    for wrong in ("", "3-1", "0,", "a", "-1", "0-", "1.5", "all"):
        with pytest.raises(InspectorError, match="write numbers, or ranges"):
            numbers(wrong)


def test_gpus_are_numbered_among_the_visible_ones(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [(gpu.name, gpu.environment) for gpu in gpus("2,0")] == [
        ("GPU 2", {"CUDA_VISIBLE_DEVICES": "2"}),
        ("GPU 0", {"CUDA_VISIBLE_DEVICES": "0"}),
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,MIG-a,7")
    assert [gpu.environment["CUDA_VISIBLE_DEVICES"] for gpu in gpus("1-2")] == ["MIG-a", "7"]
    with pytest.raises(InspectorError, match="no GPU 3, but 3 GPUs here: 0 to 2"):
        gpus("0,3-5")


def test_the_pace_of_a_run_that_goes_on(base, file, tmp_path, monkeypatch):
    """Steps of 100 tokens; those that are there at first, and the first new one, are not counted."""
    (task,), _, _ = all_of(base, file, tmp_path / "out", "sft", steps=50)
    task.folder.mkdir(parents=True)
    clock = [10.0]
    monkeypatch.setattr(queue_table.time, "monotonic", lambda: clock[0])

    def log(*steps):
        lines = [{"step": n, "loss": n / 8, "tokens": 100} for n in steps]
        (task.folder / outcome.LOG).write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    assert queue_table.Pace(task, "GPU 0").row() == ("sft", "GPU 0", "loading", "", "", "")
    log(1, 2, 3, 4)
    pace = queue_table.Pace(task, "GPU 0")
    assert pace.row()[2:] == ("4 of 50", "", "", "")
    log(1, 2, 3)
    assert pace.row()[2:] == ("3 of 50", "", "", "")
    clock[0] = 60.0
    log(1, 2, 3, 4)
    assert pace.row()[2:] == ("4 of 50", "0.5000", "", "")
    clock[0] = 70.0
    log(*range(1, 9))
    assert pace.row()[2:] == ("8 of 50", "1.0000", "40", "1:45 min")
    clock[0] = 75.0
    assert pace.row()[2:] == ("8 of 50", "1.0000", "40", "1:45 min"), "by the time of its last step"


@pytest.mark.parametrize("rewritable", [True, False])
def test_what_is_shown_of_a_queue(base, file, tmp_path, monkeypatch, capsys, rewritable):
    """In 80 columns: a table, or a line a minute; what is said stands above it."""
    chosen, _, _ = all_of(base, file, tmp_path / "out", "sft", "rift", steps=1500)
    clock = [0.0]
    monkeypatch.setattr(queue_table.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(queue_table, "rewritable", lambda: rewritable)
    table = queue_table.Table(9)
    paces = [queue_table.Pace(task, f"GPU {n}") for n, task in enumerate(chosen)]
    chosen[0].folder.mkdir(parents=True)
    (chosen[0].folder / outcome.LOG).write_text('{"step": 7, "loss": 0.5, "tokens": 90}\n')
    table.show(paces, 3, 2, 1)
    assert capsys.readouterr().err == "", "just begun"
    clock[0] = 61.0
    table.show(paces, 3, 2, 1)
    told = capsys.readouterr().err
    if not rewritable:
        assert told == "sft 7 of 1,500; rift loading; 3 of 9 done, 2 waiting, 1 failed\n"
        return
    assert told.splitlines() == [
        "                   step    loss  tokens/s  left",
        "sft   GPU 0  7 of 1,500  0.5000",
        "rift  GPU 1     loading",
        "3 of 9 done, 2 waiting, 1 failed",
    ]
    table.say("rift: failed: why")
    assert capsys.readouterr().err.startswith("\033[4A\033[J")
