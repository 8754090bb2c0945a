"""Rollouts to adapters: one run after another, each resumed where it was stopped, or skipped where it is done."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from inspector.errors import CancelledError, InspectorError
from inspector.export import replacing
from inspector.probes import offline
from inspector.probes.base import Base, load_base
from inspector.text import count, plain
from trainer import checkpoints, runs, start
from trainer.build import build, device_here, main_process, refuse_unfit, split
from trainer.examples import Examples, examples
from trainer.methods import Method, chosen
from trainer.recipe import Recipe, Source, read, resolve, to_yaml
from trainer.rollout_progress import clock, say
from trainer.rows import Rows, tokenised
from trainer.schema import Rollout, digest, read_rollouts
from trainer.training_log import TrainingLog, diagnostics, read_log
from trainer.weights import statistics

STARTS = ".start"
_STARTED = "started.json"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    method: str
    rollouts: Path
    out: Path
    recipe: str = "study-qwen3-4b"
    settings: tuple[str, ...] = ()
    name: str = ""
    trackers: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One run: which method, how, where."""

    method: Method
    recipe: Recipe
    folder: Path


def train(options: Options) -> int:
    """Train what is asked for. Raises InspectorError, and CancelledError after an interruption."""
    refuse_unfit(os.environ)
    tasks = _tasks(read(options.recipe), options)
    rollouts = read_rollouts(options.rollouts)
    if options.dry_run:
        return _plan(tasks, rollouts)
    _narrate(
        f"{count(len(rollouts), 'rollout')}, {count(len(tasks), 'run')}: {', '.join(t.folder.name for t in tasks)}."
    )
    for task in tasks:
        _run(task, rollouts, options)
    return 0


def _tasks(source: Source, options: Options) -> list[Task]:
    """All runs, each with settings that can be, before the first one begins."""
    found = []
    for method in chosen(options.method):
        for name, recipe in resolve(source, method.name, options.settings):
            method.variant(recipe.variant if options.method != "all" else "")
            found.append(Task(method, recipe, options.out / (options.name or name)))
    if options.name and len(found) > 1:
        raise InspectorError(f"--name names one run, and these are {len(found)}: leave it out.")
    return found


def _plan(tasks: Sequence[Task], rollouts: Sequence[Rollout]) -> int:
    """Print what would be done."""
    from trainer import estimates

    shapes: dict[str, estimates.Skeleton] = {}
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    for task in tasks:
        recipe = task.recipe
        shape = shapes[recipe.base] = shapes.get(recipe.base) or estimates.skeleton(recipe.base)
        rows = tokenised(rollouts, shape.tokenizer, recipe.max_length, recipe.cut)
        told = statistics(rows.rewards, rows.groups)
        text = estimates.lines(task.method, recipe, shape, examples(task.method, recipe, rows), told, processes)
        if main_process():
            print(f"{task.folder}", *text, *filter(None, [rows.account()]), sep="\n")  # noqa: T201 - the answer
    return 0


def _run(task: Task, rollouts: Sequence[Rollout], options: Options) -> None:
    """One adapter, from where it is."""
    recipe, folder = task.recipe, task.folder
    data = digest(rollouts)
    mark = {"method": task.method.name, "rollouts": data, "recipe": _comparable(recipe)}
    if (done := runs.read(folder)) is not None:
        _same(mark, {key: done[key] for key in mark}, folder)
        _narrate(f"{folder.name}: done before ({done['step']} steps).")
        return
    base = load_base(recipe.base, device_here(recipe), recipe.dtype, note=_narrate)
    base_id = _base_id(recipe)
    base.model.name_or_path = base.model.config._name_or_path = base_id  # noqa: SLF001 - PEFT and TRL copy it
    rows = tokenised(rollouts, base.tokenizer, recipe.max_length, recipe.cut)
    found = examples(task.method, recipe, rows)
    if account := rows.account():
        _narrate(account)
    _begin(mark, task)
    _trained(task, base, base_id, rows, found, data, options.trackers)


def _trained(
    task: Task, base: Base, base_id: str, rows: Rows, found: Examples, data: str, trackers: Sequence[str]
) -> None:
    """Train, check that the base is what it was, write the adapter."""
    recipe, folder = task.recipe, task.folder
    place = folder / checkpoints.FOLDER
    before = start.base_digest(base.model)
    tensors = start.initial(base.model, recipe.rank, recipe.targets, recipe.init_seed)
    guard = checkpoints.Guard()
    trainer = build(task.method, recipe, base, found, place, list(trackers), guard)
    trainer.base_id = base_id
    progress = TrainingLog(folder.name, folder / runs.LOG)
    _only(trainer, guard, progress)
    with trainer.accelerator.main_process_first():
        a0 = start.load(trainer.model, start.written(folder.parent / STARTS, tensors))
    resumed = checkpoints.newest(place)
    _announce(task, found, resumed)
    began = time.monotonic()
    with checkpoints.signals(guard), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, about libraries
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    if guard.stopped:
        _narrate(f"Stopped at step {trainer.state.global_step}: the same command goes on from there.")
        raise CancelledError
    if start.base_digest(trainer.accelerator.unwrap_model(trainer.model)) != before:
        raise InspectorError("The base's weights changed while the adapter was trained: please report this.")
    if main_process():
        runs.save_adapter(trainer.model, folder, base_id, recipe.save_dtype)
        log = read_log(folder / runs.LOG)
        run = _record(task, base, base_id, rows, found, log, trainer)
        run |= {"base_weights": before, "a0": a0, "rollouts": data, "seconds": round(time.monotonic() - began, 1)}
        runs.write(runs.Run(**run), folder)
        checkpoints.thin(place, 0)
        if warned := getattr(trainer, "warned", ""):
            say(f"{folder.name}: {warned}")
        say(f"{folder.name}: {trainer.state.global_step} steps in {clock(run['seconds'])}, in {folder}.")
    trainer.accelerator.wait_for_everyone()


