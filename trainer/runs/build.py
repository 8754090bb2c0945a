"""The TRL trainer of a method: its configuration, its examples, the shared start."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from inspector.base_model.base import Base
from trainer.methods.base import Method, Objective
from trainer.methods.online import Online
from trainer.methods.preference import Paired
from trainer.methods.weighted import Weighted
from trainer.objectives import passes
from trainer.objectives.examples import Examples, by_length, order, taken
from trainer.recipes.recipe import Recipe
from trainer.runs import memory
from trainer.runs.launchers import Split, accumulation, casts, process_count, sharded, split
from trainer.runs.lora_dtype import follow_base
from trainer.saving import start
from trainer.saving.checkpoints import Guard
from trainer.saving.sharded import keep_float32


def build(
    method: Method, recipe: Recipe, base: Base, found: Examples, folder: Path, trackers: list[str], guard: Guard
) -> Any:
    """The method's trainer, its adapter not loaded yet."""
    cut = split(recipe, process_count())
    objective = recipe.objective(method)
    common = _arguments(recipe, base, cut, folder) | {"report_to": trackers or "none"} | objective.arguments()
    lora = start.lora_config(recipe.rank, recipe.alpha, recipe.dropout, recipe.targets)
    more = {"model": base.model, "processing_class": base.tokenizer, "peft_config": lora, "callbacks": [guard]}
    numbers = order(len(found), taken(method, recipe), recipe.data_seed)
    if method.data == "rows":
        together = cut.micro_batch if recipe.micro_batch or sharded(os.environ) else 1
        numbers = by_length(numbers, found.tokens, recipe.batch, cut.processes, together)
    if method.data == "pairs":  # KTO's reference point is estimated within a micro-batch
        numbers = by_length(numbers, found.tokens, recipe.batch)
    if method.data != "prompts":  # which are padded on the left
        passes.unmask(base.model)
    free = method.data == "rows" and passes.end_to_end(base.model, recipe.padding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = _MAKERS[method.data](objective, found, numbers, common, more)
        if recipe.lora_compute == "base":
            follow_base(trainer.model)
        trainer.plan = _plan(method, recipe, found, trainer.model, cut)
    memory.recompute(base.model, trainer.plan.every)
    if recipe.compile_blocks and method.data != "prompts":
        for block in memory.blocks(base.model):
            block.compile(dynamic=True)
    if method.data == "rows":
        rows = recipe.micro_batch or (0 if trainer.plan.tokens else cut.micro_batch)
        trainer.limits = passes.Limits(rows, trainer.plan.tokens, free)
    keep_float32(trainer.accelerator)
    guard.trainer, trainer.keep = trainer, recipe.keep
    return trainer


def _plan(method: Method, recipe: Recipe, found: Examples, model: Any, cut: Split) -> memory.Plan:
    """By the memory of the GPU; elsewhere, and where FSDP2 shards the base, as the recipe says."""
    if model.device.type != "cuda" or sharded(os.environ):
        every = recipe.gradient_checkpointing
        return memory.Plan(1 if every is None else every, recipe.micro_tokens)
    need = memory.needed(method, recipe, found, cut, on_gpu=True)
    before, kept = torch.cuda.memory_allocated(model.device), memory.measured(model)
    plan = memory.planned(kept, memory.unused(model.device), need, recipe.gradient_checkpointing)
    tokens = recipe.micro_tokens or plan.tokens if method.data == "rows" else need
    return memory.Plan(plan.every, tokens, before + kept.bytes(plan.every, tokens))


def _arguments(recipe: Recipe, base: Base, cut: Split, folder: Path) -> dict[str, Any]:
    """What all of TRL's configurations share; what is left out has a default that does not bite."""
    on_cpu = base.device == "cpu"
    cast = base.dtype == "bfloat16" and casts(os.environ)  # else all but the adapter's weights is in that dtype anyway
    return {
        "output_dir": str(folder), "max_steps": recipe.steps, "per_device_train_batch_size": cut.micro_batch,
        "gradient_accumulation_steps": cut.accumulation, "learning_rate": recipe.lr,
        "lr_scheduler_type": recipe.schedule, "warmup_steps": recipe.warmup,
        "weight_decay": recipe.weight_decay, "max_grad_norm": recipe.clip, "seed": recipe.data_seed,
        "data_seed": recipe.data_seed, "bf16": cast, "use_cpu": on_cpu,
        "gradient_checkpointing": recipe.gradient_checkpointing != 0, "logging_steps": 1,
        "logging_nan_inf_filter": False, "save_strategy": "steps", "save_steps": recipe.save_steps or recipe.steps,
        "disable_tqdm": True, "train_sampling_strategy": "sequential", "dataloader_pin_memory": not on_cpu,
        "ddp_find_unused_parameters": False,
        "accelerator_config": {"gradient_accumulation_kwargs": accumulation(os.environ)},
    }  # fmt: skip


def _weighted(
    objective: Weighted, found: Examples, numbers: list[int], common: dict[str, Any], more: dict[str, Any]
) -> Any:
    from trl.trainer.sft_config import SFTConfig

    from trainer.objectives.laid import laid
    from trainer.objectives.weighted import Collator, WeightedTrainer

    tokenizer = more["processing_class"]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    share = common["per_device_train_batch_size"] * common["gradient_accumulation_steps"]
    common |= {"per_device_train_batch_size": share, "gradient_accumulation_steps": 1}
    return WeightedTrainer(
        args=SFTConfig(
            **common, max_length=None, dataset_kwargs={"skip_prepare_dataset": True}, router_aux_loss_coef=0.0
        ),
        train_dataset=laid(found.columns, numbers),
        data_collator=Collator(pad_token_id=pad),
        objective=objective,
        **more,
    )


def _pairs(objective: Paired, found: Examples, numbers: list[int], common: dict[str, Any], more: dict[str, Any]) -> Any:
    from trl.trainer.dpo_config import DPOConfig

    from trainer.objectives.preference import PairTrainer

    return PairTrainer(
        args=DPOConfig(**common, max_length=None, precompute_ref_log_probs=True),
        columns=found.columns,
        order=numbers,
        margin=objective.margin,
        summed=objective.summed,
        **more,
    )


def _unpaired(
    _objective: Objective, found: Examples, numbers: list[int], common: dict[str, Any], more: dict[str, Any]
) -> Any:
    from trl.trainer.kto_config import KTOConfig

    from trainer.objectives.laid import laid
    from trainer.objectives.preference import UnpairedTrainer, turned

    micro = common["per_device_train_batch_size"]
    return UnpairedTrainer(
        args=KTOConfig(**common, max_length=None),
        train_dataset=laid(turned(found.columns, numbers, micro), range(len(numbers))),
        **more,
    )


def _online(
    objective: Online, found: Examples, numbers: list[int], common: dict[str, Any], more: dict[str, Any]
) -> Any:
    from datasets import Dataset  # type: ignore[import-untyped]
    from trl.trainer.grpo_config import GRPOConfig

    from trainer.objectives.online import OnlineTrainer
    from trainer.rollouts.draws import Sampling
    from trainer.rollouts.rows import Prompt

    prompts = [
        Prompt(tuple(ids.tolist()), gold, "")
        for ids, gold in zip(found.columns["ids"], found.columns["gold"], strict=True)
    ]
    return OnlineTrainer(
        args=GRPOConfig(**common, shuffle_dataset=False, disable_dropout=False),
        train_dataset=Dataset.from_dict({"prompt": [str(n) for n in numbers]}),
        prompts=prompts,
        sampling=Sampling(objective.temperature, objective.top_p, objective.max_new_tokens, common["data_seed"]),
        redraws=objective.redraws,
        overlong=round(objective.overlong * objective.max_new_tokens),
        penalty=objective.overlong_penalty,
        **more,
    )


_MAKERS: dict[str, Callable[..., Any]] = {"rows": _weighted, "pairs": _pairs, "unpaired": _unpaired, "prompts": _online}


def device_here(recipe: Recipe) -> str:
    """The device of this process: its own GPU where several share the work."""
    if recipe.device != "auto":
        return recipe.device
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
