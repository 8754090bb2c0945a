"""A command for each of many names, as tasks of a Ray cluster whose nodes share the folder it is started in.

python each_on_ray.py --gpus 1 "inspector train {} --rollouts rollouts.parquet --out runs/{}" sft dpo kto
python each_on_ray.py --gpus 1 "inspector eval {} --task gsm8k --no-base --records answers" runs/*

A task whose node dies is started again on another one, where the command goes on from what is kept; so does a whole
list that is started again.
"""

import argparse
import os
import shlex
import subprocess
import sys

import ray


@ray.remote(max_retries=3)
def run(command: str, folder: str) -> tuple[int, str]:
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gpus", type=float, default=0)
    parser.add_argument("--cpus", type=float, default=1)
    parser.add_argument("command")
    parser.add_argument("names", nargs="+")
    given = parser.parse_args()
    ray.init(log_to_driver=False)
    task = run.options(num_gpus=given.gpus, num_cpus=given.cpus)
    names = {task.remote(given.command.replace("{}", shlex.quote(name)), os.getcwd()): name for name in given.names}
    failed, left = 0, list(names)
    while left:
        (one,), left = ray.wait(left)
        code, said = ray.get(one)
        failed += code != 0
        print(f"{names[one]}: exit {code}\n{said}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
