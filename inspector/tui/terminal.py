"""The terminal's own ways to stop the app: suspended and continued, closed, gone. What Textual 8.2 leaves open."""

from __future__ import annotations

import select
import signal
import threading
from contextlib import suppress
from typing import Any, TextIO

from textual.drivers.linux_driver import LinuxDriver


class _Lossy:
    """A terminal's file that may be gone: writing to it is then nothing.

    Textual's writer thread would end with the error, and the app wait for ever on that thread's full queue.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()


class TerminalDriver(LinuxDriver):
    """Continued, the app takes the terminal anew, however it was stopped; once the terminal is gone, it leaves."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._file: Any = _Lossy(self._file)
        # In the loop's own turn: in the middle of a write, a handler that writes would wait for its own lock.
        self._loop.add_signal_handler(signal.SIGTSTP, self._sigtstp_application)
        self._loop.add_signal_handler(signal.SIGCONT, self._sigcont_application)
        threading.Thread(target=self._await_hangup, name="hangup", daemon=True).start()

    def _sigcont_application(self, *_: object) -> None:
        """SIGSTOP gave no chance to leave the terminal in order: do so now, or its modes would be lost for good.

        An app that is leaving stays out of it: a window that closes sends SIGHUP and SIGCONT, and input that starts
        once more would be read for ever.
        """
        if self._app.return_code is not None:
            return
        if self._auto_restart and not self._must_signal_resume:
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application()

    def _await_hangup(self) -> None:
        """Not every terminal that goes sends SIGHUP (nohup, sudo); Textual would read its end of file for ever."""
        terminal = select.poll()
        terminal.register(self.fileno, 0)
        if any(event & select.POLLHUP for _, event in terminal.poll()):
            signal.raise_signal(signal.SIGHUP)

    def run_input_thread(self) -> None:
        with suppress(OSError):  # hung up: not a crash to be shown on a screen that is gone
            super().run_input_thread()
