"""One optimizer step of SFT in every way it can be made: tokens a second and peak memory, beside TRL's and a forward.

On a GPU: Qwen3-4B from its config with random weights, rank 32 on q, k, v, o, sixteen ragged rows of about 850 tokens;
else a random Llama of 4M weights, to see that it runs. Every variant has a base of its own and a time limit; one that
fails costs a line. `--only NAME…` for some of them.
"""

import contextlib
import gc
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from inspector.base_model.base import Base
from tests.bench import QUICK
from tests.bench.relay import clocks
from tests.bench.stages import Clock, Result, limited, peak
from tests.bench.training import random_llama
from trainer.methods import method
from trainer.objectives import passes
from trainer.objectives.examples import Examples
from trainer.recipes.recipe import Recipe
from trainer.runs import build, memory
from trainer.saving import checkpoints, start

GPU = torch.cuda.is_available() and not QUICK
ROWS, MEAN, PROMPT = (16, 847, 64) if GPU else (4, 60, 8)
WARM, STEPS = (1, 3) if GPU else (1, 1)
LIMIT, WHOLE = 45, 145
"""Seconds of a variant, and of all."""
RECIPE = Recipe(
    steps=WARM + STEPS, batch=ROWS, max_length=4096, rank=32 if GPU else 8, dtype="bfloat16", save_steps=10_000,
)  # fmt: skip
TODAY = {"gradient_checkpointing": 1, "micro_batch": 4, "lora_compute": "float32", "padding": "padded"}
"""With autocast and a mask: how steps were made before any of this."""


@dataclass(frozen=True)
class Variant:
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    autocast: bool = False
    masked: bool = False
    limit: int = LIMIT


BEFORE = Variant("as before", TODAY, autocast=True, masked=True)
DEFAULTS = Variant("defaults")
VARIANTS = (
    Variant("padded", {"padding": "padded"}),
    Variant("no block twice, 8,192 tokens", {"gradient_checkpointing": 0, "micro_tokens": 8192}),
    Variant("every 4th block twice, 14,000 tokens", {"gradient_checkpointing": 4, "micro_tokens": 14_000}),
    Variant("every 2nd block twice, 14,000 tokens", {"gradient_checkpointing": 2, "micro_tokens": 14_000}),
    Variant("all blocks twice, 14,000 tokens", {"gradient_checkpointing": 1, "micro_tokens": 14_000}),
    Variant("as before, no casts", TODAY | {"lora_compute": "base"}, masked=True),
    Variant("as before, no casts, no mask", TODAY | {"lora_compute": "base"}),
    Variant("as before, products in float32", TODAY, masked=True),
)
COMPILED = (Variant("compiled blocks", {"compile_blocks": True}, limit=75),)
"""On a GPU alone."""


def base_here() -> Base:
    if GPU:
        from tests.bench.qwen import qwen3_4b_base

        return qwen3_4b_base("cuda")
    base = random_llama()
    return replace(base, model=base.model.to(torch.bfloat16), dtype="bfloat16")


def rows() -> Examples:
    """Lengths log-normal (σ 0.6); all but a row's first tokens are learned."""
    drawn = np.random.default_rng(7)
    lengths = drawn.lognormal(0, 0.6, ROWS)
    lengths = np.clip((lengths / lengths.mean() * MEAN).astype(int), PROMPT + 2, 4096)
    ids = [drawn.integers(3, 1000 if GPU else 90, n).tolist() for n in lengths]
    labels = [[-100] * PROMPT + row[PROMPT:] for row in ids]
    columns = {"input_ids": ids, "labels": labels, "weight": [1.0] * ROWS}
    return Examples(columns, "row", tuple(len(row) for row in ids))


@contextlib.contextmanager
def changed(variant: Variant) -> Iterator[None]:
    """The variant's ways that no recipe has."""
    arguments, taken = build._arguments, passes.taken

    def masked(inputs: Any, chosen: slice, limits: Any) -> dict[str, Any]:
        part = taken(inputs, chosen, limits)
        mask = torch.zeros(part["input_ids"].shape, dtype=torch.long)
        for row, length in enumerate(part["lengths"]):
            mask[row, :length] = 1
        return part | {"attention_mask": mask.to(part["input_ids"].device)}

    with contextlib.ExitStack() as stack:
        if variant.autocast:
            new = lambda *given: arguments(*given) | {"bf16": True}  # noqa: E731
            stack.enter_context(patch.object(build, "_arguments", new))
        if variant.masked:
            stack.enter_context(patch.object(passes, "unmask", lambda _model: None))
            stack.enter_context(patch.object(passes, "taken", masked))
        yield


