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
from trainer.runs.gpus import Device, gpus, refuse_apart
from trainer.runs.held_out import overlap_note, plan, problems, refuse_unmeasured
from trainer.runs.launchers import main_process, process_count, refuse_uncut, refuse_unfit
from trainer.runs.push import Uploads
from trainer.runs.tasks import Options, Task, done, refuse_taken, tasks

if TYPE_CHECKING:
    from trainer.runs.data import Data

_TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
"""Name -> the package it needs."""


def train(options: Options) -> int:
    """Train what is asked for; the exit code. Raises InspectorError, and CancelledError after an interruption."""
    uploads = Uploads(options.push, private=options.private)
    asked, left_out, rollouts, rollouts_digest = _checked(options)
    _tell(left_out)
    devices = gpus(options.gpus) if options.gpus else []
    if options.dry_run:
        return max(_plan(asked, rollouts, rollouts_digest, options), _some(left_out))
    from trainer.runs.data import prepared
    from trainer.runs.one_run import narrate

    to_do = [task for task in asked if not done(task, rollouts_digest)]
    if main_process():
        _ask_first(options, uploads, to_do)
    narrate(
        f"{count(len(rollouts), 'rollout')}, {count(len(asked), 'run')}: {', '.join(t.folder.name for t in asked)}."
    )
    data = prepared(to_do, rollouts, rollouts_digest, commit_of(options.rollouts), narrate)
    del rollouts  # the texts of a large set are a gigabyte
    failed = _queued(asked, options, data, devices, uploads) if devices else {}
    if not devices:
        _in_turn(asked, options, data, uploads)
    uploads.close()
    if failed and len(failed) == len(asked):
        raise InspectorError("No run was finished: the reasons are above. The same command tries them again.")
    return _some(failed or left_out)


def _ask_first(options: Options, uploads: Uploads, to_do: Sequence[Task]) -> None:
    """Raise InspectorError if the Hub, or the server that is to sample, does not answer as it must."""
    from trainer.objectives.vllm_sampler import Place

    uploads.check()
    for task in to_do:
        if options.vllm and task.online:
            Place(options.vllm, task.base_id, task.recipe.rank).check()


def _in_turn(asked: Sequence[Task], options: Options, data: Data, uploads: Uploads) -> None:
    """Train one after another; the first error ends it."""
    from trainer.runs.bases import Bases
    from trainer.runs.one_run import narrate, run

    note, bases = once(narrate), Bases()
    for task in asked:
        if record := done(task, data.digest):
            narrate(f"{task.folder.name}: {_done(record)}.")
        else:
            run(task, data, options.trackers, options.vllm, note, bases)
        if main_process():
            uploads.push(task.folder)


def _queued(
    asked: Sequence[Task], options: Options, data: Data, devices: Sequence[Device], uploads: Uploads
) -> Mapping[str, str]:
    """Train on all devices at once, what takes longest first; the runs that failed, and why."""
    from trainer.runs.queue import train_queued

    to_do = []
    for task in asked:
        if record := done(task, data.digest):
            say(f"{task.folder.name}: {_done(record)}.")
            uploads.push(task.folder)
        else:
            to_do.append(task)
    failed = train_queued(sorted(to_do, key=lambda t: not t.online), options, data, devices, uploads.push)
    if failed:
        runs = f"{len(failed)} of {count(len(to_do), 'run')}"
        say(f"{runs} failed: {', '.join(failed)}. The same command goes on with what is not done.")
    return failed


def _some(missing: Mapping[str, Any]) -> int:
    """The exit code of a command that did all it was asked for, or only some of it."""
    return 3 if missing else 0


def _checked(options: Options) -> tuple[list[Task], dict[str, list[str]], list[Rollout], str]:
    """The runs, those left out by why, the rollouts and their digest.

    What can be wrong is found here, for all runs, before torch is imported. A method that cannot run on these processes
    or learn from these rows is left out if another can. Raises InspectorError.
    """
    _trackers(options.trackers)
    if options.gpu and not options.dry_run:
        raise InspectorError(f"--gpu {options.gpu} is what a plan is made for: add --dry-run.")
    refuse_folder(options.out, "--out")
    left_out: dict[str, list[str]] = {}
    named = tasks(options)
    if options.gpus:
        refuse_apart(options.gpus, [task.recipe.device for task in named])
    asked = _able(named, left_out, _refuse_here)
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

    return _able(asked, left_out, learn), left_out, rollouts, rollouts_digest


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


def _tell(left_out: Mapping[str, Sequence[str]]) -> None:
    for why, names in left_out.items():
        if main_process():
            say(f"Left out: {', '.join(names)}. {why}")


def _trackers(names: Sequence[str]) -> None:
    for name in names:
        if name not in _TRACKERS:
            raise InspectorError(f"No tracker {plain(name)!r}: choose {', '.join(_TRACKERS)}.")
        if importlib.util.find_spec(_TRACKERS[name]) is None:
            raise InspectorError(f"The tracker {name} needs the package {_TRACKERS[name]}: pip install it first.")


def _done(record: Mapping[str, Any]) -> str:
    of = f"step {record['step']} of {record['steps']}" if record["step"] != record["steps"] else ""
    return f"done before ({of or count(record['step'], 'step')})"


def _plan(asked: Sequence[Task], rollouts: Sequence[Rollout], rollouts_digest: str, options: Options) -> int:
    """Print what would be done."""
    from trainer.runs.bases import Skeleton, skeleton
    from trainer.runs.estimates import Planner

    shapes: dict[str, Skeleton] = {}
    sets: dict[tuple[str, str], Tokens] = {}
    planner = Planner(process_count(), options.gpu, elsewhere=bool(options.vllm))
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
            text = planner.lines(task.method, recipe, shape, found, rows, told)
            scored = held_out(sets[key], recipe.max_length, recipe.eval_rows)
            text += plan(recipe, scored, problems(recipe))
            text += [f"  ! {note}" for note in (weight_note(task.method, rows), overlap_note(rows, scored)) if note]
            account = "" if task.online else rows.account()
        if main_process():
            print(task.folder, *text, sep="\n")  # noqa: T201 - the answer
            if account:
                once_each(account)
    return 0
