"""DPO, IPO, SimPO and KTO through TRL, on our token ids and in our order.

TRL prepares data from text; here it is prepared, so `_prepare_dataset` hands it through. What TRL computes once for
each example is computed on the examples, before they are laid out over the epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_trainer import KTOTrainer

from trainer.objectives.examples import Columns
from trainer.objectives.laid import NUMBER, laid
from trainer.saving.checkpoints import Durable


class PairTrainer(Durable, DPOTrainer):
    """−log σ and its kin on pairs; the reference is the base with the adapter switched off, scored once.

    A step's loss is the mean over its pairs: every step has the same number, so the mean of the micro-batches'
    means is theirs. With a `margin`, γ/β in nats a token, there is no reference: TRL's length-normalised DPO with
    log ref_w := (γ/β)|w| and log ref_l := 0 is SimPO, β·log π_w/|w| − β·log π_l/|l| − γ.
    """

    def __init__(
        self, *args: Any, columns: Columns, order: Sequence[int], margin: float | None = None, summed: bool = False,
        **more: Any,
    ) -> None:  # fmt: skip
        self._columns, self._order, self._margin, self._summed = columns, order, margin, summed
        more |= {"train_dataset": laid(columns, range(len(columns["chosen_ids"])))}
        super().__init__(*args, **more)

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        """TRL's; with `summed` IPO's of whole log-probabilities, (Δ − 1/(2β))², which TRL has per token alone."""
        if not self._summed:
            return super()._compute_loss(model, inputs, return_outputs)  # type: ignore[no-untyped-call]
        given = {key: inputs[key] for key in ("input_ids", "attention_mask")}
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        log_p = model(**given, labels=labels, use_cache=False, fused_lm_head=True).log_probs.sum(dim=1)
        references = inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]
        right, wrong = (ours - theirs for ours, theirs in zip(log_p.chunk(2), references, strict=True))
        apart = (right - wrong).detach()
        self._total_train_tokens += int(self.accelerator.gather(inputs["attention_mask"].sum()).sum())
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        for name, value in (("accuracies", (apart > 0).float()), ("margins", self.beta * apart)):
            self._metrics["train"][f"rewards/{name}"].append(self.accelerator.gather(value).mean().item())
        return ((right - wrong - 1 / (2 * self.beta)) ** 2).mean()

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:  # noqa: ARG002 - TRL's signature
        """The reference's log-probs of every pair, once, then the pairs in the order of the steps.

        TRL hands them to the other processes through a cache file, which for rows in memory lies in a temporary
        folder of each process: with two of them it is not found. Here all get them from `gather`.
        """
        if self._margin is not None:
            rights = [self._margin * len(ids) for ids in self._columns["chosen_ids"]]
            return self._laid(rights, [0.0] * len(rights))
        loader = self.accelerator.prepare(DataLoader(dataset, batch_size=batch_size, collate_fn=self.data_collator))
        score: Any = self.compute_ref_log_probs
        parts: list[tuple[Tensor, Tensor]] = [
            self.accelerator.gather_for_metrics(score(self.model, batch)) for batch in loader
        ]
        chosen, rejected = (torch.cat(side).tolist() for side in zip(*parts, strict=True))
        return self._laid(chosen, rejected)

    def _laid(self, chosen: list[float], rejected: list[float]) -> Any:
        return laid({**self._columns, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected}, self._order)

    def _set_signature_columns_if_needed(self) -> None:
        columns: Any = [NUMBER]
        self._signature_columns = columns


class UnpairedTrainer(Durable, KTOTrainer):
    """KTO on the rows as they are.

    Its reference point z is the mean KL of one micro-batch (on all ranks) with the completions turned by one, as in
    TRL: the one objective here that does depend on how a step is cut.
    """

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        columns: Any = [NUMBER]
        self._signature_columns = columns


def turned(columns: Columns, order: Sequence[int], micro_batch: int) -> Columns:
    """KTO's examples in the order of the steps, each with the completion of its neighbour in the micro-batch."""
    found: Columns = {name: [values[n] for n in order] for name, values in columns.items()}
    given = list(found["completion_ids"])
    blocks = [given[start : start + micro_batch] for start in range(0, len(given), micro_batch)]
    found["KL_completion_ids"] = [ids for block in blocks for ids in (block[-1:] + block[:-1])]
    return found
