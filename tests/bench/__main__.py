"""`make bench`: every figure of the guide to speed, as ratios against a reference measured in the same run.

Each benchmark runs in a process of its own, so that peak memory is its own.
"""

import os
import subprocess
import sys
from pathlib import Path

from inspector.common.cores import settle
from tests.bench import QUICK

BENCHMARKS = (
    "geometry",
    "geometry_64",
    "busy",
    "many_modules",
    "receipt",
    "atlas",
    "dense_svd",
    "start",
    "scrub",
    "probes",
    "training",
    "training_variants",
    "plans",
    "callback",
)


def main(arguments: list[str]) -> int:
    root = Path(__file__).parents[2]
    options = [word for word in arguments if word.startswith("-")]
    settle()  # as the commands do
    failed = 0
    for name in [word for word in arguments if word not in options] or BENCHMARKS:
        print(f"== {name}", *(["(quick: the figures mean nothing)"] if QUICK else []), flush=True)
        command = [sys.executable, "-m", f"tests.bench.{name}", *options]
        failed |= subprocess.run(command, cwd=root, env=os.environ, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
