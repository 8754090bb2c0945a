"""Accuracy inside the app and in `analyze`: the same records as `inspector eval`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from inspector.adapters.model import Adapter
from inspector.common.arrays import Floats
from inspector.probes.job import Job
from inspector.study.metrics import DEFINITIONS
from inspector.study.probe_results import Blocks
from inspector.study.study import ProbeInfo


def run(job: Job, adapters: Sequence[Adapter], note: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
    """Greedy pass@1 of the base and of every adapter; what the records hold is not asked again."""
    from inspector.probes.accuracy.measure import measure

    at = [job.names.index(adapter.info.name) for adapter in adapters]

    def deliver(info: ProbeInfo, blocks: Blocks) -> None:
        job.deliver(info, {key: _placed(key[0], values, at, len(job.names)) for key, values in blocks.items()}, ())

    info, blocks = measure(
        job.attached,
        adapters,
        job.request.problems("accuracy"),
        max_new_tokens=job.request.new_tokens,
        batch=job.request.batch,
        progress=job.course.counted,
        partial=deliver,
        note=note,
        cancelled=cancelled,
    )
    deliver(info, blocks)


def _placed(metric: str, values: Floats, at: Sequence[int], count: int) -> Floats:
    """A block over the probed adapters as one over all of the study's."""
    axes = {"none": 0, "adapter": 1}.get(DEFINITIONS[metric].subject, 2)
    if axes == 0:
        return values
    block = np.full((*[count] * axes, *values.shape[axes:]), np.nan)
    block[np.ix_(*[at] * axes)] = values
    return block