def ours(variant: Variant, found: Examples, folder: Path) -> tuple[Any, str]:
    recipe, base = replace(RECIPE, **variant.settings), base_here()
    trainer = build.build(method("sft"), recipe, base, found, folder, [], checkpoints.Guard())
    if recipe.micro_batch:
        trainer.limits = passes.Limits(recipe.micro_batch)
    lengths = sorted(found.tokens, reverse=True)
    cuts = passes.cut(lengths, trainer.limits)
    padded = sum(len(lengths[part]) * max(lengths[part]) for part in cuts) / sum(lengths)
    layout = "end to end" if trainer.limits.free else f"padded {padded:.2f}x"
    note = f"{len(cuts)} passes {layout}, every {trainer.plan.every}"
    if trainer.plan.bytes:
        note += f", planned {trainer.plan.bytes / 1e9:.1f} GB"
    return trainer, note


def theirs(found: Examples, folder: Path) -> tuple[Any, str]:
    """TRL's own, four rows in a pass, the longest first."""
    base, recipe = base_here(), replace(RECIPE, micro_batch=4)
    arguments = build._arguments(recipe, base, build.split(recipe, 1), folder)
    arguments |= {"bf16": True, "report_to": "none", "save_strategy": "no", "max_length": None}
    columns = {key: list(found.columns[key]) for key in ("input_ids", "labels")}
    data = Dataset.from_dict(columns).select(
        build.by_length(list(range(len(found))) * recipe.steps, found.tokens, ROWS)
    )
    lora = start.lora_config(recipe.rank, recipe.alpha, recipe.dropout, recipe.targets)
    arguments = SFTConfig(**arguments, dataset_kwargs={"skip_prepare_dataset": True})
    return SFTTrainer(base.model, arguments, train_dataset=data, processing_class=base.tokenizer, peft_config=lora), ""


def trained(name: str, made: Callable[[], tuple[Any, str]], found: Examples) -> Result:
    peak(reset=True)
    held = torch.cuda.memory_allocated() / 1e9 if GPU else 0.0
    trainer, note = made()
    for unwanted in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(unwanted)
    trainer.add_callback(clock := Clock(WARM))
    trainer.train()
    note += f", {held:.1f} GB held before" if held > 1 else ""
    loss = next(line["loss"] for line in trainer.state.log_history if "loss" in line)
    return Result(name, clock.step, sum(found.tokens), peak(), f"{note}  loss {float(loss):.4f}")


def forward(found: Examples) -> Result:
    """The base alone, its blocks and norm, in passes as by default."""
    peak(reset=True)
    base, lengths = base_here(), sorted(found.tokens, reverse=True)
    cuts = passes.cut(lengths, passes.Limits(0, memory.ENOUGH))
    shapes = [(len(lengths[part]), max(lengths[part])) for part in cuts]
    took = []
    with torch.inference_mode():
        for _ in range(WARM + STEPS):
            began = clocks().wall
            for shape in shapes:
                base.model.base_model(input_ids=torch.zeros(shape, dtype=torch.long, device=base.model.device))
            took.append(clocks().wall - began)
    return Result("a bare forward", median(took[WARM:]), sum(lengths), peak())


def work(found: Examples, folder: Path) -> Iterator[tuple[str, int, Callable[[], Any]]]:
    """(name, limit in seconds, what is measured), the most telling first."""

    def of(variant: Variant) -> tuple[str, int, Callable[[], Any]]:
        def run() -> Result:
            with changed(variant):
                return trained(variant.name, lambda: ours(variant, found, folder / "run"), found)

        return variant.name, variant.limit, run

    yield of(DEFAULTS)
    yield of(BEFORE)
    yield "TRL", LIMIT, lambda: trained("TRL", lambda: theirs(found, folder / "trl"), found)
    yield "a bare forward", LIMIT, lambda: forward(found)
    yield from map(of, (*VARIANTS, *(COMPILED if GPU else ())))


def main() -> None:
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    disable_progress_bars()
    only = sys.argv[sys.argv.index("--only") + 1 :] if "--only" in sys.argv else ()
    found, began = rows(), time.monotonic()
    device = torch.cuda.get_device_name() if GPU else "CPU"
    lines = [f"{device}, torch {torch.__version__}: {ROWS} rows, {sum(found.tokens):,} tokens a step"]
    with tempfile.TemporaryDirectory() as place:
        for name, limit, measure in work(found, Path(place)):
            left = int(WHOLE - (time.monotonic() - began))
            if only and name not in only:
                continue
            try:
                with limited(max(min(limit, left), 1)):
                    lines.append(str(measure()))
            except Exception as error:  # noqa: BLE001 - the others are to run
                traceback.print_exc(limit=-3)
                lines.append(f"{name:<44}{type(error).__name__}: {str(error).splitlines()[0][:100]}")
            print(lines[-1], f" [{time.monotonic() - began:.0f} s]", flush=True)
            gc.collect()
    print("", *lines, sep="\n")


if __name__ == "__main__":
    main()
