"""Linear mode connectivity: the loss along α·ΔW_a + (1−α)·ΔW_b.

The path is on ΔW: both adapters are active, scaled by α and 1−α, so that nothing is rounded into the base and
no cross terms B_a·A_b appear. At α = 1 and 0 only the one adapter runs: the endpoints are the adapters alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.base_model.attach import Attached
from inspector.base_model.batches import Batches, filler_of, padded
from inspector.base_model.encode import Encoded
from inspector.common.arrays import Floats


@dataclass(frozen=True, slots=True)
class Point:
    """One point of one path: the weight of each adapter; one of weight 1, or none for the base, off the paths."""

    weights: tuple[tuple[str, float], ...]


def points(pairs: Sequence[tuple[str, str]], alphas: Sequence[float]) -> list[Point]:
    """Every distinct point: the base, each adapter alone, then pair by pair what lies between."""
    names = dict.fromkeys(name for pair in pairs for name in pair)
    found = [Point(()), *(Point(((name, 1.0),)) for name in names)]
    for a, b in pairs:
        found += [on_path(a, b, alpha) for alpha in alphas]
    return list(dict.fromkeys(found))


def on_path(a: str, b: str, alpha: float) -> Point:
    """α·ΔW_a + (1−α)·ΔW_b, the same whichever of the two is named first."""
    weights = ((a, alpha), (b, round(1 - alpha, 10)))
    return Point(tuple(sorted((name, weight) for name, weight in weights if weight != 0)))


def losses(
    attached: Attached, point: Point, examples: Sequence[Encoded], batches: Batches, done: Callable[[int], None]
) -> Floats:
    """(n,) the summed cross-entropy of each example's target tokens, natural log, in float64.

    `done(tokens)` after every batch.
    """
    attached.mix(dict(point.weights))
    found = np.zeros(len(examples))
    model, filler = attached.base.model, filler_of(attached.base.tokenizer)

    def work(indices: list[int]) -> None:
        chosen = [examples[i] for i in indices]
        found[indices] = _summed(model, chosen, filler)
        done(sum(len(example.ids) for example in chosen))

    batches.run(examples, work)
    return found


def _summed(model: Any, examples: Sequence[Encoded], filler: int) -> Floats:
    """Cross-entropy summed over the targets of each example of one batch."""
    import torch

    first = max(min(e.start for e in examples) - 1, 0)
    with torch.inference_mode():
        ids, mask = padded(examples, model.device, filler)
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
