"""How far a run is, on stderr. No torch."""

from __future__ import annotations

import time
from collections.abc import Callable

from inspector.common.console import StatusLine, rewritable
from inspector.common.text import duration

_DRAWN_EVERY = 0.2


class Progress(StatusLine):
    """How far, how fast, how long it will take, and `what` more there is to say."""

    def __init__(self, total: int, done: int = 0) -> None:
        super().__init__()
        self.total, self.done, self.what = total, done, ""
        self._before = done
        self._start = self._drawn = time.monotonic()
        self._tokens = 0

    def step(self, tokens: int) -> None:
        """So many tokens more."""
        self._tokens += tokens
        self.report()

    def report(self, *, last: bool = False) -> None:
        """Show it, unless it was shown just now."""
        now = time.monotonic()
        if last or now - self._drawn >= _DRAWN_EVERY:
            self._drawn = now
            self.show(f"{self.line(now - self._start)}{self.what}", last=last)

    def line(self, seconds: float) -> str:
        """`12 of 40 (30 %), 1.5/s, 190 tokens/s, 19 s left`, the speed by what this run made alone."""
        made = self.done - self._before
        text = f"{self.done} of {self.total} ({100 * self.done // max(self.total, 1)} %)"
        if made and seconds > 0:
            left = duration((self.total - self.done) * seconds / made)
            text += f", {made / seconds:.3g}/s, {self._tokens / seconds:.0f} tokens/s, {left} left"
        return text


def status(text: str, _done: int = 0, _total: int = 0) -> None:
    """What is being prepared: on a terminal only."""
    if rewritable():
        StatusLine().show(text)


def once(note: Callable[[str], None]) -> Callable[[str], None]:
    """Every note once: each batch, or run, may have the same to say."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            note(text)

    return tell
