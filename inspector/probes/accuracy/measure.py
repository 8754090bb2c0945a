"""Greedy pass@1 of a base and its adapters, problem by problem, and what the problems say about pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inspector._version import __version__
from inspector.adapters.model import Adapter
from inspector.adapters.opening import identity
from inspector.base_model.generation import Answer, Hooks
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import count
from inspector.probes.accuracy.engines import Engine
from inspector.probes.accuracy.records import Record, Records, key_of
from inspector.probes.accuracy.solved import Results
from inspector.tasks.grading import Grader
from inspector.tasks.problems import Problem, Problems

_EVERY = 1.0
"""Seconds between two partial results."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who hears of an evaluation while it runs, and who may end it."""

    progress: Callable[[str, int, int], None] = lambda _text, _done, _total: None
    """(what is running, answers there are, answers there will be)."""
    partial: Callable[[Results], None] = lambda _results: None
    note: Callable[[str], None] = lambda _text: None
    cancelled: Callable[[], bool] = lambda: False


def evaluate(
    engine: Engine, adapters: Sequence[Adapter], problems: Problems, folder: Path, watch: Watch, *, with_base: bool
) -> Results:
    """Every model's answer to every problem: from the records where it is there, else generated, graded and kept.

    A model that fails is left incomplete and named in `failures`. Raises InspectorError when the records cannot
    be used or no model has any answer, CancelledError when cancelled; the records keep what was done.
    """
    with ExitStack() as stack:
        work = _Evaluation(engine, adapters, problems, watch, with_base=with_base)
        work.open_records(folder, stack)
        grader = stack.enter_context(Grader())
        try:
            for name, records in work.models:
                work.fill(name, records, grader)
        finally:
            results = work.results()
            watch.partial(results)
    if work.failures and not any((*results.adapters, results.base or {})):
        raise InspectorError(next(iter(work.failures.values())))
    return results


class _Evaluation:
    """One table while it fills."""

    def __init__(
        self, engine: Engine, adapters: Sequence[Adapter], problems: Problems, watch: Watch, *, with_base: bool
    ) -> None:
        self.engine, self.watch, self.with_base, self.problems = engine, watch, with_base, problems
        self.digests = {adapter.info.name: identity(adapter) for adapter in adapters}
        self.models: list[tuple[str | None, Records]] = []
        self.failures: dict[str, str] = {}
        self.notes = [caution] if (caution := engine.info().note) else []
        asked = zip(problems.problems, engine.prompts(problems), strict=True)
        fitting = [(key_of(prompt, p.answer), p, prompt) for p, prompt in asked if prompt is not None]
        self.keys = tuple(key for key, _, _ in fitting)
        self.asked: dict[str, tuple[Problem, Any]] = {key: (problem, prompt) for key, problem, prompt in fitting}
        if long := len(problems.problems) - len(fitting):
            self.note(f"left out {count(long, 'problem')}: longer than the base's context")
        if not fitting:
            raise InspectorError(f"No problem of {problems.name} fits into the context of {engine.base}.")
        self.done: int
        """Answers there are, of all models."""
        self._next_partial = time.monotonic() + _EVERY

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.watch.note(text)

    def open_records(self, folder: Path, stack: ExitStack) -> None:
        """All files at once: who else writes one of them is known before anything is generated."""
        opened: dict[str, Records] = {}
        for name in (*((None,) if self.with_base else ()), *self.digests):
            run = self.engine.run(self.problems.name, name, self.digests[name] if name else "")
            if run.file not in opened:
                opened[run.file] = stack.enter_context(Records(folder, run, name or self.engine.base, self.note))
            self.models.append((name, opened[run.file]))
        self.done = sum(key in records.done for _, records in self.models for key in self.asked)
        if self.done:
            self.watch.note(f"{self.done} of {len(self.models) * len(self.asked)} answers are in the records already")

    def fill(self, name: str | None, records: Records, grader: Grader) -> None:
        """Generate, grade and keep what this model has no record of yet."""
        todo = [key for key in self.asked if key not in records.done]
        label, speed = name or self.engine.base, _Speed()
        shared = sum(other is records for _, other in self.models)
        open_ = len(todo)

        def step(tokens: int) -> None:
            speed.add(tokens)
            if speed.due():
                self._progress(label, open_, speed.text)

        self._progress(label, open_, "")
        hooks = Hooks(self.watch.cancelled, self.note, step)
        for answer in self._answers(name, [self.asked[key][1] for key in todo], hooks):
            key = todo[answer.index]
            problem = self.asked[key][0]
            verdict = grader.grade(answer.text, problem.answer)
            graded = (verdict.correct, verdict.status, verdict.parsed)
            records.append([Record(key, problem.id, *graded, answer.text, answer.tokens, answer.finish)])
            open_, self.done = open_ - 1, self.done + shared
            self._progress(label, open_, speed.text)
            if time.monotonic() >= self._next_partial:
                self.watch.partial(self.results())
                self._next_partial = time.monotonic() + _EVERY
        if open_ and label not in self.failures:
            self.failures[label] = f"{label} has no answer to {count(open_, 'problem')}: run again to ask once more."

    def _answers(self, name: str | None, prompts: Sequence[Any], hooks: Hooks) -> Iterator[Answer]:
        """The engine's answers; what stops it becomes this model's failure, and the others go on."""
        if not prompts:
            return
        try:
            yield from self.engine.answers(name, prompts, hooks)
        except CancelledError:
            raise
        except InspectorError as error:
            self.failures[name or self.engine.base] = str(error)
            self.note(str(error))

    def _progress(self, label: str, left: int, speed: str) -> None:
        size = len(self.asked)
        self.watch.progress(f"{label}: {size - left} of {size}{speed}", self.done, len(self.models) * size)

    def results(self) -> Results:
        """What is there by now."""
        found = [{key: r.done[key] for key in self.asked if key in r.done} for _, r in self.models]
        base, adapters = (found[0], found[1:]) if self.with_base else (None, found)
        info = replace(
            self.engine.info(), prompts=self.problems.name, prompts_digest=self.problems.digest,
            examples=len(self.keys), note="; ".join(dict.fromkeys(self.notes)), version=__version__,
        )  # fmt: skip
        return Results(info, tuple(self.digests), self.keys, base, tuple(adapters), dict(self.failures))


class _Speed:
    """Tokens per second since the first one."""

    def __init__(self) -> None:
        self._started = self._shown = time.monotonic()
        self._tokens = 0

    def add(self, tokens: int) -> None:
        self._tokens += tokens

    def due(self) -> bool:
        """Whether it was not shown for a while."""
        now = time.monotonic()
        if now - self._shown < _EVERY / 4:
            return False
        self._shown = now
        return True

    @property
    def text(self) -> str:
        seconds = time.monotonic() - self._started
        return f", {self._tokens / seconds:.0f} tokens/s" if self._tokens and seconds > 0 else ""
