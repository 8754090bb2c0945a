"""The app in a pseudo-terminal: keys go in, bytes come out, both with their times."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUIET = 0.12
"""Seconds without output that end a repaint."""


class Terminal:
    """`inspector args…` on a terminal of 80×24, 256 colours, with a session of its own."""

    def __init__(self, args: Sequence[str], state: Path, columns: int = 80, rows: int = 24) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = os.environ | {"TERM": "screen-256color", "XDG_STATE_HOME": str(state), "PYTHONPATH": str(ROOT)}
        env.pop("COLORTERM", None)
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inspector", *args],
            stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def until(self, text: str, timeout: float = 60) -> float:
        """Seconds since the start until the output holds `text`."""
        seen = b""
        while time.perf_counter() - self.started < timeout:
            if select.select([self.master], [], [], 0.05)[0]:
                seen += os.read(self.master, 65536)
                if text.encode() in seen:
                    return time.perf_counter() - self.started
        raise TimeoutError(f"{text!r} never appeared; the last output was {seen[-300:]!r}")

    def settle(self, quiet: float = QUIET) -> tuple[int, float]:
        """Bytes until `quiet` seconds of silence, and when the last of them came."""
        count, last = 0, time.perf_counter()
        while select.select([self.master], [], [], quiet)[0]:
            count += len(os.read(self.master, 65536))
            last = time.perf_counter()
        return count, last

    def stroke(self, key: str) -> tuple[float, int]:
        """Seconds from the key to the last byte of its repaint, and how many bytes that took."""
        started = time.perf_counter()
        self.press(key)
        if not select.select([self.master], [], [], 2)[0]:
            return 0.0, 0
        count, last = self.settle()
        return last - started, count

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        os.close(self.master)
