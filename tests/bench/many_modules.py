"""A LoRA on every expert of a mixture: what opening and checking it cost, at two sizes to show that it is linear.

CPU seconds and peak memory of whole commands, a process each.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.bench import QUICK

LAYERS, R, D = 48, 4, 16
SIZES = (1_000,) if QUICK else (20_000, 100_000)
# A process tells its own: the peak its parent is told of begins with what the parent had when it forked.
MEASURED = """
import sys, time
from inspector.cli.main import main
from tests.hostile.run import memory
try:
    main(sys.argv[1:])
finally:
    print(time.process_time(), memory("VmHWM"), file=sys.stderr)
"""


def mixture(modules: int, folder: Path) -> int:
    """An adapter of about so many modules (16×16, r 4); how many they are."""
    rng = np.random.default_rng(0)
    tensors = {}
    experts = modules // (3 * LAYERS)
    for layer in range(LAYERS):
        for expert in range(experts):
            for name in ("gate_proj", "up_proj", "down_proj"):
                path = f"base_model.model.model.layers.{layer}.mlp.experts.{expert}.{name}"
                tensors[f"{path}.lora_A.weight"] = rng.standard_normal((R, D), dtype=np.float32)
                tensors[f"{path}.lora_B.weight"] = rng.standard_normal((D, R), dtype=np.float32)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": R, "lora_alpha": 8, "target_modules": ["gate_proj", "up_proj", "down_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return len(tensors) // 2


def cost(command: str, folder: Path) -> tuple[float, float]:
    """CPU seconds and peak MB of an `inspector` command on it."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, command, str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, check=True,
    )  # fmt: skip
    seconds, peak = done.stderr.splitlines()[-1].split()
    return float(seconds), int(peak) / 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        for size in SIZES:
            modules = mixture(size, folder := Path(place) / str(size))
            for command in ("ls", "check"):
                seconds, peak = cost(command, folder)
                print(f"{command:5} {modules:6} modules: {seconds:5.1f} s of CPU time, {peak:4.0f} MB")


if __name__ == "__main__":
    main()
