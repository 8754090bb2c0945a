"""Modules that some adapters have whole and others in parts: `qkv_proj`; `q_proj`, `k_proj`, `v_proj`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from inspector.adapters.model import Adapter
from inspector.adapters.readers.full import FORMAT as FULL
from inspector.study.module_id import ModuleId, alike, split, words

Shape = tuple[int, int]
Words = tuple[str, ...]
Rows = tuple[str, int, int]
"""A part of a module: its path, and the rows of the whole from and up to which it goes."""
_LETTERS = 3


@dataclass(slots=True)
class Known:
    """The modules of all adapters so far: path and shape by words, and where every tail has been seen."""

    modules: dict[Words, tuple[str, Shape]] = field(default_factory=dict)
    spelt: dict[str, str] = field(default_factory=dict)
    """Path -> the spelling of it with the most dots: underscores may stand for them."""
    heads: dict[str, dict[Words, str]] = field(default_factory=lambda: defaultdict(dict))
    """tail -> head -> path."""

    def add(self, path: str, shape: Shape) -> None:
        if words(path) not in self.modules:
            self.modules[words(path)] = path, shape
            head, tail = split(path)
            self.heads[tail].setdefault(head, path)


def cuts(
    renamed: Sequence[Mapping[str, tuple[ModuleId, Shape]]], adapters: Sequence[Adapter], known: Known
) -> dict[str, list[Rows]]:
    """Modules that some have whole and others in parts, and the parts: equal inputs, rows that add up."""
    if all(names.keys() == renamed[0].keys() for names in renamed):
        return {}
    shapes = dict(known.modules.values())
    dense = {path for names, a in zip(renamed, adapters, strict=True) if a.info.format == FULL for path in names}
    found = {}
    for path, (d_out, d_in) in shapes.items():
        for parts in _parts(path.rpartition(".")[2]) if path not in dense else ():
            those = _beside(path, parts, known)
            fits = all(part in shapes and shapes[part][1] == d_in for part in those)
            if not fits or sum(shapes[part][0] for part in those) != d_out:
                continue
            if not any(path in names and any(part in names for part in those) for names in renamed):
                ends = [sum(shapes[part][0] for part in those[: n + 1]) for n in range(len(those))]
                found[path] = list(zip(those, [0, *ends], ends, strict=False))
                break
    return found


def _beside(path: str, parts: Sequence[str], known: Known) -> list[str]:
    """The paths of these parts, empty if not known: where the whole is, or under the one head that is no other's."""
    head, tail = split(path)
    above = "".join(tail.rpartition(".")[:2])
    places = [known.heads.get(f"{above}{part}", {}) for part in parts]
    if head not in places[0]:
        wholes = known.heads[tail]
        near = [h for h in places[0] if alike(head, h) and sum(alike(h, whole) for whole in wholes) == 1]
        head = near[0] if len(near) == 1 else head
    return [place.get(head, "") for place in places]


@lru_cache
def _parts(name: str) -> tuple[tuple[str, ...], ...]:
    """The names that parts of a fused module could have, in the order of its rows.

    `gate_up_proj`: gate_proj, up_proj; `qkv_proj`: q_proj, k_proj, v_proj; `to_kv`: to_k, to_v.
    """
    split_up = name.split("_")
    found = []
    for start in range(len(split_up)):
        before, after = ["_".join([*split_up[:start], ""]) if start else "", ""]
        for end in range(start + 2, len(split_up) + 1):
            after = "".join(f"_{word}" for word in split_up[end:])
            found.append(tuple(f"{before}{word}{after}" for word in split_up[start:end]))
        after = "".join(f"_{word}" for word in split_up[start + 1 :])
        word = split_up[start]
        stems = range(max(0, len(word) - _LETTERS), len(word) - 1)
        found += [tuple(f"{before}{word[:stem]}{letter}{after}" for letter in word[stem:]) for stem in stems]
    return tuple(found)
