"""Commands, each a process of its own, forked from one that has imported libraries and nothing of the project.

`python -m tests.acceptance.nursery LIBRARY…` reads a line of JSON from stdin and answers with another: a command's
process, once it is asked for one; its exit code, asked for a process, or null while it runs. What the command
imports, reads of its environment and writes is as in a process started anew, but for what those libraries do and read
while they are imported.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import itertools
import json
import math
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Nursery:
    """The process that forks, seen from the tests."""

    def __init__(self, *libraries: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.nursery", *libraries],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_TELEMETRY": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._written = tempfile.TemporaryDirectory()
        self._begun = itertools.count()
        atexit.register(self._end)

    def begin(self, module: str, args: list[str], cwd: Path, env: dict[str, str]) -> Child:
        """`python -m module args…`."""
        out, err = (Path(self._written.name, f"{next(self._begun)}") for _ in range(2))
        out.touch()
        err.touch()
        asked = {"module": module, "args": args, "cwd": cwd, "env": env, "out": out, "err": err}
        return Child(self, self.ask(asked), out, err)

    def ask(self, question: dict[str, Any] | int) -> int | None:
        self._process.stdin.write(json.dumps(question, default=str).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def _end(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._written.cleanup()


class Child:
    """What tests use of subprocess.Popen, of a command that the nursery has begun."""

    def __init__(self, nursery: Nursery, pid: int, out: Path, err: Path) -> None:
        self._nursery, self._pid, self._out, self._err = nursery, pid, out, err
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.ask(self._pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self._pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = math.inf) -> tuple[bytes, bytes]:
        """What it has written, once it has ended."""
        deadline = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        late = self.poll() is None
        if late:
            self.kill()
        out, err = self._out.read_bytes(), self._err.read_bytes()
        if late:
            raise subprocess.TimeoutExpired(str(self._pid), timeout, out, err)
        return out, err


def _next() -> dict[str, Any] | None:
    """The command to be, in its own process; None in the one that forks, once nobody asks any more."""
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        if isinstance(asked, dict):
            answer = os.fork()
            if not answer:
                return asked
        else:
            ended, status = os.waitpid(asked, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        os.write(1, json.dumps(answer).encode() + b"\n")
    return None


def _become(asked: dict[str, Any]) -> None:
    for number, path in enumerate((os.devnull, asked["out"], asked["err"])):
        os.dup2(os.open(path, os.O_WRONLY if number else os.O_RDONLY), number)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    sys.path[0] = asked["cwd"]
    sys.argv = [asked["module"], *asked["args"]]


def _leave(code: int) -> None:
    """As the interpreter leaves, but for the fifth of a second in which it takes torch apart."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    for library in sys.argv[1:]:
        importlib.import_module(library)
    gc.freeze()
    if command := _next():
        _become(command)
        try:
            runpy.run_module(command["module"], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            if isinstance(end.code, int):
                _leave(end.code)
            raise
