"""Runs commands one after the other in this process and tells how each ended, a line of JSON each.

    python -m tests.hostile.run commands.json

The commands' own `main` runs, as in a process of its own. Each has a deadline that kills the process (of the time it
computes, which other work on the machine does not change, and a wide one of the clock, for those that wait), no more
address space than the process had and `ROOM` beside it, and its own peak of memory.
"""

import contextlib
import io
import json
import os
import resource
import signal
import sys
from pathlib import Path

from inspector.cli.main import main

COMPUTING, WAITING = 5.0, 60.0
"""Seconds."""
ROOM = 4 * 2**30


def run(args: list[str], computing: float = COMPUTING) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    _deadlines(computing, WAITING)
    _reset_peak()
    before = memory("VmRSS")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(args)
        code = None
    except SystemExit as end:
        code = end.code
    _deadlines(0, 0)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue(), "grown": memory("VmHWM") - before}


def _deadlines(computing: float, waiting: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, computing)
    signal.setitimer(signal.ITIMER_REAL, waiting)


def memory(field: str) -> int:
    """VmRSS, VmHWM or VmSize of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    commands = json.loads(Path(sys.argv[1]).read_text())
    run(commands[0], WAITING)  # what is imported and allocated once counts for no case
    limit = memory("VmSize") + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for command in commands[1:]:
        os.write(1, (json.dumps(run(command)) + "\n").encode())
