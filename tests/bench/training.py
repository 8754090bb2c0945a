"""An optimizer step of our trainers against TRL's own for the same method, weights and token ids. The bound is 1.

On a GPU: Qwen3-4B from its config with random weights in bfloat16, rank 32, checkpointing. Else: a random Llama of 4M
weights (or `smollm2`: minutes a method) in float32, rank 8, one thread, whose own time counts. All trainers of a
method live in one process and make their steps in turn; a ratio is the median over the steps, with its quartiles.
TRL's trainer runs on rows in our order (longest first within a step), on them once more, which shows the noise, and on
rows in the order drawn. Like ours, it has its references scored once, and freed memory kept.
"""

import json
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.utils import logging
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from inspector.base_model.base import Base, load_base
from inspector.tasks.grading import Grader
from tests.base_model.tiny_model import tiny_tokenizer
from tests.bench import QUICK
from tests.bench.relay import Step, interleaved
from tests.trainer.rollout_rows import rows_of
from trainer.methods import method
from trainer.objectives.examples import Examples, by_length, examples, order
from trainer.recipes.recipe import Recipe
from trainer.rollouts.rewards import reward
from trainer.rollouts.rows import Rows
from trainer.rollouts.schema import read_rollouts
from trainer.runs import build
from trainer.runs.one_run import _keep_freed_memory
from trainer.saving import checkpoints, start

METHODS = ("sft", "dft", "dpo", "online-grpo")
WARM, STEPS = (1, 2) if QUICK else (2, 8)
GPU = torch.cuda.is_available() and not QUICK
CLOCKS = ("wall",) if GPU else ("cpu", "wall")
NEVER = "<jupyter_text>"
"""A token of SmolLM2 that is never drawn: answers end at the length limit, on both sides."""
STUDY = Recipe().where(steps=WARM + STEPS + 2, batch=32, micro_batch=8, dtype="bfloat16", max_new_tokens=128)
SMALL = Recipe().where(
    dtype="float32", device="cpu", rank=8, alpha=16, steps=WARM + STEPS, batch=4 if QUICK else 8, micro_batch=4,
    max_length=1024, gradient_checkpointing=0, generations=4, max_new_tokens=8 if QUICK else 32,
)  # fmt: skip


def base_here(name: str) -> Base:
    """A base of its own for every trainer: TRL patches what it is given."""
    if GPU:
        from tests.bench.qwen import qwen3_4b_base

        return qwen3_4b_base("cuda")
    if name == "smollm2":
        base = load_base(name, "cpu", "float32")
        base.tokenizer.eos_token = NEVER
        base.model.generation_config.eos_token_id = base.tokenizer.eos_token_id
        return base
    return random_llama()


def random_llama() -> Base:
    """Four layers, hidden 256, 4M weights; a tokenizer of characters stands in for its own."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4,
        vocab_size=4096, max_position_embeddings=1024, pad_token_id=0, eos_token_id=1, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval().requires_grad_(requires_grad=False)
    return Base(model, tokenizer, "Llama (random weights)", "random", "cpu", "float32")


def rollouts(folder: Path, groups: int, mean: int) -> Path:
    """Four answers a sum, two of them right; lengths log-normal (σ 0.6), as those of sampled answers are."""
    drawn = np.random.default_rng(7).lognormal(np.log(mean), 0.6, (groups, 4)).clip(4, 3 * mean).astype(int)
    rows = [
        {
            "prompt": f"What is {g} + 1?", "completion": f"{g + k}" + " so" * int(drawn[g, k]), "answer": f"{g + 1}",
            "reward": float(k % 2), "group": g,
        }
        for g in range(groups) for k in range(4)
    ]  # fmt: skip
    path = folder / "rollouts.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@dataclass(frozen=True)
class Bench:
    """What every trainer of the benchmark is made of."""

    recipe: Recipe
    base: str
    rows: Rows
    folder: Path
    grader: Grader

    def ours(self, name: str) -> Any:
        """As `inspector train` builds it."""
        found = examples(method(name), self.recipe, self.rows)

        def make(base: Base) -> Any:
            return build.build(method(name), self.recipe, base, found, self.folder / name, [], checkpoints.Guard())

        return self.started(make)

    def theirs(self, name: str, *, drawn: bool) -> Any:
        """TRL's, with the same settings; on the rows as they were drawn, or in our order."""
        recipe, found = self.recipe, examples(method(name), self.recipe, self.rows)
        laid = order(len(found), build.taken(method(name), recipe), recipe.data_seed)
        if not drawn:
            laid = by_length(laid, found.tokens, recipe.batch)
        make = {"dpo": pairs, "online-grpo": prompts}.get(name, weighted)
        return self.started(lambda base: make(self, Theirs(name, found, laid, base)))

    def started(self, make: Callable[[Base], Any]) -> Any:
        """A trainer on a base of its own, from the shared start, silent."""
        base, recipe = base_here(self.base), self.recipe
        tensors = start.initial(base.model, recipe.rank, recipe.targets, recipe.init_seed)
        trainer = make(base)
        start.load(trainer.model, start.written(self.folder, tensors))
        for unwanted in (PrinterCallback, ProgressCallback):
            trainer.remove_callback(unwanted)
        return trainer

    def common(self, base: Base) -> dict[str, Any]:
        """The settings all of TRL's configurations share, those of `inspector train`."""
        cut = build.split(self.recipe, 1)
        more = {"report_to": "none", "save_strategy": "no", "max_length": None, "bf16": base.dtype == "bfloat16"}
        return build._arguments(self.recipe, base, cut, self.folder / "trl") | more

    def adapted(self, base: Base) -> dict[str, Any]:
        recipe = self.recipe
        lora = start.lora_config(recipe.rank, recipe.alpha, recipe.dropout, recipe.targets)
        return {"model": base.model, "processing_class": base.tokenizer, "peft_config": lora}


