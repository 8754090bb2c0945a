"""Commands, each a process of its own, forked from one that has imported torch and nothing of the project.

`python -m tests.acceptance.nursery` reads a command a line from stdin and answers with its exit code. What the command
imports, reads of its environment and writes is as in a process started anew, but for the seconds torch takes.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TIMEOUT = 300.0


class Nursery:
    """The process that forks, seen from the tests."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.nursery"],
            cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        atexit.register(self._end)

    def run(self, args: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
            asked = {"args": args, "cwd": str(cwd), "env": env, "out": out.name, "err": err.name}
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
            code = json.loads(self._process.stdout.readline())
            texts = (Path(file.name).read_text(encoding="utf-8") for file in (out, err))
            if code is None:
                raise subprocess.TimeoutExpired(args, TIMEOUT, *texts)
            return subprocess.CompletedProcess(args, code, *texts)

    def _end(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def _next() -> dict[str, Any] | None:
    """The command to be, in its own process; None in the one that forks, once nobody asks any more."""
    while line := sys.stdin.buffer.readline():
        child = os.fork()
        if not child:
            return json.loads(line)
        os.write(1, json.dumps(_ended(child)).encode() + b"\n")
    return None


def _ended(child: int) -> int | None:
    """Its exit code, as subprocess tells it; None where it had to be killed."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None


def _become(asked: dict[str, Any]) -> None:
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, asked["out"], os.O_WRONLY),
        (2, asked["err"], os.O_WRONLY),
    ):
        os.dup2(os.open(path, flags), number)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    sys.path[0] = asked["cwd"]
    sys.argv = ["inspector", *asked["args"]]


if __name__ == "__main__":
    import torch  # noqa: F401

    if command := _next():
        _become(command)
        runpy.run_module("inspector", run_name="__main__", alter_sys=True)
