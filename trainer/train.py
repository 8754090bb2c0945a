"""Rollouts to adapters: one run after another, each resumed where it was stopped, or skipped where it is done."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inspector.common.console import say
from inspector.common.errors import InspectorError
from inspector.common.files import refuse_folder
from inspector.common.text import count, plain
from inspector.tasks.datasets import commit_of
from trainer.methods import METHODS
from trainer.methods.rewards import statistics
from trainer.objectives.examples import examples, refuse_unlearnable, weight_note
from trainer.progress import once
from trainer.rollouts.rows import held_out, learned
from trainer.rollouts.schema import TRAIN, Rollout, digest, read_rollouts
from trainer.rollouts.tokens import Tokens, tokenised
from trainer.runs.gpus import Device, gpus, numbers
from trainer.runs.held_out import overlap_note, plan, problems, refuse_unmeasured
from trainer.runs.launchers import main_process, process_count, refuse_uncut, refuse_unfit
from trainer.runs.push import Uploads
from trainer.runs.tasks import Options, Task, done, refuse_taken, tasks

if TYPE_CHECKING:
    from trainer.runs.data import Data

_TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
"""Name -> the package it needs."""
_INCOMPLETE = 3
"""The exit code where some runs failed, and others did not."""


def train(options: Options) -> int:
    """Train what is asked for; the exit code. Raises InspectorError, and CancelledError after an interruption."""
    uploads = Uploads(options.push, private=options.private)
    asked, left_out, rollouts, rollouts_digest = _checked(options)
    devices = gpus(options.gpus) if options.gpus else []
    if options.dry_run:
        return max(_plan(asked, rollouts, rollouts_digest), _INCOMPLETE * bool(left_out))
    from trainer.objectives.vllm_sampler import Place
    from trainer.runs.bases import Bases
    from trainer.runs.data import prepared
    from trainer.runs.one_run import narrate, run

    to_do = [task for task in asked if not done(task, rollouts_digest)]
    if main_process():
        uploads.check()
        for task in to_do if options.vllm else ():
            if task.online:
                Place(options.vllm, task.base_id, task.recipe.rank).check()
    narrate(
        f"{count(len(rollouts), 'rollout')}, {count(len(asked), 'run')}: {', '.join(t.folder.name for t in asked)}."
    )
    data = prepared(to_do, rollouts, rollouts_digest, commit_of(options.rollouts), narrate)
    del rollouts  # the texts of a large set are a gigabyte
    bases = Bases()
    note, queued = once(narrate), [task.folder for task in to_do] if devices else []
    for task in asked:
        if record := done(task, rollouts_digest):
            narrate(f"{task.folder.name}: {_done(record)}.")
        elif not devices:
            run(task, data, options.trackers, options.vllm, note, bases)
        if main_process() and task.folder not in queued:
            uploads.push(task.folder)
    failed = _queued(to_do, options, data, devices, uploads) if devices else {}
    uploads.close()
    return _INCOMPLETE if failed or left_out else 0


def _queued(
    tasks: Sequence[Task], options: Options, data: Data, devices: Sequence[Device], uploads: Uploads
) -> Mapping[str, str]:
    """Train on all devices at once, what takes longest first; the runs that failed, and why."""
    from trainer.runs.queue import train_queued

    failed = train_queued(sorted(tasks, key=lambda t: not t.online), options, data, devices, uploads.push)
    if failed:
        runs = f"{len(failed)} of {count(len(tasks), 'run')}"
        say(f"{runs} failed: {', '.join(failed)}. The same command goes on with what is not done.")
    if failed and len(failed) == len(tasks):
        raise InspectorError("No run was finished: the reasons are above. The same command tries them again.")
    return failed


def _checked(options: Options) -> tuple[list[Task], dict[str, list[str]], list[Rollout], str]:
    """The runs, those left out by why, the rollouts and their digest.

    What can be wrong is found here, for all runs, before torch is imported. A method that cannot run on these processes
    or learn from these rows is left out if another can. Raises InspectorError.
    """
    _trackers(options.trackers)
    refuse_folder(options.out, "--out")
    left_out: dict[str, list[str]] = {}
    wanted = tasks(options)
    if options.gpus:
        _refuse_apart(options.gpus, wanted)
    asked = _able(wanted, left_out, _refuse_here)
    if options.vllm and not any(task.online for task in asked):
        online = " and ".join(method.name for method in METHODS.values() if method.data == "prompts")
        raise InspectorError(f"--vllm samples for {online}: the other methods sample nothing.")
    for recipe in {(task.recipe.eval_task, task.recipe.eval_limit): task.recipe for task in asked}.values():
        problems(recipe)
    rollouts = read_rollouts(options.rollouts)
    rollouts_digest = digest(rollouts)
    learned = [row for row in rollouts if row.split == TRAIN]
    rewards, groups = [row.reward for row in learned], [row.group_id for row in learned]
    for task in asked:
        refuse_taken(task, rollouts_digest)
        refuse_unmeasured(task.recipe, rollouts)

    def learn(task: Task) -> None:
        if done(task, rollouts_digest) is None:
            refuse_unlearnable(task.method, rewards, groups, gold=any(row.solution for row in learned))

    able = _able(asked, left_out, learn)
    for why, names in left_out.items():
        if main_process():
            say(f"Left out: {', '.join(names)}. {why}")
    return able, left_out, rollouts, rollouts_digest


def _refuse_here(task: Task) -> None:
    refuse_unfit(os.environ, task.method)
    refuse_uncut(task.method, task.recipe, process_count())


def _able(asked: Sequence[Task], left_out: dict[str, list[str]], refuse: Callable[[Task], None]) -> list[Task]:
    """The runs that are not refused; the others go to `left_out`. Raises the first error if all are refused."""
    able, first = [], None
    for task in asked:
        try:
            refuse(task)
            able.append(task)
        except InspectorError as error:
            first = first or error
            left_out.setdefault(str(error), []).append(task.folder.name)
    if first and not able:
        raise first
    return able


def _refuse_apart(gpus: str, asked: Sequence[Task]) -> None:
    """Raise InspectorError for what does not go with a GPU for each run."""
    numbers(gpus)
    if process_count() > 1:
        raise InspectorError("--gpus starts a process for each run itself: leave out torchrun, or accelerate launch.")
    if named := next((task.recipe.device for task in asked if task.recipe.device != "auto"), ""):
        raise InspectorError(f"--gpus and device={plain(named, 20)} both say where a run is trained: leave one out.")


def _trackers(names: Sequence[str]) -> None:
    for name in names:
        if name not in _TRACKERS:
            raise InspectorError(f"No tracker {plain(name)!r}: choose {', '.join(_TRACKERS)}.")
        if importlib.util.find_spec(_TRACKERS[name]) is None:
            raise InspectorError(f"The tracker {name} needs the package {_TRACKERS[name]}: pip install it first.")


def _done(record: Mapping[str, Any]) -> str:
    of = f"step {record['step']} of {record['steps']}" if record["step"] != record["steps"] else ""
    return f"done before ({of or count(record['step'], 'step')})"


def _plan(asked: Sequence[Task], rollouts: Sequence[Rollout], rollouts_digest: str) -> int:
    """Print what would be done."""
    from trainer.runs import estimates
    from trainer.runs.bases import Skeleton, skeleton

    shapes: dict[str, Skeleton] = {}
    sets: dict[tuple[str, str], Tokens] = {}
    once_each = once(print)
    for task in asked:
        recipe = task.recipe
        if record := done(task, rollouts_digest):
            text, account = [f"  {_done(record)}: it stays as it is"], ""
        else:
            shape = shapes[recipe.base] = shapes.get(recipe.base) or skeleton(recipe.base, say)
            if (key := (recipe.base, recipe.reasoning)) not in sets:
                sets[key] = tokenised(rollouts, shape.tokenizer, recipe.reasoning)
            rows = learned(sets[key], recipe.max_length, recipe.cut)
            told = statistics(rows.rewards, rows.groups)
            found = examples(task.method, recipe, rows)
            text = estimates.lines(task.method, recipe, shape, found, told, process_count())
            scored = held_out(sets[key], recipe.max_length, recipe.eval_rows)
            text += plan(recipe, scored, problems(recipe))
            text += [f"  ! {note}" for note in (weight_note(task.method, rows), overlap_note(rows, scored)) if note]
            account = "" if task.online else rows.account()
        if main_process():
            print(task.folder, *text, sep="\n")  # noqa: T201 - the answer
            if account:
                once_each(account)
    return 0
