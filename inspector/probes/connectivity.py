"""Linear mode connectivity: the loss along α·ΔW_a + (1−α)·ΔW_b.

The path is on ΔW: both adapters are active, scaled by α and 1−α, so that nothing is rounded into the base and
no cross terms B_a·A_b appear. At α = 1 and 0 only the one adapter runs: the endpoints are the adapters alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inspector.base_model.answer_loss import summed
from inspector.base_model.attach import Attached
from inspector.base_model.batches import Batches
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
    return summed(attached, examples, batches, done)
