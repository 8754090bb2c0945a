"""A real terminal for the app: a pty whose slave is its controlling terminal, as a terminal emulator gives it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pyte

ROOT = Path(__file__).parents[2]
UNKNOWN = re.compile(rb"\x1b\[[<>][\d;]*u|\x1b\[\?\d+\$p")
"""Keyboard protocol and queries, which pyte would print."""
MODES = {1049: False, 25: True, 1000: False, 1003: False, 1006: False, 1004: False, 2004: False}
"""Private modes of a terminal, and whether a shell expects them set."""


class Terminal:
    """A process on a pty; `written` is all it has sent."""

    def __init__(self, *program: str, size: tuple[int, int] = (80, 24), cwd: Path = ROOT, **env: str) -> None:
        self.leader, self.follower = pty.openpty()
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(self.follower)
        self.written = b""
        self.screen = pyte.Screen(*size)
        self.emulator = pyte.ByteStream(self.screen)
        known = {k: v for k, v in os.environ.items() if k not in {"PYTHONWARNINGS", "COLUMNS", "LINES"}}
        known |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | env
        self.process = subprocess.Popen(
            [sys.executable, *program], stdin=self.follower, stdout=self.follower, stderr=self.follower,
            env=known, cwd=cwd, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one system call
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for handle in (self.leader, self.follower):
            if handle >= 0:
                os.close(handle)

    def read(self, seconds: float = 0.05) -> None:
        """Take in what was sent."""
        until = time.monotonic() + 10 * seconds  # a cursor that blinks never ends
        while select.select([self.leader], [], [], seconds)[0] and time.monotonic() < until:
            try:
                found = os.read(self.leader, 65536)
            except OSError:  # the last follower was closed
                return
            self.written += found
            self.emulator.feed(UNKNOWN.sub(b"", found.replace(b"\x1b[?1049h", b"\x1b[?1049h\x1b[2J")))

    @property
    def text(self) -> str:
        """What stands on the screen; the alternate one is empty each time it is entered."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, condition: Callable[[], object], seconds: float = 120.0) -> None:
        """Read until something holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"\n{self.text}\n{self.written[-300:]!r}"
            self.read()

    def shows(self, *words: str) -> None:
        """Wait for words on the screen."""
        self.until(lambda: all(word in self.text for word in words))

    def type(self, keys: str) -> None:
        os.write(self.leader, keys.encode())

    def lose(self) -> None:
        """The window is closed: the kernel hangs up."""
        os.close(self.follower)
        os.close(self.leader)
        self.leader = self.follower = -1

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    @property
    def cooked(self) -> bool:
        """Whether the line discipline is as it was before the app."""
        return termios.tcgetattr(self.follower) == self.before

    @property
    def modes(self) -> dict[int, bool]:
        """The private modes as the last sequence of each left them; those never touched are as a shell expects."""
        found = dict(MODES)
        for numbers, which in re.findall(rb"\x1b\[\?([\d;]+)([hl])", self.written):
            found |= {int(number): which == b"h" for number in numbers.split(b";")}
        return {mode: found[mode] for mode in MODES}

    @property
    def kitty(self) -> int:
        """How often the keyboard protocol was pushed and not popped."""
        return len(re.findall(rb"\x1b\[>\d+u", self.written)) - self.written.count(b"\x1b[<u")

    @property
    def stopped(self) -> bool:
        """Whether the process sleeps after SIGTSTP."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def signal(self, name: str) -> None:
        self.process.send_signal(getattr(signal, name))

    def assert_left_in_order(self) -> None:
        """Cooked, main screen, cursor shown, no mouse, no paste brackets, no odd keyboard."""
        self.read()
        assert self.cooked
        assert self.modes == MODES
        assert self.kitty == 0
