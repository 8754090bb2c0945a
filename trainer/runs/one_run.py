"""One run: from the shared start to an adapter with its record, resumed where it was stopped."""

from __future__ import annotations

import ctypes
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import Tensor

from inspector.common.console import say
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import count, duration
from trainer.objectives.examples import examples, taken, weight_note
from trainer.objectives.vllm_sampler import Place, sampler
from trainer.rollouts.rows import held_out, learned
from trainer.runs.bases import Bases
from trainer.runs.build import build, device_here
from trainer.runs.data import Data
from trainer.runs.evaluation import Evaluation
from trainer.runs.held_out import overlap_note, problems
from trainer.runs.launchers import main_process
from trainer.runs.log import TrainingLog, best, evaluations, read_log
from trainer.runs.record import Setup, norm, record_of
from trainer.runs.tasks import STARTS, Task, begin, claimed
from trainer.saving import checkpoints, outcome, start

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def run(
    task: Task,
    data: Data,
    trackers: Sequence[str],
    vllm: str,
    note: Callable[[str], None],
    bases: Bases,
) -> None:
    """Make the adapter; `note` is told what holds for other runs too.

    Raises InspectorError, CancelledError after a signal, and KeyboardInterrupt.
    """
    recipe = task.recipe
    _keep_freed_memory()
    base, weights = bases.loaded(recipe.base, device_here(recipe), recipe.dtype, narrate)
    base.model.name_or_path = base.model.config._name_or_path = task.base_id  # noqa: SLF001 - PEFT and TRL copy it
    tokens = data.tokens(recipe)
    rows = learned(tokens, recipe.max_length, recipe.cut)
    scored = held_out(tokens, recipe.max_length, recipe.eval_rows)
    found = examples(task.method, recipe, rows)
    setup = Setup(
        task, base, rows, found, scored, problems(recipe, note), data.digest, data.sampling,
        vllm if task.online else "",
    )  # fmt: skip
    told = weight_note(task.method, rows), overlap_note(rows, scored), task.objective.remark(rows)
    for text in filter(None, ("" if task.online else rows.account(), *told)):
        note(text)
    if main_process():
        begin(task, data.digest)
        made_by = [
            data.digest,
            task.base_id,
            recipe.max_length,
            recipe.cut,
            *([recipe.reasoning] if rows.reasoned else []),
        ]
        start.same_rows(task.folder.parent / STARTS, json.dumps(made_by), rows.digest)
    guard = checkpoints.Guard(recipe.report_step)
    alone = claimed(task) if main_process() else nullcontext()
    with alone, checkpoints.signals(guard), warnings.catch_warnings():
        if main_process():
            checkpoints.clean(setup.checkpoints)
        warnings.simplefilter("ignore")  # of libraries, about libraries
        _train(setup, weights, guard, trackers)


def narrate(text: str) -> None:
    """A line on stderr, of the main process alone."""
    if main_process():
        say(text)


