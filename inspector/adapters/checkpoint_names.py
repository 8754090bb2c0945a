"""Modules under the names of older checkpoints: the tables by which transformers renames them as it loads a model.

An adapter trained on a model's own code, or by an older transformers, has the checkpoint's names; one trained today has
the new ones. No table takes one module of any model for another of it, as tests/adapters/test_model_classes.py holds:
which model an adapter is of need not be known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from inspector.study.module_id import generic, split, words

if TYPE_CHECKING:
    from transformers.core_model_loading import WeightConverter, WeightRenaming

Shapes = Mapping[str, tuple[int, int]]
"""Path -> (d_out, d_in)."""
Meetings = frozenset[frozenset[str]]


class Table(NamedTuple):
    """What transformers renames in checkpoints of a model, or of a part of one at `place`, in order."""

    model: str
    rules: tuple[WeightRenaming, ...]
    converted: tuple[WeightConverter, ...]
    """What it does not rename alone: fused weights, and rows in another order."""
    place: str = ""

    def newer(self, paths: Collection[str]) -> dict[str, str]:
        """Path -> the path that a model of today has for it, itself where the table does not know it.

        Some rules hold once another was met, in order of names, and some would rename again what they made, which is
        left as it is: names that may be of one model have to be asked together.
        """
        rules = deepcopy(self.rules)
        found = {}
        for path in sorted(path for path in paths if path.startswith(self.place)):
            old = new = f"{path.removeprefix(self.place)}.weight"
            for rule in rules:
                new, _ = rule.rename_source_key(new)
            if new != old and not any(rule.rename_source_key(key)[1] for rule in self.converted for key in (old, new)):
                found[path] = self.place + new.removesuffix(".weight")
        made = set(map(generic, found.values()))
        return {path: path if generic(path) in made else found.get(path, path) for path in paths}


@cache
def tables() -> tuple[Table, ...]:
    """Those of all models that the installed transformers has, each with what it renames in any; then with its parts'.

    What one model's checkpoints have in another order of rows may be so in any: interleaved rotary embeddings.
    """
    from transformers.conversion_mapping import _build_checkpoint_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming

    known = _build_checkpoint_conversion_mapping()  # type: ignore[no-untyped-call]
    legacy = [rule for rule in known["legacy"] if isinstance(rule, WeightRenaming)]
    converters = {model: [c for c in rules if isinstance(c, WeightConverter)] for model, rules in known.items()}
    every = [converter for those in converters.values() for converter in those]
    turned = [c for c in every if any(type(operation).__name__ == "PermuteForRope" for operation in c.operations)]
    found = {model: [r for r in rules if isinstance(r, WeightRenaming) and _keeps(r)] for model, rules in known.items()}
    single = [
        Table(model, (*rules, *legacy), tuple(dict.fromkeys((*converters[model], *turned))))
        for model, rules in found.items()
        if rules
    ]
    return (*single, *(_both(whole, part) for whole, part in permutations(single, 2) if _is_part(part, whole)))


def _is_part(part: Table, whole: Table) -> bool:
    """Whether a table is that of a part of a model, by its name: `UnlimitedOcrVisionEncoder` of `unlimited_ocr`."""
    names = [table.model.replace("_", "").lower() for table in (part, whole)]
    return names[0] != names[1] and names[0].startswith(names[1])


def _both(whole: Table, part: Table) -> Table:
    """What a model renames, then what a part of it does: neither alone need lead to a name of today."""
    return Table(part.model, (*whole.rules, *part.rules), tuple(dict.fromkeys((*whole.converted, *part.converted))))


def _keeps(rule: WeightRenaming) -> bool:
    """Whether a rule does not only drop, or add, what tells a part of a model from another, as `vision_model.`."""
    prefixes = [getattr(rule, name, None) for name in ("prefix_to_add", "prefix_to_remove")]
    return all(prefix in {None, "model"} for prefix in prefixes)


def table_for(left: Sequence[Shapes], newer: Sequence[bool]) -> Table | None:
    """The table by which most modules of these adapters are one; None without any, and where two say different things.

    `left`: of each adapter a path, and its shape, of every name that is to be found in another. `newer`: which of them
    have today's names, by the tables before.
    """
    those = {(frozenset(one.items()), today) for one, today in zip(left, newer, strict=True) if one}
    if len(those) < 2:
        return None
    heads = {split(path).head for one in left for path in one}
    places = sorted({".".join((*head[:n], "")) for head in heads for n in range(1, len(head) + 1)})
    for place in ("", *places):
        found = {table: _meetings(table, those) for table in (known._replace(place=place) for known in tables())}
        best = max(found, key=lambda table: _number(found[table]))
        if found[best]:
            return best if not any(_differ(found[best], meetings) for meetings in found.values()) else None
    return None


def _meetings(table: Table, those: Collection[tuple[frozenset[tuple[str, tuple[int, int]]], bool]]) -> Meetings:
    """The names, numbers as N, that are one under the table.

    None where two of one adapter are, or two of different shapes, or where an adapter has both older names and today's.
    """
    shapes = {item for one, _ in those for item in one}
    names = table.newer({path for path, _ in shapes})
    here = {(_place(names[path]), shape) for path, shape in shapes}
    if len(dict(here)) < len(here) or any(len({_place(names[path]) for path, _ in one}) < len(one) for one, _ in those):
        return frozenset()
    places: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for path, new in names.items():
        places[_place(generic(new))].add(generic(path))
    found = frozenset(frozenset(one) for one in places.values() if len(one) > 1)
    meeting = {name for one in found for name in one}
    for one, today in those:
        renamed = {names[path] != path for path, _ in one if generic(path) in meeting}
        if len(renamed) > 1 or (today and True in renamed):
            return frozenset()
    return found


def _place(path: str) -> tuple[str, ...]:
    """The words of a path, without those that any place has."""
    return tuple(word for word in words(path) if word != "model")


def _number(meetings: Meetings) -> int:
    return sum(len(names) - 1 for names in meetings)


def _differ(one: Meetings, other: Meetings) -> bool:
    """Whether a name meets one thing in one and another in the other."""
    return any(a & b and not (a <= b or b <= a) for a in one for b in other)
