"""The runs in a folder: their checkpoints, their losses, and whether they still train. Files alone, no torch.

A run is a folder OUT/NAME with checkpoints in `.checkpoints/checkpoint-N` (what `inspector train` writes) or directly
beneath it (`checkpoint-N`, what transformers' Trainer writes), and, once finished, with the adapter itself; or a folder
that WeightsCallback records in.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from inspector.adapters.files.config_file import CONFIG
from inspector.adapters.files.weights import SAFETENSORS
from inspector.adapters.locate import natural
from inspector.adapters.sources import CHECKPOINTS
from inspector.common.errors import InspectorError
from inspector.common.foreign import ForeignError, parse_json
from inspector.common.nearby import nearby
from inspector.common.text import plain
from inspector.trajectory import weights_log
from inspector.trajectory.weights_log import WeightsLog

RECORD, LOG, STARTED = "run.json", "log.jsonl", "started.json"
LOGGED = ("loss", "nll_right", "nll_wrong", "accuracy")
"""What a run's log may hold: of every step, and of what is held out, at checkpoints."""
_STATE = "trainer_state.json"
_MOST_STEPS = 10**12
_NAME = re.compile(r"checkpoint-(\d{1,9})")
_QUIET_GAPS, _QUIET_LEAST, _QUIET_FIRST = 3, 120.0, 900.0
"""A run that wrote nothing for so many of its longest gaps between checkpoints, and so many seconds, has stopped;
seconds before it had two checkpoints."""

State = Literal["training", "finished", "stopped"]
Stamp = tuple[int, int, int]
Losses = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One checkpoint on disk. `stamp` changes with its content."""

    run: str
    step: int
    folder: Path
    stamp: Stamp

    @property
    def landed(self) -> float:
        """When its weights were written, seconds since 1970."""
        return self.stamp[0] / 1e9

    @property
    def label(self) -> str:
        return f"{self.run} step {self.step}"


@dataclass(frozen=True, slots=True)
class Run:
    """One run as its files are now; `step` of `steps` (0: unknown) optimizer steps are done."""

    name: str
    folder: Path
    points: tuple[Point, ...]
    state: State
    step: int
    steps: int
    losses: Losses = ()
    newest: Path | None = None
    """The adapter to look at: the finished one, else the last checkpoint."""
    held_out: tuple[tuple[str, Losses], ...] = ()
    """Name -> (step, value) of what was measured at checkpoints."""
    reported: int = 0
    """The step whose adapter is the run's own, if that is not the last."""
    weights: WeightsLog | None = None
    """What WeightsCallback recorded."""

    @property
    def own(self) -> str:
        """`its adapter is that of step 1,000 of 1,500`, empty if it is that of the last."""
        return f"its adapter is that of step {self.reported:,} of {self.steps:,}" if self.reported else ""


