"""What a command tells on stderr while it works: stdout is data."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspector.adapters.progress import Progress as Download


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


class Progress:
    """One line on a terminal, rewritten in place; elsewhere a line every ten seconds."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, text: str, done: int, total: int) -> None:
        share = f" ({100 * done // total} %)" if total else ""
        if sys.stderr.isatty():
            end = "\r\033[K" if done == total else ""
            sys.stderr.write(f"\r\033[K{text}{share}{end}")
            sys.stderr.flush()
        elif time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            say(f"{text}{share}")


class Downloads:
    """One line a file, rewritten in place on a terminal."""

    def __init__(self) -> None:
        self._file = ""

    def __call__(self, at: Download) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{at.source} {at.file}: {at.done / 1e6:.1f} of {at.total / 1e6:.1f} MB")
            if at.done >= at.total:
                sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        elif at.file != self._file:
            say(f"Downloading {at.source} {at.file} …")
        self._file = at.file
