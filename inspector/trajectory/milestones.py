"""Which checkpoints of a run differ enough to be kept, and since when its direction has settled: one sentence each."""

from __future__ import annotations

from inspector.common.text import count, some
from inspector.trajectory.result import DIFFERENT, SETTLED, Curve


def milestones(curve: Curve) -> list[str]:
    """Of a run with three checkpoints or more; fewer tell neither."""
    points = curve.points
    if len(points) < 3:
        return []
    last = points[-1].step
    if curve.settled is None:
        cosine = points[-2].cosine_final
        text = f"the direction has not settled: step {points[-2].step} has cosine {cosine:.2f} to the last, {last}."
    else:
        text = (
            f"the direction has settled from step {curve.settled} on: cosine to the last, {last}, at least {SETTLED:g}."
        )
    alike = len(points) - len(curve.kept)
    kept = f"steps to keep: {some(curve.kept, 12)}; each differs from the one before by over {DIFFERENT:.0%} of ‖ΔW‖"
    return [text, f"{kept}, or is the last; {count(alike, 'other')} no more than that." if alike else f"{kept}."]
