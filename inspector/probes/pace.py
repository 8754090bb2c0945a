"""How fast it goes, and how long the whole run still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from inspector.common.text import duration

Report = Callable[[str, int, int], None]


class Course:
    """The parts of one run in their order; what each reports is told with the time that all of them still take."""

    def __init__(self, parts: Sequence[str], seconds: Mapping[str, float], report: Report) -> None:
        """`seconds`: about how long a part takes, of those for which that is known."""
        self._parts, self._seconds, self._tell = tuple(parts), seconds, report
        self._at, self._first = 0, (0.0, 0)

    def begin(self, part: str) -> None:
        self._at, self._first = self._parts.index(part), (0.0, 0)

    def report(self, text: str, done: int, total: int) -> None:
        """What the present part does, and which one it is."""
        parts = len(self._parts)
        self._tell(f"part {self._at + 1} of {parts}: {text}" if parts > 1 else text, done, total)

    def counted(self, text: str, done: int, total: int) -> None:
        """The same, with the time left by what was done since this part's first report."""
        now = time.monotonic()
        started, before = self._first = self._first if self._first[0] else (now, done)
        left = f" · {self.left((total - done) * (now - started) / (done - before))}" if done > before else ""
        self.report(f"{text}{left}", done, total)

    def left(self, seconds: float) -> str:
        """How long the run takes when its present part takes so long; a part never measured here is named instead."""
        later = self._parts[self._at + 1 :]
        if not later:
            return f"{duration(seconds)} left"
        if any(part not in self._seconds for part in later):
            return f"{duration(seconds)} left, then {', '.join(later)}"
        return f"about {duration(seconds + sum(self._seconds[part] for part in later))} left"


class Pace:
    """Counts tokens of a known total, and reports with speed and remaining time at most ten times a second."""

    def __init__(self, total: int, course: Course) -> None:
        self.total, self.done = total, 0
        self.what = ""
        self._course, self._started, self._told = course, time.monotonic(), 0.0

    @property
    def speed(self) -> float:
        """Tokens per second so far."""
        return self.done / max(time.monotonic() - self._started, 1e-6)

    def step(self, tokens: int) -> None:
        self.done = min(self.done + tokens, self.total)
        now = time.monotonic()
        if now - self._told > 0.1 or self.done == self.total:
            self._told = now
            left = self._course.left((self.total - self.done) / self.speed)
            self._course.report(f"{self.what} · {self.speed:,.0f} tokens/s · {left}", self.done, self.total)

    def skip(self, tokens: int) -> None:
        """Work that turned out to be done already."""
        self.total -= tokens