@dataclass(frozen=True)
class Theirs:
    name: str
    found: Examples
    laid: list[int]
    base: Base


def weighted(bench: Bench, given: Theirs) -> Any:
    loss = {"sft": "nll"}.get(given.name, given.name)
    prepared = {"skip_prepare_dataset": True}
    arguments = SFTConfig(**bench.common(given.base), dataset_kwargs=prepared, loss_type=loss)
    columns = {key: list(given.found.columns[key]) for key in ("input_ids", "labels")}
    rows = Dataset.from_dict(columns).select(given.laid)
    return SFTTrainer(args=arguments, train_dataset=rows, **bench.adapted(given.base))


class Prepared(DPOTrainer):
    """TRL's, on token ids that are there."""

    def _prepare_dataset(self, dataset, *_, **__):
        return dataset

    def _precompute_ref_logps(self, *args):
        quiet()  # ours, just before, has put the bars back
        return super()._precompute_ref_logps(*args)


def pairs(bench: Bench, given: Theirs) -> Any:
    arguments = DPOConfig(**bench.common(given.base), beta=0.1, precompute_ref_log_probs=True)
    rows = Dataset.from_dict(given.found.columns).select(given.laid)
    return Prepared(args=arguments, train_dataset=rows, **bench.adapted(given.base))


def prompts(bench: Bench, given: Theirs) -> Any:
    def right(completions: list[str], gold: list[str], **_) -> list[float]:
        return [reward(bench.grader, text, wanted).value for text, wanted in zip(completions, gold, strict=True)]

    recipe, columns = bench.recipe, given.found.columns
    common = {key: value for key, value in bench.common(given.base).items() if key != "max_length"}
    arguments = GRPOConfig(
        **common, loss_type="grpo", beta=0.0, num_generations=recipe.own["generations"], temperature=1.0, top_p=1.0,
        max_completion_length=recipe.own["max_new_tokens"], shuffle_dataset=False,
    )  # fmt: skip
    texts = [given.base.tokenizer.decode(columns["ids"][n]) for n in given.laid]
    rows = Dataset.from_dict({"prompt": texts, "gold": [columns["gold"][n] for n in given.laid]})
    return GRPOTrainer(args=arguments, train_dataset=rows, reward_funcs=right, **bench.adapted(given.base))


def ratios(ours: Sequence[Step], theirs: Sequence[Step], clock: str) -> list[float]:
    """Quartiles of ours / theirs, step by step."""
    found = [getattr(a, clock) / getattr(b, clock) for a, b in zip(ours, theirs, strict=True)]
    return statistics.quantiles(found, n=4)


def told(ours: Sequence[Step], theirs: Sequence[Step], again: Sequence[Step]) -> str:
    """Median (quartiles); above 1 only where TRL against itself is lower."""
    parts = []
    for clock in CLOCKS:
        low, middle, high = ratios(ours, theirs, clock)
        above = " ABOVE 1" if low > 1 and middle > ratios(again, theirs, clock)[2] else ""
        parts.append(f"{clock} {middle:.2f} ({low:.2f} to {high:.2f}){above}")
    return ", ".join(parts)


def measured(bench: Bench, name: str) -> None:
    """Print one method's lines."""
    drawn = [] if name == "online-grpo" else [bench.theirs(name, drawn=True)]
    same = [bench.theirs(name, drawn=False) for _ in range(2)]
    ours, theirs, again, *other = interleaved([bench.ours(name), *same, *drawn], WARM)
    each = statistics.median(getattr(step, CLOCKS[0]) for step in ours)
    print(f"{name}: {each:.2f} s a step", flush=True)
    print(f"  / TRL's on the same rows      {told(ours, theirs, again)}", flush=True)
    for steps in other:
        print(f"  / TRL's on the rows as drawn  {told(ours, steps, steps)}", flush=True)
    print(f"  TRL's / itself                {told(again, theirs, again)}", flush=True)


def quiet() -> None:
    os.environ["TQDM_DISABLE"] = "1"
    disable_progress_bars()


def main(names: Sequence[str]) -> None:
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    quiet()
    if not GPU:
        torch.set_num_threads(1)
        _keep_freed_memory()
    chosen = "smollm2" if "smollm2" in names else ""
    recipe, base = STUDY if GPU else SMALL, base_here(chosen)
    with tempfile.TemporaryDirectory() as place, Grader() as grader:
        folder = Path(place)
        file = rollouts(folder, recipe.steps * recipe.batch, 170 if GPU else 4 if QUICK else 40)
        rows = rows_of(read_rollouts(file), base.tokenizer, recipe.max_length, recipe.cut, recipe.reasoning)
        bench = Bench(recipe, chosen, rows, folder, grader)
        cut = build.split(recipe, 1)
        print(f"{base.name}, {base.dtype}, {recipe.batch} rows a step, {cut.micro_batch} in a pass; bound 1.00")
        for name in [name for name in names if name in METHODS] or METHODS:
            measured(bench, name)


if __name__ == "__main__":
    main(sys.argv[1:])
