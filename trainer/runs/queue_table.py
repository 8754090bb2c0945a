"""What is seen of a queue: a table on a terminal; elsewhere a line for each event, and one a minute."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence

from inspector.common.console import rewritable, say
from inspector.common.text import duration
from trainer.runs.log import read_log
from trainer.runs.tasks import Task
from trainer.saving import outcome

_DRAWN_EVERY, _PRINTED_EVERY = 1.0, 60.0
"""Seconds."""
_HEAD = ("", "", "step", "loss", "tokens/s", "left")


class Pace:
    """How far a run is by its log, and how fast since its first step here."""

    def __init__(self, task: Task, device: str) -> None:
        self._task, self._device = task, device
        self._log = task.folder / outcome.LOG
        self._first = self._last()[0]
        self._began: tuple[int, int, float] | None = None
        self._seen = self._first, 0.0

    def row(self) -> tuple[str, ...]:
        """Name, device, step, loss, tokens a second and time left; empty where there is nothing yet."""
        step, loss, tokens = self._last()
        now, steps = time.monotonic(), self._task.recipe.steps
        name, head = self._task.folder.name, f"{step:,} of {steps:,}"
        self._first = min(self._first, step)  # what was after the checkpoint is made again
        if step == self._first:
            return name, self._device, head if step else "loading", "", "", ""
        if self._began is None:
            self._began = step, tokens, now
        if step != self._seen[0]:
            self._seen = step, now
        first, before, began = self._began
        spent = self._seen[1] - began
        if step == first or not spent:
            return name, self._device, head, f"{loss:.4f}", "", ""
        left = duration((steps - step) * spent / (step - first))
        return name, self._device, head, f"{loss:.4f}", f"{(tokens - before) / spent:,.0f}", left

    def _last(self) -> tuple[int, float, int]:
        """The last step, its loss, and the tokens of all of them."""
        found = [line for line in read_log(self._log) if "loss" in line]
        if not found:
            return 0, 0.0, 0
        return int(found[-1]["step"]), found[-1]["loss"], int(sum(line["tokens"] for line in found))


class Table:
    """The runs that are being trained, and how many are not."""

    def __init__(self, total: int) -> None:
        self._total, self._drawn = total, 0
        self._at = time.monotonic()

    def say(self, text: str) -> None:
        """A line that stays, above the table."""
        self.lift()
        say(text)

    def started(self, name: str, device: str) -> None:
        """Where there is no table to show it."""
        if not rewritable():
            say(f"{name}: started on {device}.")

    def show(self, paces: Sequence[Pace], done: int, waiting: int, failed: int) -> None:
        """Draw it, or say it, if the last time is long enough ago."""
        now = time.monotonic()
        if now - self._at < (_DRAWN_EVERY if rewritable() else _PRINTED_EVERY):
            return
        self._at = now
        rows = [pace.row() for pace in paces]
        rest = f"{done} of {self._total} done, {waiting} waiting" + (f", {failed} failed" if failed else "")
        if not rewritable():
            say("; ".join([*(f"{name} {step}" for name, _, step, *_ in rows), rest]))
            return
        width, height = shutil.get_terminal_size()
        lines = [line[: width - 1] for line in [*_aligned([_HEAD, *rows])[: height - 2], rest]]
        self.lift()
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()
        self._drawn = len(lines)

    def lift(self) -> None:
        """Remove it, so that something can be printed."""
        if self._drawn:
            sys.stderr.write(f"\033[{self._drawn}A\033[J")
            sys.stderr.flush()
            self._drawn = 0


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Name and device on the left, numbers on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
