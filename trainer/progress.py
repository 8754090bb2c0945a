"""How far a run is: one line on a terminal, rewritten in place; elsewhere a line every ten seconds. No torch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from inspector.narration import rewritable

_PLAIN_EVERY, _DRAWN_EVERY = 10.0, 0.2


class Progress:
    """Say how far, how fast, how long it will take, and `what` more there is to say, on stderr."""

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.done, self.what = total, done, ""
        self._before, self._start = done, time.monotonic()
        self._told = self._start
        self._tokens = 0

    def step(self, tokens: int) -> None:
        """So many tokens more."""
        self._tokens += tokens
        self.show()

    def show(self, *, last: bool = False) -> None:
        """Tell, unless it was told just now."""
        now = time.monotonic()
        terminal = rewritable()
        if now - self._told < (_DRAWN_EVERY if terminal else _PLAIN_EVERY) and not last:
            return
        self._told = now
        line, end = f"{self.line(now - self._start)}{self.what}", "\n" if last else ""
        sys.stderr.write(f"\r\033[K{line}{end}" if terminal else f"{line}\n")
        sys.stderr.flush()

    def line(self, seconds: float) -> str:
        """`12 of 40 (30 %), 1.5/s, 190 tokens/s, 0:19 left`, the speed by what this run made alone."""
        made = self.done - self._before
        text = f"{self.done} of {self.total} ({100 * self.done // max(self.total, 1)} %)"
        if made and seconds > 0:
            left = clock((self.total - self.done) * seconds / made)
            text += f", {made / seconds:.3g}/s, {self._tokens / seconds:.0f} tokens/s, {left} left"
        return text


def clock(seconds: float) -> str:
    """`0:19`, `12:05`, `3:02:10`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def status(text: str, _done: int = 0, _total: int = 0) -> None:
    """What is being prepared: on a terminal only."""
    if rewritable():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def say(text: str) -> None:
    """A line of its own on stderr."""
    sys.stderr.write(f"\r\033[K{text}\n" if rewritable() else f"{text}\n")
    sys.stderr.flush()


def once(note: Callable[[str], None]) -> Callable[[str], None]:
    """Every note once: each batch, or run, may have the same to say."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            note(text)

    return tell