def _keep_freed_memory() -> None:
    """Keep glibc from giving large blocks back to the system at once.

    The next step would get them zeroed again: on a CPU a quarter of a step (5.9 s against 7.8 s for 16 rows of
    SmolLM2).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)


def _train(setup: Setup, before: str, guard: checkpoints.Guard, trackers: Sequence[str]) -> None:
    """Load the start, train, check that the base is what it was (`before`: the digest of its weights), write."""
    task, recipe = setup.task, setup.task.recipe
    tensors = start.initial(setup.base.model, recipe.rank, recipe.targets, recipe.init_seed)
    trainer = build(task.method, recipe, setup.base, setup.found, setup.checkpoints, list(trackers), guard)
    trainer.base_id = task.base_id
    _silence(trainer)
    training_log = TrainingLog(task.folder.name, task.folder / outcome.LOG, setup.checkpoints / "seconds")
    trainer.add_callback(training_log)
    free = task.method.data == "rows" and trainer.limits.free
    evaluation = Evaluation(trainer, setup.held_out, setup.problems, recipe.reported, free=free)
    if setup.held_out.rows or setup.problems:
        trainer.add_callback(evaluation)
    with trainer.accelerator.main_process_first():
        a0 = start.load(trainer.model, start.written(task.folder.parent / STARTS, tensors, narrate))
    if setup.vllm:
        place = Place(setup.vllm, task.base_id, recipe.rank)
        trainer.elsewhere = sampler(trainer, place, task.folder.name, setup.checkpoints / "vllm")
    resumed = checkpoints.newest(setup.checkpoints)
    if resumed and checkpoints.step_of(resumed) >= recipe.report_step > 0:
        checkpoints.adapter_of(setup.checkpoints, recipe.report_step)  # rather than after all the other steps
    _announce(setup, trainer, resumed)
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    if guard.stopped:
        narrate(f"Stopped at step {trainer.state.global_step}: the same command goes on from there.")
        raise CancelledError
    if start.base_digest(trainer.accelerator.unwrap_model(trainer.model)) != before:
        raise InspectorError("The base's weights changed while the adapter was trained: please report this.")
    tensors = start.adapter(trainer.model)
    if main_process():
        spent = time.monotonic() - began
        in_all = {"seconds": round(spent, 1), "seconds_in_all": round(spent + training_log.before, 1)}
        more = {"base_weights": before, "a0": a0, "evaluation": evaluation.record(), **in_all}
        _write(setup, trainer, tensors, more)
    trainer.accelerator.wait_for_everyone()


def _write(setup: Setup, trainer: Any, tensors: Mapping[str, Tensor], more: dict[str, Any]) -> None:
    """The adapter, then its card and record; what only resuming needed goes."""
    task, recipe = setup.task, setup.task.recipe
    log, step = read_log(task.folder / outcome.LOG), recipe.reported
    if (metric := recipe.keep_best) != "none":
        step, value = best(log, metric)
        more["kept"] = {"metric": metric, "value": value}
    if step != recipe.steps:
        tensors = checkpoints.adapter_of(setup.checkpoints, step)
    outcome.save_adapter(trainer.model, task.folder, task.base_id, recipe.save_dtype, tensors)
    if evaluated := evaluations(log):
        more["evaluation"] |= {"at": evaluated}
    told = record_of(setup, [line for line in log if line["step"] <= step], trainer, step)
    told["norms"] = {side: norm(tensors, side) for side in ("lora_A", "lora_B")}
    record = outcome.Run(**told, **more)
    outcome.write(record, task.folder)
    checkpoints.thin(setup.checkpoints, 0)
    if text := task.objective.afterword(record.diagnostics):
        say(text)
    best_by = f", the best {metric} ({value:.4g})," if record.kept else ""
    reported = f" the adapter of step {record.step}{best_by}" if best_by or record.step != record.steps else ""
    say(f"{task.folder.name}: {count(record.steps, 'step')} in {duration(record.seconds)},{reported} in {task.folder}.")


def _announce(setup: Setup, trainer: Any, resumed: Path | None) -> None:
    recipe, found = setup.task.recipe, setup.found
    epochs = taken(setup.task.method, recipe) / len(found)
    narrate(
        f"{setup.task.folder.name}: {count(len(found), found.noun)}, {count(recipe.steps, 'step')} of {recipe.batch} "
        f"({epochs:.2f} epochs), lr {recipe.lr:g}."
        + (f" Its adapter is that of step {recipe.reported}." if recipe.reported < recipe.steps else "")
        + (f" Going on after step {checkpoints.step_of(resumed)}." if resumed else "")
    )
    if trainer.plan.bytes:
        narrate(f"On the GPU: {trainer.plan}.")
    if setup.task.online:
        limit = trainer.sampling.max_tokens
        out = f" {count(found.left_out, 'prompt')} too long for that left out." if found.left_out else ""
        narrate(f"Sampling {recipe.batch} completions of up to {limit} tokens, which the first step learns from …{out}")


def _silence(trainer: Any) -> None:
    """transformers prints every log line itself; ours says it."""
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    for unwanted in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(unwanted)
