"""Runs in a queue, one at a time in each device (a GPU), each in a process of its own.

A run that fails does not stop the others. SIGINT, SIGTERM and SIGHUP stop all after their step, with checkpoints; the
second one kills them.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspector.common.addresses import without_password
from inspector.common.cores import allowed
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import plain
from trainer.progress import once
from trainer.runs.data import Data
from trainer.runs.gpus import Device
from trainer.runs.queue_table import Pace, Table
from trainer.runs.queued_run import INTERRUPTED, Job
from trainer.runs.tasks import CHECKPOINTS, Options, Task

OUTPUT = "output.txt"
"""Beside the checkpoints: what the process of a run has printed."""
_LOOK = 0.2
"""Seconds between two looks at the processes."""


@dataclass(slots=True)
class _Running:
    task: Task
    device: Device
    process: subprocess.Popen[bytes]
    pace: Pace
    told: bool = False
    """Whether it was asked to stop."""

    @property
    def name(self) -> str:
        return self.task.folder.name


def train_queued(
    tasks: Sequence[Task], options: Options, data: Data, devices: Sequence[Device], finished: Callable[[Path], None]
) -> dict[str, str]:
    """Train them in their order; the names of those that failed, and why.

    `finished` is called with the folder of each that is done. Raises CancelledError after a signal, when all have
    stopped.
    """
    waiting, free, running = list(tasks), list(devices), list[_Running]()
    failed: dict[str, str] = {}
    done = 0
    table = Table(len(tasks))
    note = once(table.say)
    with _signals() as asked, _none_left(running):
        while running or (waiting and not asked):
            while waiting and free and not asked:
                job = Job(options, data, waiting[0].folder)
                running.append(_started(waiting.pop(0), job, free.pop(0), len(devices)))
                table.started(running[-1].name, running[-1].device.name)
            if asked:
                note("Stopping all after their step, with checkpoints (once more: at once).")
            _stop(running, len(asked))
            time.sleep(_LOOK)
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                free.insert(0, run.device)
                why, lines = _ended(run)
                if why and asked:
                    table.say(f"{run.name}: {why.lower() if why.startswith('Stopped') else 'stopped.'}")
                elif why:
                    failed[run.name] = why
                    table.say(f"{run.name}: failed: {why}")
                else:
                    for line in lines:
                        note(line)
                    done += 1
                    finished(run.task.folder)
            table.show([run.pace for run in running], done, len(waiting), len(failed))
    table.lift()
    if asked:
        raise CancelledError
    return failed


def _started(task: Task, job: Job, device: Device, devices: int) -> _Running:
    """The process of a run, in a session of its own: a terminal's Ctrl-C is for the queue alone."""
    path = task.folder / CHECKPOINTS / OUTPUT
    threads = {"OMP_NUM_THREADS": str(max(1, allowed() // devices))}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "trainer.runs.queued_run"], stdin=subprocess.PIPE, stdout=output, stderr=output,
                env={**threads, **os.environ, **device.environment}, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise InspectorError(f"Cannot write {plain(path)}: {error.strerror or error}.") from error
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as given:  # one that has ended already says why
        given.write(pickle.dumps(job))
    return _Running(task, device, process, Pace(task, device.name))


def _stop(running: Sequence[_Running], asked: int) -> None:
    """Ask each once to stop after its step; on the second signal kill all, with what they have started."""
    for run in running:
        with suppress(ProcessLookupError):
            if asked > 1:
                os.killpg(run.process.pid, signal.SIGKILL)
            elif asked and not run.told:
                run.told = True
                run.process.send_signal(signal.SIGINT)


def _ended(run: _Running) -> tuple[str, list[str]]:
    """(why it failed, empty if it did not; the lines that it printed but those of its progress)."""
    path = run.task.folder / CHECKPOINTS / OUTPUT
    text = without_password(path.read_text(encoding="utf-8", errors="replace"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(f"{run.name}: step ")]
    code = run.process.returncode
    if not code:
        return "", lines
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}.", lines
    last = lines[-1].removeprefix("Error: ") if lines else f"exit code {code}"
    if code == INTERRUPTED or (lines and lines[-1].startswith("Error: ")):
        return last, lines
    return f"{last} (all that it printed: {path})", lines


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals to stop that have come so far."""
    asked: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        asked.append(number)

    wanted = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {n: signal.signal(n, handle) for n in wanted if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _none_left(running: Sequence[_Running]) -> Iterator[None]:
    """End the processes that are left, where an error ends the queue."""
    try:
        yield
    finally:
        _stop(running, 2)
        for run in running:
            run.process.wait()
