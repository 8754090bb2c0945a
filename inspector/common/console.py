"""What a command prints on stderr while it works: stdout is data."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from inspector.common.text import in_bytes

_EVERY = 10.0
"""Seconds between two lines where none can be rewritten."""


def rewritable() -> bool:
    """Whether stderr is a terminal on which a line can be rewritten in place."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def clear() -> None:
    """Remove the line that is being rewritten."""
    if rewritable():
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


def say(text: str) -> None:
    """Print a line of its own."""
    clear()
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def wrote(*paths: Path) -> None:
    """Print that files were written, and how large each is."""
    for path in paths:
        say(f"Wrote {path} ({in_bytes(path.stat().st_size)}).")


class StatusLine:
    """One line on a terminal, rewritten in place; elsewhere one every ten seconds, the first `at_once` or after ten."""

    def __init__(self, *, at_once: bool = False) -> None:
        self._printed = time.monotonic() - at_once * 2 * _EVERY
        self._begun = False

    def show(self, text: str, *, last: bool = False) -> None:
        """Print the state; the last one always, and it stays."""
        if rewritable():
            line = _fitted(text, shutil.get_terminal_size().columns - 1)
            sys.stderr.write(f"\r\033[K{line}" + "\n" * last)
            sys.stderr.flush()
        elif last or time.monotonic() - self._printed > _EVERY:
            self._printed, self._begun = time.monotonic(), not last
            say(text)


class Progress(StatusLine):
    """How much of something is done, as a share; the last line goes on a terminal, and ends a count that began."""

    def __call__(self, text: str, done: int, total: int) -> None:
        self.show(f"{text} ({100 * done // total} %)" if total else text, last=self._begun and done == total)
        if done == total:
            clear()


def _fitted(text: str, width: int) -> str:
    """On one line, or it could not be rewritten: what is done gives way to how fast and how long still."""
    over = len(text) - width
    head, dot, tail = text.partition(" · ")
    if over <= 0:
        return text
    return f"{head[: -over - 1]}…{dot}{tail}" if dot and over + 1 < len(head) else f"{text[: width - 1]}…"
