"""Rollouts of sums for the tiny base, and what one training step makes of them."""

import json
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback

from inspector.base_model.base import load_base
from tests.base_model.tiny_model import saved_base
from tests.trainer.rollout_rows import rows_of
from trainer.methods import method
from trainer.objectives.examples import examples
from trainer.recipes.file import Source, resolve
from trainer.rollouts.schema import read_rollouts
from trainer.runs.build import build
from trainer.runs.tasks import Options
from trainer.saving import checkpoints, start
from trainer.train import train

SETTINGS = {
    "device": "cpu", "dtype": "float32", "rank": 4, "alpha": 8, "targets": "q_proj,v_proj", "steps": 4, "batch": 8,
    "micro_batch": 8, "lr": 1e-2, "save_steps": 2, "gradient_checkpointing": "false", "max_length": 200,
    "save_dtype": "float32",
}  # fmt: skip


def rollouts(folder: Path, *, groups: int = 6, rewards=(1.0, 0.0, 0.0, 1.0), tail="", held_out: int = 0) -> Path:
    """`groups` sums, four answers each, of different lengths, and as many more as are held out."""
    lines = []
    for g in range(groups + held_out):
        for k, reward in enumerate(rewards):
            text = f"{g} + {k} is {g + k if reward else g - k}" + " so" * ((g + k) % 3) + tail
            row = {"prompt": f"What is {g}?", "completion": text, "answer": str(g), "reward": reward, "group": g}
            lines.append(json.dumps(row | ({"split": "test"} if g >= groups else {})))
    path = folder / "rollouts.jsonl"
    path.write_text("\n".join(lines))
    return path


def options(base: Path, name: str, file: Path, out: Path, **more) -> Options:
    """What the command line would say."""
    settings = SETTINGS | {"base": str(base)} | more
    return Options(name, file, out, recipe="demo-smollm2", settings=tuple(f"{k}={v}" for k, v in settings.items()))


def adapter_of(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def trained(base: Path, name: str, file: Path, out: Path, **more) -> dict[str, torch.Tensor]:
    """The adapter after a whole run, in this process."""
    train(options(base, name, file, out, **more))
    return adapter_of(out / name)


class Catch(TrainerCallback):
    """Keeps the gradient of the first step, and stops."""

    def __init__(self):
        self.gradient, self.trainer = {}, None

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        if not self.gradient:
            self.gradient = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}

    def on_log(self, args, state, control, logs=None, **_):
        if "loss" in logs and not hasattr(self, "loss"):
            self.loss, self.logs = logs["loss"], dict(logs)


def made(folder: Path, name: str, file: Path, place: Path, *, shift: float = 0.05, **more):
    """The trainer of a method with B moved off 0 by `shift`, so that A has a gradient too."""
    settings = SETTINGS | {"base": str(folder), "clip": 1e9, "steps": 1} | more
    recipe = resolve(Source("", {}, {}, {}), name, [f"{k}={v}" for k, v in settings.items()])[0][1]
    base = load_base(str(folder), "cpu", "float32")
    rows = rows_of(read_rollouts(file), base.tokenizer, recipe.max_length, recipe.cut, recipe.reasoning)
    found = examples(method(name), recipe, rows)
    tensors = start.initial(base.model, recipe.rank, recipe.targets, recipe.init_seed)
    trainer = build(method(name), recipe, base, found, place, [], checkpoints.Guard())
    start.load(trainer.model, start.written(place, tensors))
    generator = torch.Generator().manual_seed(5)
    for key, p in trainer.model.named_parameters():
        if "lora_B" in key and shift:
            p.data.normal_(0, shift, generator=generator)
    return trainer


def first_step(folder: Path, name: str, file: Path, place: Path, **more):
    """(loss, gradient, what was logged) of the first step."""
    trainer, catch = made(folder, name, file, place, **more), Catch()
    trainer.add_callback(catch)
    trainer.train()
    return catch.loss, catch.gradient, catch.logs


ROUNDING = 64 * torch.finfo(torch.float32).eps
"""How far sums of the same float32 numbers in another order, on another processor, may be apart, relative to them."""


def close(one, other, tolerance=ROUNDING):
    """Largest difference relative to the norm of the whole."""
    assert one.keys() == other.keys()
    norm = sum(t.double().square().sum() for t in one.values()) ** 0.5
    return sum((one[k].double() - other[k].double()).square().sum() for k in one) ** 0.5 <= tolerance * norm


def nats(value):
    """A loss: a difference of terms of some nats, each rounded."""
    return pytest.approx(value, rel=ROUNDING, abs=ROUNDING)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def tiny(folder: Path) -> Path:
    return saved_base(folder)
