"""Modules that two adapters may have in common under names that do not meet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from inspector.adapters.model import Adapter
from inspector.common.text import count, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import generic, same_base

Shape = tuple[int, int]
Kinds = frozenset[tuple[str, tuple[tuple[Shape, int], ...]]]


def leftovers(adapters: Sequence[Adapter]) -> list[dict[str, Shape]]:
    """Of each adapter a path, and its shape, of every name, layers as N, that another may have under another name.

    Those of all shapes, where both have modules of equal ones left over.
    """
    kinds = [_kinds(adapter) for adapter in adapters]
    made = []
    for adapter, mine in zip(adapters, kinds, strict=True):
        others = [theirs for theirs in set(kinds) if _left(mine, theirs)]
        names = {name for theirs in others for name in dict(mine).keys() - dict(theirs).keys()}
        modules = (
            {generic(f".{id_}."): adapter.modules[id_] for id_ in reversed(tuple(adapter.modules))} if names else {}
        )
        made.append({(m := modules[name]).path: (m.d_out, m.d_in) for name in sorted(names)})
    return made


def warned(adapters: Sequence[Adapter]) -> list[Adapter]:
    """With a warning where two have modules of equal shapes, each under a name that the other does not know.

    None where no module of theirs meets, unless they name one base: nothing is compared there, as is said elsewhere.
    """
    kinds = [_kinds(adapter) for adapter in adapters]
    made = []
    for adapter, mine in zip(adapters, kinds, strict=True):
        found = {}
        for other, theirs in zip(adapters, kinds, strict=True):
            number = _left(mine, theirs)
            if number and (_of_one_base(adapter, other) or not adapter.modules.keys().isdisjoint(other.modules)):
                found[other.info.name] = number
        made.append(_warned(adapter, found))
    return made


def _of_one_base(one: Adapter, other: Adapter) -> bool:
    """As far as their files name it."""
    return bool(one.base and other.base) and same_base(one.base, other.base)


def _kinds(adapter: Adapter) -> Kinds:
    """What the modules are called, layers as N, and how many of each shape there are."""
    kinds: dict[str, Counter[Shape]] = defaultdict(Counter)
    for module in adapter.modules.values():
        kinds[generic(f".{module.id}.")][module.d_out, module.d_in] += 1
    return frozenset((name, tuple(sorted(shapes.items()))) for name, shapes in kinds.items())


@lru_cache
def _left(mine: Kinds, theirs: Kinds) -> int:
    """How many of `mine` may be among `theirs`: of a shape that is left over there too, and of no common name."""
    names, others = {name for name, _ in mine}, {name for name, _ in theirs}
    there = {shape for name, shapes in theirs if name not in names for shape, _ in shapes}
    return sum(n for name, shapes in mine if name not in others for shape, n in shapes if shape in there)


def _warned(adapter: Adapter, left: Mapping[str, int]) -> Adapter:
    if not left:
        return adapter
    many, others = count(max(left.values()), "module"), some(list(left))
    text = f"{many} under names that are not in {others}, where modules of equal shapes are left over too"
    finding = HealthIssue("warning", f"{text}: the numbers of these pairs take them for different modules")
    info = replace(adapter.info, findings=(*adapter.info.findings, finding))
    return replace(adapter, info=info, stored=adapter.stored or adapter)
