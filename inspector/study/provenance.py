"""How an adapter was made: what `run.json` beside it says, else other files there, then its name. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inspector.common.foreign import ForeignError, parse_json
from inspector.common.text import plain
from inspector.study.run_facts import facts_beside

RECORD = "run.json"
_LARGEST = 2**20
_CHECKPOINT = re.compile(r"(?P<run>.*?)(?:^|[/:])(?:\.checkpoints/)?checkpoint-(?P<step>\d{1,9})/?")
_LR = re.compile(r"lr[-=]?(\d+(?:\.\d+)?(?:e[-+]?\d+)?)", re.IGNORECASE)
_SEED = re.compile(r"(?:seed|s)[-=]?(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    """The method, seeds and learning rate of an adapter; empty or None where nothing tells them."""

    method: str = ""
    lr: float | None = None
    seed: int | None = None
    """Of the data, and of the start too where nothing says otherwise."""
    init_seed: int | None = None
    a0: str = ""
    """Digest of the start A₀: equal for runs whose input directions may be compared."""
    step: int | None = None
    told_by: str = ""
    """The files, or `name`: the facts are read there, not measured."""
    steps: int | None = None
    """Of the whole training: more than `step` where an earlier one is reported."""
    logged_lr: float | None = None
    """The highest rate that a log shows, where nothing tells the one configured: that is at least as high."""
    rows: int | None = None
    """How many examples it trained on: rows, pairs or prompts."""

    @property
    def label(self) -> str:
        """`sft, lr 0.0002, seed 42, 1500 steps`: what is told of it."""
        parts = (
            self.method,
            "" if self.lr is None else f"lr {self.lr:g}",
            "" if self.lr is not None or self.logged_lr is None else f"lr at least {self.logged_lr:g}",
            "" if self.seed is None else f"seed {self.seed}",
            "" if self.steps is None else f"{self.steps} steps",
        )
        return ", ".join(part for part in parts if part)


UNKNOWN = Origin()


@dataclass(frozen=True, slots=True)
class RecordedBase:
    """The base that an adapter was trained on: digests of its files and of its weights in memory, and their dtype."""

    files: str = ""
    weights: str = ""
    dtype: str = ""


def origin_of(folder: Path, name: str, run: str = "", *, allow_pickle: bool = False) -> Origin:
    """The origin of the adapter in a folder: its run.json where there is a readable one, else what else is left there.

    That of a checkpoint is its run's, `run` being the name of that. Facts that no file tells are taken from the name.
    """
    record = _record(folder)
    if isinstance(record.get("method"), str):
        return _recorded(record)
    found = _CHECKPOINT.fullmatch(folder.as_posix())
    if found is None:
        return _left(folder, from_name(name), allow_pickle=allow_pickle)
    of_run = origin_of(Path(found["run"]), run, allow_pickle=allow_pickle)
    if of_run.told_by != RECORD:
        known = from_name(name) if of_run == UNKNOWN else of_run
        left = _left(folder, known, allow_pickle=allow_pickle)
        if of_run == UNKNOWN and left == known:
            return left
        of_run = left
    return replace(of_run, step=int(found["step"]))


def _left(folder: Path, known: Origin, *, allow_pickle: bool) -> Origin:
    """What the files in a folder tell, before what is `known` otherwise."""
    facts, files = facts_beside(folder, allow_pickle=allow_pickle)
    own = Origin(
        plain(facts["method"], 380) if isinstance(facts.get("method"), str) else "",
        _rate(facts.get("lr")),
        _whole(facts.get("seed")),
        steps=_whole(facts.get("steps")),
        logged_lr=_rate(facts.get("logged_lr")),
    )
    told = {name: value for name in ("method", "lr", "seed", "steps", "logged_lr") if (value := getattr(own, name))}
    told |= {"seed": own.seed} if own.seed is not None else {}
    if not told:
        return known
    sources = [*files, *(part for part in known.told_by.split(", ") if part and part not in files)]
    return replace(known, **told, told_by=", ".join(sources))


def base_key(base: str) -> str:
    """What tells bases apart: a base under another owner's name, or in a folder, is the same."""
    return base.rstrip("/").rpartition("/")[2].lower()


def run_of(source: str) -> str:
    """The source of the run that a source is of: of `out/checkpoint-9`, as of `out`, that is `out`."""
    found = _CHECKPOINT.fullmatch(source)
    return source if found is None else found["run"] or "."


def step_of(source: str) -> int | None:
    """The step in the name of a checkpoint's source; None of any other."""
    found = _CHECKPOINT.fullmatch(source)
    return None if found is None else int(found["step"])


def recorded_base(folder: Path) -> RecordedBase:
    """What the run.json in a folder says of the base; empty where it says nothing."""
    record = _record(folder)
    values = (record.get(key) for key in ("base_digest", "base_weights", "dtype"))
    return RecordedBase(*(value if isinstance(value, str) else "" for value in values))


def recorded_objective(source: str) -> str:
    """The method and formula that the run.json of a source names, as a section of the page of objectives, or empty."""
    record = _record(Path(run_of(source)))
    method, formula = (record.get(key) for key in ("method", "formula"))
    if not isinstance(method, str) or not isinstance(formula, str):
        return ""
    return f"# {plain(method, 80)}, as its run recorded it\n\n    {plain(formula, 400)}\n"


def _record(folder: Path) -> Mapping[str, Any]:
    """The run.json in a folder, empty where there is no readable one."""
    path = folder / RECORD
    try:
        if path.is_file() and path.stat().st_size <= _LARGEST:
            record = parse_json(path.read_bytes(), float)
            return record if isinstance(record, dict) else {}
    except (OSError, ForeignError):
        pass
    return {}


def from_name(name: str) -> Origin:
    """What a name such as `sft_lr2e-4_s42`, `dpo-seed123` or `runs/rft_s7` tells; nothing from any other."""
    lr, seed, rest = None, None, []
    for word in re.split(r"[_/\s]+|-(?=(?:lr|seed|s)\d)", name):
        if (found := _LR.fullmatch(word)) is not None:
            lr = _rate(float(found[1]))
        elif (found := _SEED.fullmatch(word)) is not None:
            seed = int(found[1])
        elif word:
            rest.append(word)
    if (lr is None and seed is None) or not rest:
        return UNKNOWN
    return Origin("_".join(rest), lr, seed, told_by="name")


def _recorded(record: Mapping[str, Any]) -> Origin:
    return Origin(
        plain(record["method"], 380),
        _rate(record.get("lr")),
        _whole(record.get("data_seed")),
        _whole(record.get("init_seed")),
        plain(record.get("a0") or "", 380),
        _whole(record.get("step")),
        RECORD,
        _whole(record.get("steps")),
        rows=_whole(record.get("examples")),
    )


def _rate(value: object) -> float | None:
    """A learning rate; of one that is 0, or less, no other is a multiple."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not _shown(value) or value <= 0:
        return None
    return float(value)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and _shown(value) else None


def _shown(value: float) -> bool:
    """Whether a number is finite and of a length that can be shown."""
    return abs(value) < 1e18
