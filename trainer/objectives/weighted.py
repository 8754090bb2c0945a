"""SFT, RFT, DFT, RIFT and Offline GRPO: one weighted token-level objective on TRL's log-prob hook.

TRL patches the model so that `model(…, labels=…, fused_lm_head=True)` gives log π_t without building the logits. That
is semi-private: tests/trainer/objectives/test_weighted.py holds it to TRL's own losses, bit for bit.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer
from trl.trainer.utils import add_fused_lm_head

from inspector.common.console import say
from inspector.common.errors import InspectorError
from trainer.methods.weighted import Weighted
from trainer.objectives import passes
from trainer.objectives.laid import NUMBER
from trainer.objectives.passes import Limits
from trainer.saving.checkpoints import Durable
from trainer.saving.sharded import is_sharded

_RUNAWAY = 3.0
"""Nats a token by which ℓ of the rows with negative weight may rise before it is said."""
_SUMS = ("up", "up_tokens", "down", "down_tokens", "negatives", "vanished", "tokens")


@dataclass
class Collator(DataCollatorForLanguageModeling):
    """TRL's, and the weight and length of each row."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Ids and labels, padded on the right, with `weight` (rows,) and `lengths` (rows,), which stay numbers."""
        weight = torch.tensor([example["weight"] for example in examples], dtype=torch.float32)
        lengths = [len(example["input_ids"]) for example in examples]
        return super().torch_call(examples) | {"weight": weight, "lengths": lengths}


