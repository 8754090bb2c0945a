"""The tensors of a file by the module they belong to, and what a reader makes of each module."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from inspector.adapters.files.headers import FLOATS, TensorHeader
from inspector.adapters.tensors.account import EMPTY, NEITHER, NOT_FLOAT, TWICE, UNKNOWN, USED, Verdict, half
from inspector.adapters.tensors.assemble import Part
from inspector.adapters.tensors.slots import Place
from inspector.study.module_id import ModuleId, canonical, strip_wrappers

Slots = Mapping[str, TensorHeader]
"""What a module's tensors are for, such as `lora_down.weight`, and the tensors."""


class Made(NamedTuple):
    """The parts of a module, and the verdicts of those of its slots that are not used."""

    parts: Sequence[Part]
    aside: Mapping[str, Verdict] = MappingProxyType({})


class Understood(NamedTuple):
    """What a file comes to: parts, a verdict per tensor, modules left out."""

    parts: list[Part]
    verdicts: dict[str, Verdict]
    excluded: tuple[ModuleId, ...]


def understand(
    headers: Mapping[str, TensorHeader],
    place: Callable[[str], Place | None],
    parts_of: Callable[[str, Slots], Made | Verdict],
    aside: Mapping[str, Verdict],
) -> Understood:
    """Give every tensor its one verdict and every module its parts.

    `place` reads a key, `parts_of` a module: its parts, or why it has none. Slots of `aside` are not part of ΔW and
    have their verdict for themselves. Two tensors that claim one slot leave their module out, as do two modules, or two
    paths, that come to the same id.
    """
    verdicts: dict[str, Verdict] = {}
    modules: dict[ModuleId, list[tuple[Place, TensorHeader]]] = defaultdict(list)
    for key, header in headers.items():
        found = place(key)
        if found is None:
            verdicts[key] = UNKNOWN
        elif found.slot in aside:
            verdicts[key] = aside[found.slot]
        else:
            modules[canonical(found.path)].append((found, header))
    parts: dict[ModuleId, Part] = {}
    excluded: list[ModuleId] = []
    for id_, tensors in modules.items():
        slots = {at.slot: header for at, header in tensors}
        paths = {strip_wrappers(at.path) for at, _ in tensors}
        made = TWICE if len(slots) < len(tensors) or len(paths) > 1 else parts_of(paths.pop(), slots)
        if not isinstance(made, Verdict) and any(part.module.id in parts for part in made.parts):
            made = TWICE
        if isinstance(made, Verdict):
            verdicts |= {header.key: made for _, header in tensors}
            excluded.append(id_)
        else:
            verdicts |= {header.key: made.aside.get(at.slot, USED) for at, header in tensors}
            parts |= {part.module.id: part for part in made.parts}
    return Understood(list(parts.values()), verdicts, tuple(excluded))


def fault(
    slots: Slots, factors: Collection[str], is_float: Callable[[str], bool] = FLOATS.__contains__
) -> Verdict | None:
    """What is wrong with the factors of a module whatever their shapes: missing, empty or no floats; else None."""
    there = [slots[name] for name in factors if name in slots]
    if not all(map(is_float, [header.dtype for header in there])):
        return NOT_FLOAT
    if any(len(header.shape) < 2 or 0 in header.shape for header in there):
        return EMPTY
    missing = [name for name in factors if name not in slots]
    if not missing:
        return None
    return half(missing) if there else NEITHER


def dtypes(slots: Slots, factors: Collection[str]) -> str:
    """`BF16`, or `F32/BF16` where the factors differ."""
    return "/".join(dict.fromkeys(slots[name].dtype for name in factors if name in slots))
