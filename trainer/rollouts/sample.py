"""`inspector rollouts`: K completions a prompt, graded, appended row by row; a run that was cut goes on. No torch."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspector.base_model.generation import Hooks
from inspector.common.console import say
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import count, plain
from inspector.tasks.grading import Grader
from inspector.tasks.problems import BUNDLED, Problems, load_problems
from trainer.progress import Progress, once, status
from trainer.rollouts.draws import Sampling
from trainer.rollouts.plan import Plan, planned
from trainer.rollouts.rewards import reward
from trainer.rollouts.row_file import RowFile, check_suffix, write_rows
from trainer.rollouts.schema import read_rollouts
from trainer.rollouts.teachers import Teacher, local, remote

DONE, INCOMPLETE = 0, 3
_TOKENS = dict.fromkeys(BUNDLED, 128) | {"gsm8k": 512, "gsm8k-train": 512}
_MOST_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. Empty, 0 and (for `shots`) -1 mean the default."""

    task: str
    out: Path
    limit: int = 0
    k: int = 4
    teacher: str = ""
    server: tuple[str, ...] = ()
    concurrency: int = 16
    per_minute: float = 0.0
    body: str = ""
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 0
    seed: int = 42
    shots: int = -1
    split: str = "train"
    device: str = "auto"
    dtype: str = "auto"
    batch: int = 0


def sample(options: Options) -> int:
    """Draw what is not in the file yet; 0, or 3 when a draw came to nothing.

    Raises InspectorError with what to do, CancelledError when interrupted: rows in the file are kept.
    """
    check_suffix(options.out)
    problems = load_problems(options.task, note=say).first(options.limit)
    sampling = Sampling(
        options.temperature, options.top_p, options.max_new_tokens or token_limit(options.task), options.seed
    )
    with stop_signals() as stopped, _opened(options.out) as file:
        hooks = Hooks(stopped, once(say))
        try:
            teacher = _teacher(options, hooks)
            shots = len(problems.examples) if options.shots < 0 else options.shots
            todo = planned(problems, teacher, sampling, options.k, shots, options.split)
            _announce(todo, problems, options.k)
            left = _draw(todo, teacher, file, hooks)
        except (KeyboardInterrupt, CancelledError):
            say(f"{count(len(file.rows), 'rollout')} in {plain(file.path)}: the same command goes on from there.")
            raise
        if file.path != options.out:
            write_rows(options.out, read_rollouts(file.path))
            file.path.unlink()
    if left:
        say(f"{count(left, 'rollout')} missing: run the same command again to ask once more.")
    return INCOMPLETE if left else DONE


def working_file(out: Path) -> Path:
    """Where rows are appended: the file itself, or a JSONL beside a Parquet file, which cannot grow."""
    return out if out.suffix.lower() == ".jsonl" else out.with_name(f"{out.name}.partial.jsonl")


@contextmanager
def _opened(out: Path) -> Iterator[RowFile]:
    """The working file; a Parquet file that is there already is gone on from."""
    working = working_file(out)
    if working != out and out.exists() and not working.exists():
        write_rows(working, read_rollouts(out))
    with RowFile(working) as file:
        yield file


def token_limit(task: str) -> int:
    """The longest completion in tokens where the user names none."""
    return _TOKENS.get(task, _MOST_TOKENS)


def _teacher(options: Options, hooks: Hooks) -> Teacher:
    if options.server:
        return remote(options.server, options.teacher, options.concurrency, options.per_minute, options.body)
    if not options.teacher:
        raise InspectorError("No teacher: name one with --teacher (Hub id, folder, smollm2), or a --server.")
    return local(options.teacher, options.device, options.dtype, options.batch, hooks, status)


def _announce(todo: Plan, problems: Problems, k: int) -> None:
    how = todo.sampling
    say(
        f"{count(len(problems.problems), 'prompt')} of {problems.name}, {k} each from {todo.teacher}: temperature "
        f"{how.temperature:g}, top-p {how.top_p:g}, at most {how.max_tokens} tokens, seed {how.seed}."
    )


def _draw(todo: Plan, teacher: Teacher, file: RowFile, hooks: Hooks) -> int:
    """Draw, grade and append what is missing; returns how many still are."""
    wanted = todo.missing(file.rows, file.path)
    total = len(todo.slots)
    if len(wanted) < total:
        say(f"{total - len(wanted)} of {total} are in {plain(file.path)} already.")
    if not wanted:
        return 0
    progress = Progress(total, total - len(wanted))
    right = made = 0
    watching = Hooks(hooks.cancelled, hooks.note, progress.step)
    with Grader() as grader:
        for samples in teacher.samples(todo.draws, wanted, todo.sampling, watching):
            golds = [todo.slots[one.index].problem.answer for one in samples]
            rewards = [reward(grader, one.text, gold) for one, gold in zip(samples, golds, strict=True)]
            file.append([todo.rollout(one, got) for one, got in zip(samples, rewards, strict=True)])
            made += len(samples)
            right += sum(got.value > 0 for got in rewards)
            progress.done += len(samples)
            progress.what = f", {100 * right / max(made, 1):.0f} % right"
            progress.report(last=made == len(wanted))
    return len(wanted) - made


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came; a second one acts as it would without this."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came: list[int] = []
    before: dict[int, Any] = {}

    def handle(number: int, _frame: object) -> None:
        came.append(number)
        signal.signal(number, before[number])

    for ends in (signal.SIGINT, signal.SIGTERM):
        before[ends] = signal.signal(ends, handle)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
