"""Running the commands as a user would."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.acceptance.nursery import TIMEOUT, Nursery

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "assets" / "demo"
_OF_PYTHON = ("PYTHON", "LC_", "LANG")
"""What the interpreter reads at its start, and torch while it is imported."""


def inspector(*args: str | Path, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """`inspector args…` without a terminal."""
    words = [str(arg) for arg in args]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"} | env
    if not any(name.startswith(_OF_PYTHON) or name == "OMP_NUM_THREADS" for name in env):
        return _nursery().run(words, cwd, environment)
    return subprocess.run(
        [sys.executable, "-m", "inspector", *words],
        cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT,
        check=False,
    )  # fmt: skip


@cache
def _nursery() -> Nursery:
    return Nursery(ROOT)
