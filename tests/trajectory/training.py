"""Folders as a training leaves them, of tiny adapters; checkpoints land by a rename."""

import json
import os
import time
from pathlib import Path

from tests.makers import Factors, random_factors, write_adapter

ALPHA, RANK = 8, 4
SCALE = ALPHA / RANK


def drift(step: int, seed: int = 0) -> Factors:
    """B from 0 on a straight line with a bend: step / 10 of one direction, (step / 20)² of another."""
    start, bend = random_factors(r=RANK, seed=7), random_factors(r=RANK, seed=100 + seed)
    return {
        path: (step / 10 * bend[path][0] + (step / 20) ** 2 * random_factors(r=RANK, seed=200 + seed)[path][0], A)
        for path, (_, A) in start.items()
    }


def begin(folder: Path, steps: int = 40, **recipe: int) -> Path:
    """A run that has begun and landed nothing."""
    (folder / ".checkpoints" / ".writing").mkdir(parents=True)
    (folder / ".checkpoints" / "started.json").write_text(json.dumps({"recipe": {"steps": steps, **recipe}}))
    return folder


def log(folder: Path, upto: int) -> None:
    """log.jsonl up to a step: a loss of 2/step."""
    lines = [json.dumps({"step": step, "loss": 2 / step}) for step in range(1, upto + 1)]
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")


def land(folder: Path, step: int, factors: Factors | None = None, seed: int = 0) -> Path:
    """One checkpoint, written elsewhere and renamed."""
    written = folder / ".checkpoints" / ".writing" / f"checkpoint-{step}"
    write_adapter(written, factors or drift(step, seed), alpha=ALPHA)
    target = folder / ".checkpoints" / f"checkpoint-{step}"
    written.rename(target)
    log(folder, step)
    return target


def finish(folder: Path, step: int, seed: int = 0, **more: int) -> None:
    """The adapter and its record."""
    write_adapter(folder, drift(step, seed), alpha=ALPHA)
    (folder / "run.json").write_text(json.dumps({"format": "adapter-inspector run", "step": step, **more}))


def trained(folder: Path, *steps: int, seed: int = 0, done: bool = False) -> Path:
    """A run with these checkpoints."""
    begin(folder)
    for step in steps:
        land(folder, step, seed=seed)
    if done:
        finish(folder, steps[-1], seed)
    return folder


def aged(folder: Path, seconds: float) -> None:
    """Everything beneath as old as that."""
    then = time.time() - seconds
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (then, then))


def damage(checkpoint: Path) -> None:
    """Its weights, cut in half."""
    file = checkpoint / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
