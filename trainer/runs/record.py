"""What a run is made of, and what of it its run.json holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inspector.base_model.base import Base
from inspector.base_model.encode import TODAY
from inspector.tasks.problems import Problems
from trainer.methods.rewards import statistics
from trainer.objectives.examples import Examples, taken
from trainer.rollouts.rows import Rows
from trainer.runs.launchers import split
from trainer.runs.log import diagnostics
from trainer.runs.tasks import CHECKPOINTS, Task
from trainer.saving import outcome


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything a run is made of."""

    task: Task
    base: Base
    rows: Rows
    found: Examples
    held_out: Rows
    problems: Problems | None
    rollouts: str
    """Their digest."""
    sampling: Mapping[str, Any]
    """How they were drawn."""
    vllm: str = ""
    """The server that samples for an online method."""

    @property
    def checkpoints(self) -> Path:
        return self.task.folder / CHECKPOINTS


def record_of(setup: Setup, log: list[dict[str, float]], trainer: Any, step: int) -> dict[str, Any]:
    """The fields of run.json that the set-up, the log up to the reported step and the trainer tell."""
    task, recipe, method, objective = setup.task, setup.task.recipe, setup.task.method, setup.task.objective
    cut = split(recipe, trainer.accelerator.num_processes)
    last = [line["loss"] for line in log if "loss" in line][-10:]
    return {
        "name": task.folder.name, "method": method.name, "variant": objective.name, "formula": objective.formula,
        "source": method.source, "reduction": objective.reduction,
        "base": task.base_id, "base_digest": setup.base.digest, "dtype": setup.base.dtype,
        "device": setup.base.device, "rollouts": setup.rollouts, "rows_digest": setup.rows.digest,
        "rewards": asdict(statistics(setup.rows.rewards, setup.rows.groups)),
        "weights": dict(setup.found.weights), "columns": _columns(setup),
        "examples": len(setup.found), "noun": setup.found.noun,
        "template_date": TODAY.isoformat(), "cut": setup.rows.cut, "too_long": setup.rows.too_long,
        "init_seed": recipe.init_seed, "data_seed": recipe.data_seed,
        "lr": recipe.lr, "step": step, "steps": recipe.steps, "batch": recipe.batch,
        "micro_batch": cut.micro_batch, "processes": cut.processes,
        "epochs": taken(method, recipe) / len(setup.found) * (step / recipe.steps),
        "tokens": int(sum(line.get("tokens", 0) for line in log)), "loss": sum(last) / max(len(last), 1),
        "diagnostics": diagnostics(log),
        "settings": asdict(objective), "recipe": task.settings,
        "versions": outcome.versions(), "hardware": _hardware(trainer), "optimizer": _optimizer(trainer.args),
        "sampling": setup.sampling, "memory": _memory(trainer),
        "sampled_by": ("vllm" if setup.vllm else "transformers") if task.online else "",
    }  # fmt: skip


def _columns(setup: Setup) -> dict[str, Any]:
    rows, weighted = setup.rows, sum(row.weight != 1 for row in setup.rows.rows)
    reasoning = {"reasoning": rows.reasoning, "reasoned": rows.reasoned, "reasoning_not_sent": rows.hidden}
    return {**reasoning, "weighted": weighted, "weights_read": setup.task.method.data == "rows"}


def _hardware(trainer: Any) -> dict[str, str]:
    found = {"attention": trainer.model.config._attn_implementation}  # noqa: SLF001 - it has no other name
    if trainer.accelerator.device.type == "cuda":
        name = torch.cuda.get_device_name(trainer.accelerator.device)
        found |= {"gpu": name, "cuda": str(torch.version.cuda)}
    return found


def _optimizer(args: Any) -> dict[str, Any]:
    betas = [args.adam_beta1, args.adam_beta2]
    return {"name": str(getattr(args.optim, "value", args.optim)), "betas": betas, "epsilon": args.adam_epsilon}


def _memory(trainer: Any) -> dict[str, int]:
    """What was planned of a GPU's memory, and its peak; nothing elsewhere."""
    if not trainer.plan.bytes:
        return {}
    peak = torch.cuda.max_memory_allocated(trainer.accelerator.device)
    return {**asdict(trainer.plan), "peak": peak}


def norm(tensors: Mapping[str, Tensor], side: str) -> float:
    """Frobenius norm of all A, or of all B."""
    return float(sum(float(t.double().square().sum()) for name, t in tensors.items() if side in name) ** 0.5)
