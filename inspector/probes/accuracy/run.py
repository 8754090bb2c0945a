"""Accuracy inside the app and in `analyze`: the same records as `inspector eval`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from inspector.adapters.model import Adapter
from inspector.common.arrays import Floats
from inspector.probes.accuracy.engines import Local
from inspector.probes.accuracy.measure import Watch, evaluate
from inspector.probes.accuracy.records import folder_of
from inspector.probes.accuracy.solved import Results
from inspector.probes.job import Job
from inspector.study.metrics import DEFINITIONS
from inspector.tasks.problems import token_limit


def run(job: Job, adapters: Sequence[Adapter], note: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
    """Greedy pass@1 of the base and of every adapter; what the records hold is not asked again."""
    at = [job.names.index(adapter.info.name) for adapter in adapters]

    def deliver(results: Results) -> None:
        blocks = results.blocks()
        placed = {key: _placed(key[0], values, at, len(job.names)) for key, values in blocks.items()}
        job.deliver(results.info, placed, ())

    problems = job.request.problems("accuracy")
    engine = Local(job.attached, job.request.new_tokens or token_limit(problems.name), job.request.batch)
    watch = Watch(job.course.counted, deliver, note, cancelled)
    deliver(evaluate(engine, adapters, problems, folder_of(None), watch, with_base=True))


def _placed(metric: str, values: Floats, at: Sequence[int], count: int) -> Floats:
    """A block over the probed adapters as one over all of the study's."""
    axes = {"none": 0, "adapter": 1}.get(DEFINITIONS[metric].subject, 2)
    if axes == 0:
        return values
    block = np.full((*[count] * axes, *values.shape[axes:]), np.nan)
    block[np.ix_(*[at] * axes)] = values
    return block
