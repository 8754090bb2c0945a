"""Whether an answer is right, by math-verify. No torch."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from inspector.common.errors import InspectorError
from inspector.tasks.problems import last_boxed

Status = Literal["ok", "unparsable_answer", "unparsable_gold", "timeout"]
LIMIT = 5
"""Seconds one answer may take."""
_LONGEST = 20_000
"""Characters of an answer without a box that are looked at, its last ones."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is right, how the grading went, and what was read as the answer."""

    correct: bool
    status: Status
    parsed: str = ""


def correct(answer: str, gold: str) -> Verdict:
    r"""Compare what an answer says with the gold answer.

    The last complete `\boxed{…}` counts; without one, whatever math-verify finds last. An answer that cannot be
    read is wrong, and says so. Never raises; may take for ever (`\boxed{9^{9^{9}}}`), which `Grader` ends.
    """
    wanted = _parsed(f"\\boxed{{{gold}}}") or _parsed(gold)
    if not wanted:
        return Verdict(correct=False, status="unparsable_gold")
    boxed = last_boxed(answer)
    found = _parsed(f"\\boxed{{{boxed}}}" if boxed else answer[-_LONGEST:])
    if not found:
        return Verdict(correct=False, status="unparsable_answer")
    return Verdict(_same(wanted, found), "ok", str(found[-1])[:200])


def _parsed(text: str) -> list[Any]:
    """What math-verify reads, empty where nothing. Its own time limits need the main thread: off."""
    from math_verify import parse  # type: ignore[import-untyped]

    _quiet()
    try:
        return list(parse(text, parsing_timeout=None))
    except Exception:  # noqa: BLE001 - sympy raises anything, RecursionError and MemoryError included
        return []


def _same(wanted: list[Any], found: list[Any]) -> bool:
    from math_verify import verify

    try:
        return bool(verify(wanted, found, timeout_seconds=None))
    except Exception:  # noqa: BLE001 - as above
        return False


def _quiet() -> None:
    """math-verify warns at every call without its own limit, and of every text it cannot read."""
    for name in ("math_verify", "latex2sympy2_extended"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class Grader:
    """Grades in a second process, which is ended when an answer takes longer than the limit.

    Usable from any thread, as a context manager.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop()

    def grade(self, answer: str, gold: str) -> Verdict:
        """`correct`, or status `timeout`. Raises InspectorError when the second process cannot run at all."""
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(f"{json.dumps([answer, gold])}\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError:
                line = ""
            except BaseException:
                self._stop()  # else the next question would get this one's answer
                raise
            if not line:
                self._stop()
                return Verdict(correct=False, status="timeout")
        return Verdict(**json.loads(line))

    def _running(self) -> subprocess.Popen[str]:
        """The second process, started anew where the last one was ended."""
        if self._process is None:
            # A session of its own: Ctrl-C ends the evaluation at a clean place, not the grader in the middle of one.
            self._process = subprocess.Popen(  # noqa: S603 - this very file, by this very interpreter
                [sys.executable, "-P", "-m", "inspector.tasks.grading", str(self._limit)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                encoding="utf-8", start_new_session=True,
            )  # fmt: skip
            assert self._process.stdout is not None
            if self._process.stdout.readline() != "ready\n":
                self._stop()
                raise InspectorError("math-verify does not start: install adapter-inspector again, with its parts.")
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _serve(limit: int) -> None:
    """Answer one line of JSON with another until stdin ends.

    The alarm keeps its default action, which ends the process: also in the middle of one huge integer power,
    where no Python handler would ever run, and also when nobody is left to kill it.
    """
    import signal

    correct("1", "1")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    alarm = getattr(signal, "alarm", lambda _seconds: None)  # not on Windows
    for line in sys.stdin:
        alarm(limit)
        verdict = correct(*json.loads(line))
        alarm(0)
        sys.stdout.write(f"{json.dumps(asdict(verdict))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
