"""What keeps adapters from being compared: other bases, names that do not meet, other shapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, takewhile

from inspector.adapters.alignment import cut_up
from inspector.adapters.model import Adapter
from inspector.adapters.readers.full import FORMAT as FULL
from inspector.common.text import count, plain, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId, generic, in_order


@dataclass(frozen=True, slots=True)
class Together:
    """Several adapters side by side, by name."""

    bases: Mapping[str, tuple[str, ...]]
    """The base as named -> the adapters that name it; `` for those that name none."""
    families: tuple[tuple[str, ...], ...]
    """Adapters with modules in common, directly or through others: only within a family is anything compared."""
    examples: tuple[str, ...]
    """A module of each family, its layer as N."""
    same_ends: bool
    """Whether families adapt projections of the same names, which speaks for one network under two names."""
    common: int
    """Modules that all have."""
    modules: int
    """Modules that any has."""
    misshapen: tuple[ModuleId, ...]
    """Modules whose ΔW differ in shape."""
    aliases: tuple[tuple[str, str], ...]
    """Paths of one and the same module that were aligned, layers as N."""
    cut: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Adapter -> its fused modules that others have in parts, layers as N."""

    def findings(self) -> tuple[HealthIssue, ...]:
        """Nothing here is wrong with an adapter: warnings, and what was aligned."""
        found = []
        if len(named := {base: names for base, names in self.bases.items() if base}) > 1:
            text = "; ".join(f"{base} ({some(names)})" for base, names in named.items())
            found.append(HealthIssue("warning", f"{len(named)} different bases: {text}"))
        if len(self.families) > 1:
            why = "the same projections under prefixes that do not meet" if self.same_ends else "other targets"
            text = "; ".join(f"{some(f)}: {e}" for f, e in zip(self.families, self.examples, strict=True))
            found.append(
                HealthIssue("warning", f"no module in common between {len(self.families)} groups, {why}: {text}")
            )
        elif self.common < self.modules:
            text = f"{self.common} of {count(self.modules, 'module')} are in all adapters: the others count as zeros"
            found.append(HealthIssue("info", f"{text}, or are left out with --modules common"))
        if self.misshapen:
            found.append(HealthIssue("warning", f"shapes differ, not compared there: {some(self.misshapen)}"))
        if self.aliases:
            pairs = [f"{a} = {b}" for a, b in self.aliases]
            found.append(HealthIssue("info", f"aligned as the same modules: {some(pairs)}"))
        if self.cut:
            text = "; ".join(f"{some(paths)} ({name})" for name, paths in self.cut.items())
            found.append(HealthIssue("info", f"cut into the rows that others have apart: {text}"))
        return tuple(found)


def together(adapters: Sequence[Adapter]) -> Together:
    """From the headers alone."""
    usable = [adapter for adapter in adapters if adapter.modules]
    bases: dict[str, list[str]] = defaultdict(list)
    for adapter in usable:
        if adapter.info.format == FULL:
            continue  # its base is the one given, by whatever name
        bases[adapter.info.base].append(adapter.info.name)
    having: dict[ModuleId, list[Adapter]] = defaultdict(list)
    for adapter in usable:
        for id_ in adapter.modules:
            having[id_].append(adapter)
    families = _families(usable)
    ends = [{id_.projection for a in family for id_ in a.modules} for family in families]
    aliases = {pair for id_, those in having.items() for pair in _aliases(id_, those)}
    return Together(
        {base: tuple(names) for base, names in bases.items()},
        tuple(tuple(a.info.name for a in family) for family in families),
        tuple(_example(family[0]) for family in families),
        any(a & b for a, b in combinations(ends, 2)),
        sum(len(those) == len(usable) for those in having.values()),
        len(having),
        in_order({id_ for id_, those in having.items() if len({_shape(a, id_) for a in those}) > 1}),
        tuple(sorted(aliases)),
        {adapter.info.name: paths for adapter in usable if (paths := cut_up(adapter))},
    )


def _families(adapters: Sequence[Adapter]) -> list[list[Adapter]]:
    """The adapters in groups that share modules."""
    groups: list[tuple[list[Adapter], set[ModuleId]]] = []
    for adapter in adapters:
        mine = set(adapter.modules)
        joined = [group for group in groups if group[1] & mine]
        members = [member for group in joined for member in group[0]]
        groups = [group for group in groups if group not in joined]
        groups.append(([*members, adapter], mine.union(*(ids for _, ids in joined))))
    return [group for group, _ in groups]


def _shape(adapter: Adapter, id_: ModuleId) -> tuple[int, int]:
    return adapter.modules[id_].d_out, adapter.modules[id_].d_in


def _aliases(id_: ModuleId, adapters: Sequence[Adapter]) -> list[tuple[str, str]]:
    """The ways the names of one module differ, without what both it and its id end in."""
    paths = sorted({generic(adapter.modules[id_].path) for adapter in adapters})
    parts = [path.split(".") for path in paths]
    ends = zip(*map(reversed, (*parts, id_.path.split("."))), strict=False)
    same = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, ends))
    shorter = [".".join(part[: max(1, len(part) - same)]) for part in parts]
    return [(shorter[0], other) for other in shorter[1:]]


def _example(adapter: Adapter) -> str:
    module = next(iter(adapter.modules.values()))
    return plain(generic(module.path), 80)
