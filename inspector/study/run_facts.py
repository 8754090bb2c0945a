"""What other people's trainings leave beside an adapter, as facts of its run. Nothing in it is run; no torch.

Each source says some of method, lr, seed and steps: the header of weights.jsonl, the tags and the list of
hyperparameters in a model card, trainer_state.json, and, where pickles may be read, training_args.bin.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inspector.common.foreign import ForeignError, parse_json

Facts = Mapping[str, Any]
"""Of method, lr, seed and steps those that are told; `logged_lr`: the highest that was logged."""

_LARGEST = 16 * 2**20
_METHODS = frozenset(
    {"sft", "dpo", "grpo", "kto", "orpo", "cpo", "simpo", "rloo", "gkd", "ppo", "xpo", "bco", "prm", "ipo", "apo"}
    | {"reward-trainer", "online-dpo", "nash-md"}
)
"""The tags that TRL's trainers put on a model card."""
_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
_TAGS = re.compile(r"^tags:[ \t]*(?:\[(.*?)\]|\n((?:[ \t]*-[ \t]+.*\n?)+))", re.MULTILINE | re.DOTALL)
_LISTED = re.compile(r"^- (learning_rate|seed|training_steps): ([-+.\deE]+)$", re.MULTILINE)
_NAMES = {"learning_rate": "lr", "seed": "seed", "training_steps": "steps"}


def facts_beside(folder: Path, *, allow_pickle: bool = False) -> tuple[Facts, tuple[str, ...]]:
    """What the files of a folder tell, each fact by the first that tells it; and the names of those files."""
    found: dict[str, Any] = {}
    told = []
    for name, read in _READERS.items():
        if name == _ARGUMENTS and not allow_pickle:
            continue
        new = {fact: value for fact, value in _read(folder / name, read).items() if fact not in found}
        if new:
            found |= new
            told.append(name)
    return found, tuple(told)


def _read(path: Path, read: Callable[[bytes], Facts]) -> Facts:
    try:
        if path.is_file() and path.stat().st_size <= _LARGEST:
            return {fact: value for fact, value in read(path.read_bytes()).items() if value not in ("", None)}
    except (OSError, ValueError, ForeignError):
        pass
    return {}


def _recorded(data: bytes) -> Facts:
    """The first line of weights.jsonl."""
    header = parse_json(data.partition(b"\n")[0], float)
    if not isinstance(header, dict) or header.get("format") != "adapter-inspector weights":
        return {}
    return {fact: header.get(fact) for fact in ("method", "lr", "seed", "steps")}


def _card(data: bytes) -> Facts:
    """A model card: TRL's tag of the method, and the list that transformers, axolotl and LLaMA-Factory write."""
    text = data.decode("utf-8", "replace")[: 2**16].replace("\r\n", "\n")
    found: dict[str, Any] = {_NAMES[name]: _number(value) for name, value in _LISTED.findall(text)}
    if (front := _FRONT.search(text)) and (tags := _TAGS.search(front[1] + "\n")):
        words = re.split(r"[,\n]", tags[1] or tags[2])
        known = [word for tag in words if (word := tag.strip(" \t-'\"").lower()) in _METHODS]
        found["method"] = known[0] if len(set(known)) == 1 else ""
    return found


def _number(text: str) -> float | int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() and "." not in text and "e" not in text.lower() else value


def _planned(steps: object) -> int | None:
    """The steps of a run; -1, the default, where the epochs say how many."""
    return steps if isinstance(steps, int) and steps > 0 else None


def _state(data: bytes) -> Facts:
    """trainer_state.json: how many steps were planned, and the highest rate logged: at most the one configured."""
    state = parse_json(data, float)
    if not isinstance(state, dict):
        return {}
    history = state.get("log_history")
    lines = history if isinstance(history, list) else []
    rates = [line.get("learning_rate") for line in lines if isinstance(line, dict)]
    known = [rate for rate in rates if isinstance(rate, float) and math.isfinite(rate) and rate > 0]
    return {"steps": _planned(state.get("max_steps")), "logged_lr": max(known, default=None)}


def _arguments(data: bytes) -> Facts:
    """training_args.bin, with a stand-in for every class in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inner = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
            if archive.getinfo(inner).file_size > _LARGEST:
                return {}
            found = _Inert(io.BytesIO(archive.read(inner))).load()
    except Exception:  # noqa: BLE001 - what was made to fail fails in any way
        return {}
    values, name = getattr(found, "state", None), type(found).__name__.removesuffix("Config").lower()
    if not isinstance(values, dict):
        return {}
    return {
        "method": name if name in _METHODS else "",
        "lr": values.get("learning_rate"),
        "seed": values.get("seed"),
        "steps": _planned(values.get("max_steps")),
    }


class _StandIn:
    """Keeps what a pickle says of an object, and does nothing."""

    def __init__(self, *_arguments: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Inert(pickle.Unpickler):
    """Imports nothing and calls nothing of a pickle's own: every class or function it names is a stand-in."""

    def find_class(self, _module: str, name: str, /) -> Any:
        return type(name, (_StandIn,), {})

    def persistent_load(self, _id: Any, /) -> Any:
        return None


_ARGUMENTS = "training_args.bin"
_READERS: Mapping[str, Callable[[bytes], Facts]] = {
    "weights.jsonl": _recorded,
    "README.md": _card,
    "trainer_state.json": _state,
    _ARGUMENTS: _arguments,
}
