"""The loss of gold answers under what is active on a base, text by text, and how two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from inspector.base_model.attach import Attached
from inspector.base_model.batches import Batches, filler_of, padded
from inspector.base_model.encode import Encoded
from inspector.base_model.generation import AUTO_BATCH
from inspector.common.arrays import Floats
from inspector.common.console import say


@dataclass(frozen=True, slots=True)
class Loss:
    """Of each text: −Σ ln p of the answer's tokens, and how many these are."""

    sums: Floats
    tokens: Floats

    @property
    def mean(self) -> float:
        """Cross-entropy per token, in nats."""
        return float(self.sums.sum() / self.tokens.sum())

    def beyond(self, other: Loss) -> tuple[float, float]:
        """How much larger it is than the other of the same texts, and the standard error of that (over texts)."""
        apart, n = self.sums - other.sums, len(self.sums)
        mean = float(apart.sum() / self.tokens.sum())
        scatter = float(((apart - mean * self.tokens) ** 2).sum())
        return mean, sqrt(scatter * n / max(1, n - 1)) / float(self.tokens.sum())


def answer_loss(attached: Attached, texts: Sequence[Encoded], done: Callable[[int], None] = lambda _n: None) -> Loss:
    """Of the tokens from `start` on, under what is active; `done(tokens)` after every batch."""
    size = AUTO_BATCH["cuda" if attached.base.device.startswith("cuda") else "cpu"]
    batches = Batches(size, say, lambda: False)
    return Loss(summed(attached, texts, batches, done), np.array([text.targets for text in texts], dtype=float))


def summed(
    attached: Attached, examples: Sequence[Encoded], batches: Batches, done: Callable[[int], None] = lambda _n: None
) -> Floats:
    """(n,) the summed cross-entropy of each example's target tokens, natural log, in float64, under what is active.

    `done(tokens)` after every batch.
    """
    found = np.zeros(len(examples))
    filler = filler_of(attached.base.tokenizer)

    def work(indices: list[int]) -> None:
        chosen = [examples[i] for i in indices]
        found[indices] = _of_batch(attached, chosen, filler)
        done(sum(len(example.ids) for example in chosen))

    batches.run(examples, work)
    return found


def _of_batch(attached: Attached, examples: Sequence[Encoded], filler: int) -> Floats:
    """Cross-entropy summed over the targets of each example of one batch."""
    import torch

    model = attached.base.model
    first = max(min(e.start for e in examples) - 1, 0)
    with torch.inference_mode():
        ids, mask = padded(examples, model.device, filler)
        attached.begin(ids, mask)
        # Only the positions that predict a target pass the head: it is the largest matrix of a small model.
        keep = torch.arange(first, ids.shape[1] - 1, device=ids.device)
        output = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=keep)
        logits = output.logits.float()
        labels = ids[:, first + 1 :].to(logits.device)
        each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        each = each.view(labels.shape).double().cpu()
    position = torch.arange(first + 1, ids.shape[1])
    starts = torch.tensor([e.start for e in examples])[:, None]
    ends = torch.tensor([len(e.ids) for e in examples])[:, None]
    return np.asarray((each * ((position >= starts) & (position < ends))).sum(dim=1))
