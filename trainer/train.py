"""Rollouts to adapters: one run after another, each resumed where it was stopped, or skipped where it is done."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence

from inspector.errors import InspectorError
from inspector.text import count, plain
from trainer.build import check, main_process
from trainer.examples import examples
from trainer.launchers import refuse_unfit
from trainer.push import Uploads
from trainer.rows import tokenised
from trainer.schema import Rollout, digest, read_rollouts
from trainer.tasks import Options, Task, done, tasks
from trainer.weights import statistics

_TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
"""Name -> the package it needs."""


def train(options: Options) -> int:
    """Train what is asked for. Raises InspectorError, and CancelledError after an interruption."""
    _trackers(options.trackers)
    uploads = Uploads(options.push, private=options.private)
    asked = tasks(options)
    refuse_unfit(os.environ, [task.method for task in asked])
    online = [task for task in asked if task.online]
    if options.vllm and not online:
        raise InspectorError("--vllm samples for online-grpo and online-dapo: the other methods sample nothing.")
    rollouts = read_rollouts(options.rollouts)
    if options.dry_run:
        return _plan(asked, rollouts)
    from trainer.one_run import narrate, run
    from trainer.vllm_sampler import Place

    data = digest(rollouts)
    if main_process():
        uploads.check()
        for task in online:
            if options.vllm and not done(task, data):
                Place(options.vllm, task.base_id, task.recipe.rank).check()
    narrate(
        f"{count(len(rollouts), 'rollout')}, {count(len(asked), 'run')}: {', '.join(t.folder.name for t in asked)}."
    )
    for task in asked:
        if record := done(task, data):
            narrate(f"{task.folder.name}: done before ({record['step']} steps).")
        else:
            run(task, rollouts, data, options.trackers, options.vllm)
        if main_process():
            uploads.push(task.folder)
    uploads.close()
    return 0


def _trackers(names: Sequence[str]) -> None:
    for name in names:
        if name not in _TRACKERS:
            raise InspectorError(f"No tracker {plain(name)!r}: choose {', '.join(_TRACKERS)}.")
        if importlib.util.find_spec(_TRACKERS[name]) is None:
            raise InspectorError(f"The tracker {name} needs the package {_TRACKERS[name]}: pip install it first.")


def _plan(asked: Sequence[Task], rollouts: Sequence[Rollout]) -> int:
    """Print what would be done."""
    from trainer import estimates

    shapes: dict[str, estimates.Skeleton] = {}
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    for task in asked:
        recipe = task.recipe
        check(task.method, recipe, processes)
        shape = shapes[recipe.base] = shapes.get(recipe.base) or estimates.skeleton(recipe.base)
        rows = tokenised(rollouts, shape.tokenizer, recipe.max_length, recipe.cut)
        told = statistics(rows.rewards, rows.groups)
        text = estimates.lines(task.method, recipe, shape, examples(task.method, recipe, rows), told, processes)
        if main_process():
            print(f"{task.folder}", *text, *filter(None, [rows.account()]), sep="\n")  # noqa: T201 - the answer
    return 0
