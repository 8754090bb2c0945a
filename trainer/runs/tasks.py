"""Which runs a command stands for, and which run a folder holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from inspector.base_model import smollm2
from inspector.common.append_only import locked
from inspector.common.errors import InspectorError
from inspector.common.files import refuse_folder, replacing
from inspector.common.foreign import parse_json
from inspector.common.text import plain
from trainer.methods import chosen
from trainer.methods.base import Method
from trainer.methods.own import add
from trainer.recipes.file import read, resolve, to_yaml
from trainer.recipes.recipe import Recipe
from trainer.recipes.settings import refuse_unread
from trainer.saving import outcome

CHECKPOINTS = ".checkpoints"
"""Beside the adapter; hidden, so that a folder of runs opens as its final adapters."""
STARTS = ".start"
"""Beside the runs of a set: what all of them start from, and read."""
_ADAPTER = "adapter_config.json"
_STARTED = "started.json"
_LOCK = "lock"
_LOOSE = {
    "device", "padding", "keep", "save_steps", "base_id", "micro_tokens", "gradient_checkpointing",
    "compile_blocks",
}  # fmt: skip
"""Where a run runs and what it keeps do not make it another run."""


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
    gpu: str = ""
    """Of a dry run: one of a table, instead of this machine."""
    push: str = ""
    private: bool = False
    vllm: str = ""
    objective: str = ""
    """A class of one's own, `FILE.py:CLASS`, to be trained by its name."""
    gpus: str = ""
    """Those that may be used, each for one run at a time: `0-7`."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run: which method, how, where."""

    method: Method
    recipe: Recipe
    folder: Path

    @property
    def objective(self) -> Any:
        """What the method minimises, with its settings."""
        return self.recipe.objective(self.method)

    @property
    def online(self) -> bool:
        """Whether it samples while it trains."""
        return self.method.data == "prompts"

    @property
    def base_id(self) -> str:
        """An id for the adapter to name: never a path of this machine."""
        recipe = self.recipe
        if recipe.base_id:
            return recipe.base_id
        if recipe.base == smollm2.NAME:
            return smollm2.HUB_ID
        path = Path(recipe.base).expanduser()
        return path.resolve().name if path.is_dir() else recipe.base.partition("@")[0]

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe as JSON has it, the base by its id."""
        values = self.recipe.flat | {"base": self.base_id, "targets": list(self.recipe.targets)}
        return {key: value for key, value in values.items() if key not in _LOOSE}

    def mark(self, rollouts: str) -> dict[str, Any]:
        """What makes this run this run; `rollouts` is their digest."""
        source = {"source": self.method.source} if self.method.own else {}
        return {
            "method": self.method.name, **source, "rollouts": rollouts, "recipe": self.settings,
            "settings": asdict(self.objective),
        }  # fmt: skip


def tasks(options: Options) -> list[Task]:
    """All runs, their settings checked before the first one begins. Raises InspectorError."""
    if options.objective and (own := add(options.objective)).name != options.method:
        raise InspectorError(f"--objective: it is trained by its name: write {own.name} for METHOD.")
    source = read(options.recipe)
    found = []
    for method in chosen(options.method):
        for name, recipe in resolve(source, method.name, options.settings):
            _fitting(method, recipe)
            found.append(Task(method, recipe, options.out / (options.name or name)))
    if options.name and len(found) > 1:
        raise InspectorError(f"--name names one run, and these are {len(found)}: leave it out.")
    refuse_unread(options.settings, [(task.method, task.recipe) for task in found])
    return found


def _fitting(method: Method, recipe: Recipe) -> None:
    """Raises InspectorError for settings that this method cannot have together."""
    limit = getattr(recipe.objective(method), "max_new_tokens", 0)
    if limit >= recipe.max_length:
        raise InspectorError(
            f"{method.name}: max_new_tokens, {limit}, leaves no room for a prompt in max_length, {recipe.max_length}: "
            "lower it, or raise max_length."
        )
    if recipe.padding == "free" and method.data != "rows":
        raise InspectorError(
            f"padding=free is not for {method.name}, which TRL scores a padded row at a time: leave it padded, or set "
            "it for one method alone, such as --set sft.padding=free."
        )


def done(task: Task, rollouts: str) -> Mapping[str, Any] | None:
    """The record of a finished run, None where it is not finished; refused where it is another run's."""
    record = outcome.read(task.folder)
    if record is not None:
        _same(task, rollouts, record)
    return record


def refuse_taken(task: Task, rollouts: str) -> None:
    """Raise InspectorError where the run's folder cannot be one, or holds something else; nothing is written."""
    refuse_folder(task.folder, "--out")
    if done(task, rollouts) is not None:
        return
    started = task.folder / CHECKPOINTS / _STARTED
    try:
        _same(task, rollouts, parse_json(started.read_bytes(), float))
    except FileNotFoundError:
        if (task.folder / _ADAPTER).exists():
            raise InspectorError(
                f"{plain(task.folder)} holds an adapter that was not trained here, and would be overwritten: choose "
                "another --out or --name."
            ) from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InspectorError(f"{plain(started)} is damaged: remove {plain(task.folder)} and run again.") from error


def begin(task: Task, rollouts: str) -> None:
    """The folder, and what is being made in it; refused where it was begun as something else."""
    refuse_taken(task, rollouts)
    path = task.folder / CHECKPOINTS / _STARTED
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InspectorError(f"Cannot write to {plain(task.folder)}: {error.strerror or error}.") from error
    shown = task.recipe if task.recipe.base == smollm2.NAME else replace(task.recipe, base=task.base_id)
    for target, text in ((path, json.dumps(task.mark(rollouts))), (task.folder / outcome.RECIPE, to_yaml(shown))):
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")


@contextmanager
def claimed(task: Task) -> Iterator[None]:
    """The run is this process's within the block; raises InspectorError where another one trains it."""
    lock = os.open(task.folder / CHECKPOINTS / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not locked(lock):
            raise InspectorError(f"{plain(task.folder)} is being trained by another process: wait until it is done.")
        yield
    finally:
        os.close(lock)


def _same(task: Task, rollouts: str, there: Mapping[str, Any]) -> None:
    """Raise InspectorError if the folder's run is another one; settings that this method does not read do not count."""
    mark, defaults = task.mark(rollouts), Recipe()
    shared = {name: value for name, value in defaults.flat.items() if name not in {*defaults.own, *_LOOSE}}
    own = {f.name: f.default for f in task.objective.settings()}

    def told(by: Mapping[str, Any]) -> dict[str, Any]:
        """By name; what an older version did not know yet, it did as is the default now."""
        recipe, settings = by["recipe"], by.get("settings", by["recipe"])
        known = {name: recipe.get(name, value) for name, value in shared.items()}
        mine = {name: value if settings.get(name) is None else settings[name] for name, value in own.items()}
        return {**by, **known, **mine}

    wanted, found = told(mark), told(there)
    keys = (*(mark.keys() - {"recipe", "settings"}), *shared, *own)
    key = next((key for key in keys if wanted[key] != found.get(key)), "")
    if not key:
        return
    what = f"{key} is {plain(found.get(key), 40)} there and {plain(wanted[key], 40)} here"
    what = "it was trained from other rollouts" if key == "rollouts" else what
    raise InspectorError(
        f"{plain(task.folder)} holds another run: {what}. Choose another --out or --name, or remove it."
    )
