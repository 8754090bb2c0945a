"""A pool of SmolLM2-shaped attention LoRAs on disk, as people have them: runs with checkpoints, and lone ones."""

import shutil
from pathlib import Path

import torch

from tests.makers import write_adapter

SHAPES = {"q_proj": (576, 576), "k_proj": (192, 576), "v_proj": (192, 576), "o_proj": (576, 576)}


def write_pool(root: Path, n: int, *, layers: int = 30, r: int = 8, run: int = 20) -> list[Path]:
    """n adapters in runs of so many checkpoints: A stays near the run's start, B grows along one path with noise.

    Every tenth run starts from the A of the run before; the last adapter is a copy of the first.
    """
    folders: list[Path] = []
    shapes = {f"model.layers.{at}.self_attn.{name}": shape for at in range(layers) for name, shape in SHAPES.items()}
    fall = torch.logspace(0, -1, r)
    for number in range(-(-n // run)):
        start = torch.Generator().manual_seed(1000 + (number - 1 if number % 10 == 9 else number))
        own = torch.Generator().manual_seed(number)
        A0 = {path: torch.randn(r, d_in, generator=start) / d_in**0.5 for path, (_, d_in) in shapes.items()}
        end = {path: torch.randn(d_out, r, generator=own) * fall / 50 for path, (d_out, _) in shapes.items()}
        for step in range(min(run, n - len(folders))):
            grown = (step + 1) / run
            factors = {}
            for path in shapes:
                noise, drift = (torch.randn(x.shape, generator=own) for x in (end[path], A0[path]))
                B, A = grown * (end[path] + 0.006 * (1 - grown) * noise), A0[path] + 8e-4 * grown * drift
                factors[path] = B.bfloat16(), A.bfloat16()
            folder = root / f"run{number:03}" / f"checkpoint-{100 * (step + 1)}"
            folders.append(write_adapter(folder, factors, alpha=2 * r, base="HuggingFaceTB/SmolLM2-135M-Instruct"))
    shutil.copytree(folders[0], folders[-1], dirs_exist_ok=True)
    return folders
