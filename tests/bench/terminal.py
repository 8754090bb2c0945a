"""The app in a pseudo-terminal: keys go in, bytes come out, both with their times."""

import os
import select
import time
from collections.abc import Sequence
from pathlib import Path

from tests.tui import terminal

QUIET = 0.12
"""Seconds without output that end a repaint."""


class Terminal(terminal.Terminal):
    """`inspector args…` at 80×24 in 256 colours, with a session of its own. What comes is timed, not drawn."""

    def __init__(self, args: Sequence[str], state: Path) -> None:
        self.started = time.perf_counter()
        super().__init__("-m", "inspector", *args, TERM="screen-256color", COLORTERM="", XDG_STATE_HOME=str(state))

    def appeared(self, text: str, timeout: float = 120) -> float:
        """Seconds since the start until the output holds `text`. Raises TimeoutError where it never does."""
        while text.encode() not in self.written:
            if time.perf_counter() - self.started > timeout:
                raise TimeoutError(f"{text!r} never appeared; the last output was {self.written[-300:]!r}")
            if select.select([self.leader], [], [], 0.05)[0]:
                self.written += os.read(self.leader, 65536)
        return time.perf_counter() - self.started

    def settle(self, quiet: float = QUIET) -> tuple[int, float]:
        """Bytes until `quiet` seconds of silence, and when the last of them came."""
        count, last = 0, time.perf_counter()
        while select.select([self.leader], [], [], quiet)[0]:
            count += len(os.read(self.leader, 65536))
            last = time.perf_counter()
        return count, last

    def stroke(self, key: str) -> tuple[float, int]:
        """Seconds from the key to the last byte of its repaint, and how many bytes that took."""
        started = time.perf_counter()
        self.type(key)
        if not select.select([self.leader], [], [], 2)[0]:
            return 0.0, 0
        count, last = self.settle()
        return last - started, count
