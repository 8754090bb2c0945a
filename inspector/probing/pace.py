"""How fast it goes and how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from inspector.probing.request import clock

Report = Callable[[str, int, int], None]


class Pace:
    """Counts tokens of a known total, and reports with speed and remaining time at most ten times a second."""

    def __init__(self, total: int, report: Report) -> None:
        self.total, self.done = total, 0
        self.what = ""
        self._report, self._started, self._told = report, time.monotonic(), 0.0

    @property
    def speed(self) -> float:
        """Tokens per second so far."""
        return self.done / max(time.monotonic() - self._started, 1e-6)

    def step(self, tokens: int) -> None:
        self.done = min(self.done + tokens, self.total)
        now = time.monotonic()
        if now - self._told > 0.1 or self.done == self.total:
            self._told = now
            left = clock((self.total - self.done) / self.speed)
            self._report(f"{self.what} · {self.speed:,.0f} tokens/s · {left} left", self.done, self.total)

    def skip(self, tokens: int) -> None:
        """Work that turned out to be done already."""
        self.total -= tokens