def _record(
    task: Task, base: Base, base_id: str, rows: Rows, found: Examples, log: Sequence[dict[str, float]], trainer: Any
) -> dict[str, Any]:
    """The fields of run.json."""
    recipe, method = task.recipe, task.method
    variant = method.variant(recipe.variant)
    cut = split(recipe, trainer.accelerator.num_processes)
    tensors = start.adapter(trainer.model)
    last = [line["loss"] for line in log[-10:] if "loss" in line]
    return {
        "name": task.folder.name, "method": method.name, "variant": variant.name, "formula": variant.formula,
        "source": method.source, "reduction": recipe.reduction if method.data == "rows" else "example-mean",
        "base": base_id, "base_digest": base.digest, "dtype": base.dtype, "device": base.device,
        "rows_digest": rows.digest, "rewards": asdict(statistics(rows.rewards, rows.groups)),
        "examples": len(found), "noun": found.noun, "cut": rows.cut, "too_long": rows.too_long,
        "init_seed": recipe.init_seed, "data_seed": recipe.data_seed, "lr": recipe.lr,
        "step": trainer.state.global_step, "steps": recipe.steps, "batch": recipe.batch,
        "micro_batch": cut.micro_batch, "processes": cut.processes,
        "epochs": recipe.steps * recipe.batch / len(found), "tokens": int(sum(line.get("tokens", 0) for line in log)),
        "loss": sum(last) / max(len(last), 1), "diagnostics": diagnostics(list(log)),
        "norms": {side: _norm(tensors, side) for side in ("lora_A", "lora_B")},
        "settings": {name: getattr(recipe, name) for name in variant.settings}, "recipe": _comparable(recipe),
        "versions": runs.versions(),
    }  # fmt: skip


def _norm(tensors: dict[str, Any], side: str) -> float:
    return float(sum(float(t.double().square().sum()) for name, t in tensors.items() if side in name) ** 0.5)


def _announce(task: Task, found: Examples, resumed: Path | None) -> None:
    recipe = task.recipe
    seen = recipe.steps * recipe.batch / len(found)
    _narrate(
        f"{task.folder.name}: {count(len(found), found.noun)}, {recipe.steps} steps of {recipe.batch} "
        f"({seen:.2f} epochs), lr {recipe.lr:g}."
        + (f" Going on after step {checkpoints.step_of(resumed)}." if resumed else "")
    )


def _begin(mark: dict[str, Any], task: Task) -> None:
    """The folder, and what is being made in it; refused where it was begun as something else."""
    path = task.folder / checkpoints.FOLDER / _STARTED
    if not main_process():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            _same(mark, json.loads(path.read_text(encoding="utf-8")), task.folder)
    except OSError as error:
        raise InspectorError(f"Cannot write to {plain(task.folder)}: {error.strerror or error}.") from error
    checkpoints.clean(path.parent)
    shown = task.recipe if task.recipe.base == offline.NAME else replace(task.recipe, base=_base_id(task.recipe))
    for target, text in ((path, json.dumps(mark)), (task.folder / runs.RECIPE, to_yaml(shown))):
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _same(mark: dict[str, Any], there: dict[str, Any], folder: Path) -> None:
    """Raises InspectorError where the folder holds another run."""
    wanted, found = mark | mark["recipe"], there | there["recipe"]
    if differs := [key for key in wanted if key != "recipe" and wanted[key] != found.get(key)]:
        key = differs[0]
        raise InspectorError(
            f"{plain(folder)} holds a run with another {key} ({plain(found.get(key), 40)}, not "
            f"{plain(wanted[key], 40)}): choose another --out or --name, or remove it."
        )


def _comparable(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON has it, the base by its id, without where it runs and what is kept."""
    loose = {"device", "keep", "save_steps", "base_id"}
    values = asdict(recipe) | {"base": _base_id(recipe), "targets": list(recipe.targets)}
    return {key: value for key, value in values.items() if key not in loose}


def _base_id(recipe: Recipe) -> str:
    """An id for the adapter to name: never a path of this machine."""
    if recipe.base_id:
        return recipe.base_id
    if recipe.base == offline.NAME:
        return offline.HUB_ID
    path = Path(recipe.base).expanduser()
    return path.resolve().name if path.is_dir() else recipe.base.partition("@")[0]


def _only(trainer: Any, *wanted: Any) -> None:
    """transformers prints every log line itself; ours says it."""
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    for unwanted in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(unwanted)
    trainer.add_callback(wanted[-1])


def _narrate(text: str) -> None:
    if main_process():
        say(text)
