"""What a command tells on stderr while it works: stdout is data."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspector.adapters.progress import Progress as Download


def rewritable() -> bool:
    """Whether stderr is a terminal on which a line can be rewritten in place."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def wrote(*paths: Path) -> None:
    """Say that files were written, and how large each is."""
    from inspector.adapters.progress import in_bytes

    for path in paths:
        say(f"Wrote {path} ({in_bytes(path.stat().st_size)}).")


def _fitted(text: str, width: int) -> str:
    """On one line, or it could not be rewritten: what is done gives way to how fast and how long still."""
    over = len(text) - width
    head, dot, tail = text.partition(" · ")
    if over <= 0:
        return text
    return f"{head[: -over - 1]}…{dot}{tail}" if dot and over + 1 < len(head) else f"{text[: width - 1]}…"


class Progress:
    """One line on a terminal, rewritten in place; elsewhere a line every ten seconds."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, text: str, done: int, total: int) -> None:
        share = f" ({100 * done // total} %)" if total else ""
        if rewritable():
            end = "\r\033[K" if done == total else ""
            line = _fitted(f"{text}{share}", shutil.get_terminal_size().columns - 1)
            sys.stderr.write(f"\r\033[K{line}{end}")
            sys.stderr.flush()
        elif time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            say(f"{text}{share}")


class Downloads:
    """How much is to come, then how much has: one line on a terminal, elsewhere one every ten seconds."""

    def __init__(self) -> None:
        self._source, self._told = "", 0.0

    def __call__(self, at: Download) -> None:
        from inspector.adapters.progress import in_bytes

        size = f"{in_bytes(at.done)} of {in_bytes(at.total)}"
        if rewritable():
            line = f"{size} · {at.source} {at.file}"[: shutil.get_terminal_size().columns - 1]
            sys.stderr.write(f"\r\033[K{line if at.done < at.total else ''}")
            sys.stderr.flush()
        elif at.source != self._source or time.monotonic() - self._told > 10:
            said = size if at.done else in_bytes(at.total)
            say(f"Downloading {at.source}: {said}")
            self._source, self._told = at.source, time.monotonic()
