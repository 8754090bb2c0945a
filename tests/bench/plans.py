"""What `--dry-run` plans against short real runs on the CPU: seconds of SFT, DPO and Online GRPO, bytes of a block.

A random Llama of 4M weights (`smollm2`: minutes) in float32, one thread, whose CPU time counts on both sides: a plan
goes by the clock, which on a shared machine says how much of it was left. Answers end at the length limit, in the plan
too. Planned / measured is to be within 0.7 and 1.3.
"""

import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch
from transformers.utils import logging

from inspector.tasks.grading import Grader
from tests.bench import QUICK
from tests.bench.training import SMALL, Bench, base_here, quiet, rollouts
from tests.trainer.rollout_rows import rows_of
from trainer.methods import method
from trainer.objectives.examples import examples
from trainer.objectives.preference import PairTrainer
from trainer.recipes.recipe import Recipe
from trainer.rollouts.schema import read_rollouts
from trainer.runs import memory, speed
from trainer.runs.bases import Skeleton
from trainer.runs.estimates import Planner
from trainer.runs.one_run import _keep_freed_memory
from trainer.runs.work import Cut, Work, shape_of, work

METHODS = ("sft", "dpo", "online-grpo")
STEPS = 2 if QUICK else 8
AT_ONCE = 16


def planned(bench: Bench, planner: Planner, name: str, base: Skeleton) -> tuple[float, float]:
    """Seconds of the passes and of sampling."""
    chosen, recipe = method(name), bench.recipe
    found = examples(chosen, recipe, bench.rows)
    adapter = sum(p.numel() for p in speed.get_peft_model(base_here(bench.base).model, speed.lora_config(
        recipe.rank, recipe.alpha, 0.0, recipe.targets)).parameters() if p.requires_grad)  # fmt: skip
    cut = Cut(0, recipe.micro_batch, min(AT_ONCE, recipe.batch))
    todo = work(chosen, recipe, found, bench.rows, shape_of(base.model, adapter), cut)
    if todo.drawing:
        limit = recipe.own["max_new_tokens"]
        todo = Work(todo.passes, replace(todo.drawing, longest=limit))
    return planner._speed(base, recipe, bench.rows, todo).seconds(todo, 1)


def measured(bench: Bench, name: str) -> float:
    """CPU seconds of a run, its references among them, without what only a beginning takes."""
    scored, plain = [0.0], PairTrainer._precompute_ref_logps

    def clocked(*given):
        began = time.process_time()
        try:
            return plain(*given)
        finally:
            scored[0] = time.process_time() - began

    with patch.object(PairTrainer, "_precompute_ref_logps", clocked):
        trainer = bench.ours(name)
    began = time.process_time()
    trainer.train()
    return scored[0] + time.process_time() - began


def block(base: Skeleton, recipe: Recipe) -> float:
    """What a block keeps, as planned from the config / as autograd has it."""
    model = speed.get_peft_model(base.model, speed.lora_config(recipe.rank, recipe.alpha, 0.0, recipe.targets))
    try:
        return memory.estimated(base.model.config.get_text_config(), 4).block / memory.measured(model).block
    finally:
        model.unload()


def main(names: Sequence[str]) -> None:
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    quiet()
    torch.set_num_threads(1)
    _keep_freed_memory()
    speed._now = time.process_time
    chosen = "smollm2" if "smollm2" in names else ""
    steps, batch = (3, 8) if chosen else (STEPS, 4 if QUICK else 16)
    recipe, base = replace(SMALL, steps=steps, batch=batch), base_here(chosen)
    shell = Skeleton(base.tokenizer, base.model)
    planner = Planner(1)
    with tempfile.TemporaryDirectory() as place, Grader() as grader:
        file = rollouts(Path(place), recipe.steps * recipe.batch, 4 if QUICK else 40)
        rows = rows_of(read_rollouts(file), base.tokenizer, recipe.max_length, recipe.cut, recipe.reasoning)
        bench = Bench(recipe, chosen, rows, Path(place), grader)
        print(f"{base.name}, {recipe.steps} steps of {recipe.batch}; planned / measured, CPU seconds")
        for name in [name for name in names if name in METHODS] or METHODS:
            passes, sampling = planned(bench, planner, name, shell)
            took = measured(bench, name)
            ratio = (passes + sampling) / took
            off = "" if 0.7 < ratio < 1.3 else " NOT WITHIN 30 %"
            print(
                f"{name}: {passes + sampling:.1f} ({sampling:.1f} to sample) / {took:.1f} = {ratio:.2f}{off}",
                flush=True,
            )
    print(f"bytes that a block keeps: planned / measured {block(shell, recipe):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
