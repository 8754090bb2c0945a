"""The same analysis alone and beside two processes that hold the cores, in CPU time: waiting must not cost it.

As in the commands, `settle` comes before torch.
"""

import os
import subprocess
import sys

from tests.bench import QUICK

LAYERS = 2 if QUICK else 9
BESIDE = 2
HOLDS = "while True: pass"
MEASURED = f"""
import time
from inspector.common.cores import settle
settle()
from inspector.analysis.analyse import analyse
from inspector.study.study import Settings
from tests.memory import qwen3_4b
adapters = [qwen3_4b(f"a{{seed}}", seed, layers={LAYERS}) for seed in range(8)]
analyse(adapters[:2], Settings(device="cpu"))
started, used = time.perf_counter(), time.process_time()
analyse(adapters, Settings(device="cpu"))
print(time.process_time() - used, time.perf_counter() - started)
"""


def measured() -> tuple[float, float]:
    """CPU seconds and seconds of an analysis."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run([sys.executable, "-c", MEASURED], env=environ, capture_output=True, text=True, check=True)
    cpu, wall = map(float, done.stdout.split())
    return cpu, wall


def main() -> None:
    alone, wall = measured()
    print(f"alone {alone:.2f} s of CPU time in {wall:.2f} s")
    others = [subprocess.Popen([sys.executable, "-c", HOLDS]) for _ in range(BESIDE)]
    try:
        cpu, wall = measured()
    finally:
        for other in others:
            other.kill()
            other.wait()
    print(f"beside two busy processes {cpu:.2f} s of CPU time in {wall:.2f} s: {cpu / alone:.2f}× (bound 2)")


if __name__ == "__main__":
    main()