class WeightedTrainer(Durable, SFTTrainer):
    """TRL's SFT trainer with the loss of `objective`, plus its `kl` times the KL to the base.

    A batch holds the rows of a whole step, which go through the model in passes within `limits`.
    """

    limits = Limits(rows=8)

    def __init__(self, *args: Any, objective: Weighted, **more: Any) -> None:
        super().__init__(*args, **more)
        # TRL also asks for entropy and the top token, for metrics that are not read here.
        wanted = ("log_probs", "entropy") if objective.entropy else ("log_probs",)
        add_fused_lm_head(self.model.get_base_model(), outputs=wanted)
        self._objective, self._counts_vanished = objective, False
        self._sums = torch.zeros(len(_SUMS), dtype=torch.float64)
        self._first: float | None = None
        self.warned = ""

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """All passes of the step, the gradients of the processes summed after the last one."""
        found = passes.cut(inputs["lengths"], self.limits)
        alone = partial(self.accelerator.no_sync, model)
        each = is_sharded(model)  # see launchers.accumulation
        losses_of = []
        for rows in found:
            with nullcontext() if each or rows is found[-1] else alone():
                part = passes.taken(inputs, rows, self.limits)
                losses_of.append(super().training_step(model, part, num_items_in_batch))
        return torch.stack(losses_of).sum()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Σ over this pass, divided by what the whole step holds on all ranks: completion tokens, or completions."""
        given = {key: value for key, value in inputs.items() if key not in {"weight", "lengths"}}
        weight = inputs["weight"]
        outputs = model(**given, use_cache=False, fused_lm_head=True)
        log_p, mask = (passes.by_row(part, inputs) for part in (outputs.log_probs, outputs.label_mask))
        per_token = self._objective.loss(log_p, mask, weight)
        if per_token.shape != log_p.shape:
            raise InspectorError(
                f"{self._objective.name}: its loss is of shape {tuple(per_token.shape)}, and must be (rows, tokens), "
                f"{tuple(log_p.shape)}."
            )
        if self._objective.kl:
            reference = passes.by_row(self._reference(given), inputs)
            per_token = per_token + self._objective.kl * kl(log_p, reference, mask)
        if self._objective.entropy:
            per_token = per_token - self._objective.entropy * passes.by_row(outputs.entropy, inputs)
        whole, processes = num_items_in_batch is not None, self.accelerator.num_processes
        if self._objective.reduction == "completion-mean":
            rows = self.args.per_device_train_batch_size * processes if whole else len(mask)
            loss = token_mean(per_token / mask.sum(dim=1, keepdim=True).clamp(min=1), rows)
        else:
            loss = token_mean(per_token, num_items_in_batch if whole else mask.sum())
        if whole:
            loss = loss * processes  # DDP averages over ranks; N counts all of theirs
        if self.model.training:
            self._watch(log_p.detach(), mask, weight, sum(inputs["lengths"]))
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With mean ℓ of rows with positive and negative weight, and the negatives that vanished."""
        sums = self.accelerator.reduce(self._sums.to(self.accelerator.device, torch.float32), "sum").tolist()
        self._sums.zero_()
        told = dict(zip(_SUMS, sums, strict=True))
        if told["tokens"]:
            logs["tokens"] = told["tokens"]
        for side in ("up", "down"):
            if told[f"{side}_tokens"]:
                logs[f"nll_{side}"] = told[side] / told[f"{side}_tokens"]
        if self._counts_vanished:
            logs |= {"negatives": told["negatives"], "vanished": told["vanished"]}
        self._warn(logs)
        super().log(logs, start_time)

    def _set_signature_columns_if_needed(self) -> None:
        """transformers drops every column not named here."""
        columns: Any = [NUMBER]
        self._signature_columns = columns

    def _reference(self, given: dict[str, Any]) -> Tensor:
        """log π_ref: the base, with the adapter switched off."""
        inner = self.accelerator.unwrap_model(self.model)
        with torch.no_grad(), inner.disable_adapter():
            reference: Tensor = inner(**given, use_cache=False, fused_lm_head=True).log_probs
        return reference

    def _watch(self, log_p: Tensor, mask: Tensor, weight: Tensor, tokens: int) -> None:
        """Add to the sums; nothing is brought to the CPU (as indexing by a mask would) before the step is logged."""
        up, down = mask & (weight > 0)[:, None], mask & (weight < 0)[:, None]
        negatives = (weight < 0) & mask.any(dim=1)
        gone = self._objective.vanished(log_p, mask, weight)
        self._counts_vanished = gone is not None
        gone = torch.zeros_like(negatives) if gone is None else gone
        nll = [-log_p.masked_fill(~side, 0).sum() for side in (up, down)]
        parts = [nll[0], up.sum(), nll[1], down.sum(), negatives.sum(), gone.sum(), torch.full_like(nll[0], tokens)]
        self._sums = self._sums.to(log_p.device) + torch.stack([part.double() for part in parts])

    def _warn(self, logs: dict[str, float]) -> None:
        """Negative weights times ℓ have no lower bound: say once when the wrong answers' ℓ runs away."""
        if (now := logs.get("nll_down")) is None:
            return
        self._first = now if self._first is None else self._first
        logs["runaway"] = float(now > self._first + _RUNAWAY)
        if logs["runaway"] and not self.warned:
            self.warned = (
                f"Step {self.state.global_step}: the rows of negative weight went from {self._first:.2f} to {now:.2f} "
                "nats a token. Their loss has no lower bound: lower lr, or raise b."
            )
            if self.accelerator.is_main_process:
                say(self.warned)


def kl(log_p: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """k3 = exp(δ) − δ − 1 with δ = log π_ref − log π_t: unbiased for KL(π‖π_ref) under π, never negative.

    `reference` (rows, tokens) holds log π_ref, that of the base with the adapter switched off.
    """
    delta = reference - log_p
    return (delta.exp() - delta - 1).masked_fill(~mask, 0)


def token_mean(per_token: Tensor, tokens: Tensor | int) -> Tensor:
    """Σ / N, where N counts the completion tokens (or rows) of the whole optimizer step: all micro-batches, all ranks.

    A step without one is 0, not 0/0.
    """
    return per_token.sum() / torch.as_tensor(tokens).clamp(min=1)