class Scanner:
    """Looks at folders again and again; files that did not change are not read again."""

    def __init__(self, *roots: Path, wait: bool = False) -> None:
        """`wait`: folders that are not there yet hold nothing until they are."""
        self.roots = tuple(root.parent if root.name == CHECKPOINTS else root for root in roots)
        self.awaited = tuple(root for root in self.roots if wait and not root.exists())
        self._kept: dict[Path, tuple[Stamp, Any]] = {}

    def scan(self, now: float) -> tuple[Run, ...]:
        """Every run, by name. Raises InspectorError where a folder cannot be read."""
        self.awaited = tuple(root for root in self.awaited if not root.exists())
        there = [folder for root in self.roots if root not in self.awaited for folder in _runs_in(root)]
        folders = list({folder.resolve(): folder for folder in there}.values())
        named = zip(_told_apart(folders), folders, strict=True)
        return tuple(self._run(name, folder, now) for name, folder in sorted(named, key=lambda run: natural(run[0])))

    def _run(self, name: str, folder: Path, now: float) -> Run:
        record = self._json(folder / RECORD)
        points = _points(name, folder)
        own = stamp_of(folder / SAFETENSORS)
        done = _whole(record.get("step"))
        if own and done and (folder / CONFIG).is_file() and done not in {p.step for p in points}:
            points = tuple(sorted((*points, Point(name, done, folder, own)), key=lambda point: point.step))
        hugging = self._json(points[-1].folder / _STATE) if points else {}
        log: dict[str, Losses] = self._read(folder / LOG, _logged) or {}
        held_out = tuple((metric, values) for metric, values in log.items() if metric != "loss")
        weights: WeightsLog | None = self._read(folder / weights_log.FILE, weights_log.parse)
        recorded = _finite(weights.losses) if weights else ()
        losses = log.get("loss", ()) or recorded or _history(hugging)
        recipe = self._json(folder / CHECKPOINTS / STARTED).get("recipe")
        recipe = recipe if isinstance(recipe, dict) else {}
        planned = _whole(hugging.get("max_steps")) or (weights.header.steps if weights else 0)
        steps = _whole(record.get("steps")) or done or _whole(recipe.get("steps")) or planned
        reported = done or _whole(recipe.get("report_step"))
        ends = [p.step for p in points[-1:]] + [at for at, _ in losses[-1:]]
        step = max(ends + [one.step for one in weights.records[-1:]] if weights else ends, default=0)
        over = bool(record) or (not (folder / CHECKPOINTS).is_dir() and 0 < steps <= step)
        state: State = "finished" if over else "training" if _busy(folder, points, now) else "stopped"
        newest = folder if own and over else points[-1].folder if points else None
        earlier = reported if reported < steps else 0
        return Run(name, folder, points, state, step, steps, losses, newest, held_out, earlier, weights)

    def _json(self, path: Path) -> dict[str, Any]:
        """The object in a file, empty where there is none (yet)."""
        found = self._read(path, partial(parse_json, odd=float))
        return found if isinstance(found, dict) else {}

    def _read(self, path: Path, parse: Callable[[str], Any]) -> Any:
        stamp = stamp_of(path)
        if stamp is None or not path.is_file():  # a pipe would be waited for
            return None
        if path not in self._kept or self._kept[path][0] != stamp:
            try:
                found = parse(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                found = None
            self._kept[path] = stamp, found
        return self._kept[path][1]


def stamp_of(path: Path) -> Stamp | None:
    """Time, size and inode of a file, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _runs_in(root: Path) -> list[Path]:
    """The folder itself where it is a run, else the runs directly beneath it."""
    if not root.is_dir():
        what = f"{plain(root)} is a file" if root.is_file() else f"No folder {plain(root)} here{nearby(str(root))}"
        raise InspectorError(f"{what}: name a training's --out, or one run in it.")
    try:
        if _is_run(root):
            return [root]
        return [p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".") and _is_run(p)]
    except OSError as error:
        raise InspectorError(f"Cannot read {plain(root)}: {error.strerror or error}.") from error


def _told_apart(folders: Sequence[Path]) -> list[str]:
    """Their names; those of one name with as much of the path before it as tells them apart: `first-sft`."""
    parts = [folder.resolve().parts[1:] for folder in folders]
    names = ["-".join(part[-1:]) for part in parts]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        often = Counter(names)
        names = ["-".join(p[-depth:]) if often[n] > 1 else n for n, p in zip(names, parts, strict=True)]
    return names


def _is_run(folder: Path) -> bool:
    record = (folder / RECORD).is_file() and (folder / SAFETENSORS).is_file()
    began = (folder / CHECKPOINTS).is_dir() or (folder / weights_log.FILE).is_file()
    return record or began or bool(_checkpoints(folder))


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, folder) of what is named a checkpoint, by step: what is still being written has another name."""
    try:
        with os.scandir(folder) as entries:
            named = [(_NAME.fullmatch(entry.name), Path(entry.path)) for entry in entries if entry.is_dir()]
    except OSError:
        return []
    return sorted((int(match[1]), path) for match, path in named if match)


def _points(run: str, folder: Path) -> tuple[Point, ...]:
    """The checkpoints whose config and weights are there."""
    found = []
    for step, path in _checkpoints(folder / CHECKPOINTS) or _checkpoints(folder):
        stamp = stamp_of(path / SAFETENSORS)
        if stamp is not None and (path / CONFIG).is_file():
            found.append(Point(run, step, path, stamp))
    return tuple(found)


def _busy(folder: Path, points: tuple[Point, ...], now: float) -> bool:
    """Whether something was written lately: nothing else tells a training that was killed from a slow one."""
    places = (folder / LOG, folder / CHECKPOINTS, folder / CHECKPOINTS / STARTED, folder / weights_log.FILE)
    last = max([stamp[0] / 1e9 for path in places if (stamp := stamp_of(path))] + [p.landed for p in points], default=0)
    landings = sorted(point.landed for point in points)
    gaps = [later - earlier for earlier, later in pairwise(landings)]
    return now - last < (max(_QUIET_GAPS * max(gaps), _QUIET_LEAST) if gaps else _QUIET_FIRST)


def _logged(text: str) -> dict[str, Losses]:
    """Name -> (step, value) of log.jsonl, for what is there; a last line still being written is left out."""
    lines = []
    for line in text.splitlines():
        try:
            lines.append(parse_json(line, float))
        except ForeignError:
            break
    return {name: found for name in LOGGED if (found := _pairs(lines, name))}


def _history(state: dict[str, Any]) -> Losses:
    """(step, loss) of transformers' own trainer_state.json."""
    history = state.get("log_history")
    return _pairs(history) if isinstance(history, list) else ()


def _pairs(lines: list[Any], name: str = "loss") -> Losses:
    known = [line for line in lines if isinstance(line, dict) and isinstance(line.get(name), int | float)]
    return _finite((_whole(line.get("step")), float(line[name])) for line in known)


def _finite(losses: Iterable[tuple[int, float]]) -> Losses:
    return tuple(at for at in losses if math.isfinite(at[1]))


def _whole(value: Any) -> int:
    """A step count from someone else's JSON, 0 for what is none."""
    return value if isinstance(value, int) and 0 < value < _MOST_STEPS else 0
