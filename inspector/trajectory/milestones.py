"""Which checkpoints of a run differ enough to be kept, and since when its direction has settled: one sentence each."""

from __future__ import annotations

import math

from inspector.common.text import count, some
from inspector.trajectory.result import DIFFERENT, SETTLED, Curve


def milestones(curve: Curve) -> list[str]:
    """Of a run with three measured checkpoints or more; fewer tell neither."""
    points = curve.points
    if len(points) < 3 or math.isnan(points[-2].cosine_final):
        return []
    last, cosine = points[-1].step, points[-2].cosine_final
    settled = f"settled from step {curve.settled} on: cosine to the last, {last}, at least {SETTLED:g}."
    if curve.settled is None:
        settled = f"not settled: step {points[-2].step} has cosine {cosine:.2f} to the last, {last}."
    nearer = count(len(points) - len(curve.kept), "other")
    kept = f"over {DIFFERENT:.0%} of ‖ΔW‖ from the kept one before, and the last; {nearer} nearer."
    return [f"The direction has {settled}", f"Keep steps {some(curve.kept, 12)}: {kept}"]
