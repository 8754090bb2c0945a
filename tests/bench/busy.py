"""The same analysis alone and beside two processes that hold the cores, in CPU time: waiting must not cost it.

As the commands do it, `settle` comes before torch. For comparison also with threads that spin while they wait.
"""

import os
import subprocess
import sys
import time

from tests.bench import QUICK

LAYERS = 2 if QUICK else 9
BESIDE = 2
HOLDS = "while True: pass"
MEASURED = f"""
import time
from inspector.cores import settle
settle()
from inspector.analysis import analyse
from inspector.study import Settings
from tests.memory import qwen3_4b
adapters = [qwen3_4b(f"a{{seed}}", seed, layers={LAYERS}) for seed in range(8)]
analyse(adapters[:2], Settings(device="cpu"))
started, used = time.perf_counter(), time.process_time()
analyse(adapters, Settings(device="cpu"))
print(time.process_time() - used, time.perf_counter() - started)
"""


def measured(**env) -> tuple[float, float]:
    """CPU seconds and seconds of an analysis."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")} | env
    done = subprocess.run([sys.executable, "-c", MEASURED], env=environ, capture_output=True, text=True, check=True)
    cpu, wall = map(float, done.stdout.split())
    return cpu, wall


def main() -> None:
    alone, wall = measured()
    print(f"alone {alone:.2f} s of CPU time in {wall:.2f} s")
    others = [subprocess.Popen([sys.executable, "-c", HOLDS]) for _ in range(BESIDE)]
    try:
        time.sleep(0.2)
        for words, env in (("", {}), (", threads that spin", {"OMP_WAIT_POLICY": "ACTIVE"})):
            cpu, wall = measured(**env)
            bound = "" if env else ", bound 2"
            print(
                f"beside two busy processes{words}: {cpu:.2f} s of CPU time in {wall:.2f} s ({cpu / alone:.2f}×{bound})"
            )
    finally:
        for other in others:
            other.kill()
            other.wait()


if __name__ == "__main__":
    main()
