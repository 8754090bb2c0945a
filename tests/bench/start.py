"""Time to the first frame and to the first numbers, against a bare `python -c pass` and `import textual`."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import QUICK
from tests.bench.terminal import Terminal
from tests.tui.terminal import ROOT

ROUNDS = 1 if QUICK else 5


def seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def main() -> None:
    first, numbers = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as state, Terminal([str(ROOT / "assets" / "demo")], Path(state)) as terminal:
            first.append(terminal.appeared("Reading"))
            numbers.append(terminal.appeared("pairs · 120 module"))
    bare = statistics.median(seconds("pass") for _ in range(ROUNDS))
    textual = statistics.median(seconds("import textual.app") for _ in range(ROUNDS))
    torch = statistics.median(seconds("import torch") for _ in range(ROUNDS))
    frame = statistics.median(first)
    print(f"first frame {frame:.2f} s: {frame / textual:.1f}× of `import textual.app` ({textual:.2f} s)")
    print(f"numbers of all eleven adapters {statistics.median(numbers):.2f} s; `import torch` alone {torch:.2f} s")
    print(f"`python -c pass` {bare:.2f} s")


if __name__ == "__main__":
    main()
