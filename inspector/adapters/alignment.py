"""Several adapters side by side: one module under one id in all of them, whatever their files call it.

Two paths are one module where they differ in separators alone, or in the wrappers before a stack (`alike`) while all
modules that both stacks have agree in shape, and no other stack could be meant. A module that one adapter has whole
and another in parts (`qkv_proj`; `q_proj`, `k_proj`, `v_proj`) is cut into its rows: ΔW = s·B·A, and a part of the
rows of B with all of A is that part of ΔW.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.adapters.checkpoint_names import table_for
from inspector.adapters.fused import Known, Rows, Shape, Words, cuts
from inspector.adapters.leftovers import leftovers, warned
from inspector.adapters.model import Adapter, LoraModule
from inspector.common.text import count, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId, alike, generic, in_order, module_ids, split, telling, words

if TYPE_CHECKING:
    from torch import Tensor

_MOST_HEADS = 64
"""Stacks that share a tail beyond which none of them is taken for another."""


def aligned(adapters: Sequence[Adapter]) -> list[Adapter]:
    """The adapters in their order, with common ids; those whose ids stay are returned as they are.

    Modules of equal shapes left over on both sides of a pair are tried again under the names that transformers gives
    those of older checkpoints. What then remains is a warning of both adapters.
    """
    whole = [_stored(adapter) for adapter in adapters]
    if len(whole) < 2:
        return whole
    newer = {module.path: module.path for adapter in whole for module in adapter.modules.values()}
    made, models, today = _met(whole, newer), list[str](), [False] * len(whole)
    while any(left := leftovers(made)):
        table = table_for([{newer[path]: shape for path, shape in one.items()} for one in left], today)
        if table is None:
            break
        names = table.newer(newer.values())
        further = {path: names[name] for path, name in newer.items()}
        apart = all(len({further[m.path] for m in a.modules.values()}) == len(a.modules) for a in whole)
        if not apart or _modules(again := _met(whole, further)) >= _modules(made):
            break
        today = [t or all(further[p] == newer[p] for p in one) > (not one) for t, one in zip(today, left, strict=True)]
        made, newer, models = again, further, [*models, table.model]
    return warned([_said(adapter, newer, models) for adapter in made] if models else made)


def _modules(adapters: Sequence[Adapter]) -> int:
    """How many different ones they have."""
    return len(set[ModuleId]().union(*(adapter.modules for adapter in adapters)))


def _said(adapter: Adapter, newer: Mapping[str, str], models: Sequence[str]) -> Adapter:
    """With the word that modules of it go by newer names than its own, and whose."""
    modules = (adapter.stored or adapter).modules.values()
    if not (renamed := sum(newer[module.path] != module.path for module in modules)):
        return adapter
    text = f"{count(renamed, 'module')} under the names that transformers gives them as it loads {some(models)}"
    info = replace(adapter.info, findings=(*adapter.info.findings, HealthIssue("info", text)))
    return replace(adapter, info=info, stored=adapter.stored or adapter)


def _met(whole: Sequence[Adapter], newer: Mapping[str, str]) -> list[Adapter]:
    """The adapters with common ids, by the newer names of their paths."""
    known = Known()
    renamed = [_renamed(adapter, newer, known) for adapter in whole]
    cut = cuts(renamed, whole, known)
    paths: dict[str, int] = {}
    for names in renamed:
        for path, (_, shape) in names.items():
            for part, start, end in cut.get(path, [(path, 0, shape[0])]):
                paths[part] = (end - start) * shape[1]
    spelt = {path: known.spelt.get(path, path) for path in paths}
    shown = module_ids({spelt[path]: size for path, size in paths.items()})
    ids = {path: shown[spelt[path]] for path in paths}
    return [_under(adapter, names, ids, cut) for adapter, names in zip(whole, renamed, strict=True)]


def cut_up(adapter: Adapter) -> tuple[str, ...]:
    """The modules of its files that were cut into parts to meet those of others, by their paths, layers as N."""
    if adapter.stored is None:
        return ()
    there = {module.path for module in adapter.modules.values()}
    whole = (module.path for module in adapter.stored.modules.values() if module.path not in there)
    return tuple(dict.fromkeys(map(generic, whole)))


def _stored(adapter: Adapter) -> Adapter:
    """As its files have it, under the name it has by now."""
    if adapter.stored is None:
        return adapter
    return replace(adapter.stored, info=replace(adapter.stored.info, name=adapter.info.name))


def _renamed(adapter: Adapter, newer: Mapping[str, str], known: Known) -> dict[str, tuple[ModuleId, Shape]]:
    """The adapter's modules by the paths under which the others know them, which `known` then holds too."""
    found: dict[str, tuple[ModuleId, Shape]] = {}
    rest: dict[str, tuple[ModuleId, Shape]] = {}
    claimed: set[Words] = set()
    for id_, module in adapter.modules.items():
        path, shape = newer[module.path], (module.d_out, module.d_in)
        if (there := known.modules.get(words(path))) is not None and there[0] not in found:
            found[there[0]] = id_, shape
            claimed.add(words(path))
            known.spelt[there[0]] = max(known.spelt.get(there[0], there[0]), path, key=lambda p: p.count("."))
        else:
            rest[path] = id_, shape
    heads = _heads({path: shape for path, (_, shape) in rest.items()}, claimed, known) if known.modules else {}
    for path, (id_, shape) in rest.items():
        head, tail = split(path)
        other = ".".join((*heads[head], tail)) if head in heads else path
        found[other if other not in found else path] = id_, shape
    for path, (_, shape) in found.items():
        known.add(path, shape)
    return found


def _heads(rest: Mapping[str, Shape], claimed: set[Words], known: Known) -> dict[Words, Words]:
    """Which head of the others stands for which head of this adapter: pairs where neither could mean another."""
    meeting: dict[Words, dict[Words, bool]] = defaultdict(dict)
    for path, shape in rest.items():
        head, tail = split(path)
        others = known.heads.get(tail, {})
        for other, at in others.items() if len(others) <= _MOST_HEADS else ():
            if words(at) not in claimed and (other in meeting[head] or alike(head, other)):
                agrees = known.modules[words(at)][1] == shape
                meeting[head][other] = meeting[head].get(other, True) and agrees
    pairs = {(a, b) for a, others in meeting.items() for b, agree in others.items() if agree}
    found: dict[Words, Words] = {}
    while pairs:
        sure = _alone({(a, b) for a, b in pairs if telling(a) == telling(b)}) or _alone(pairs)
        if not sure:
            break
        found |= dict(sure)
        pairs = {(a, b) for a, b in pairs if a not in found and b not in found.values()}
    return found


def _alone(pairs: Collection[tuple[Words, Words]]) -> set[tuple[Words, Words]]:
    """Those pairs neither side of which is in another."""
    ones, others = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    return {(a, b) for a, b in pairs if ones[a] == others[b] == 1}


def _under(
    adapter: Adapter,
    names: Mapping[str, tuple[ModuleId, Shape]],
    ids: Mapping[str, ModuleId],
    cut: Mapping[str, list[Rows]],
) -> Adapter:
    """The adapter under these ids, its modules cut where they are."""
    was: dict[ModuleId, tuple[ModuleId, slice | None]] = {}
    modules: dict[ModuleId, LoraModule] = {}
    for path, (id_, _) in names.items():
        module = adapter.modules[id_]
        if path not in cut:
            was[ids[path]], modules[ids[path]] = (id_, None), replace(module, id=ids[path])
        for n, (part, start, end) in enumerate(cut.get(path, ())):
            was[ids[part]] = id_, slice(n, None, len(cut[path])) if module.in_turns else slice(start, end)
            modules[ids[part]] = replace(module, id=ids[part], d_out=end - start, path=part)
    if all(new == old for new, (old, _) in was.items()):
        return adapter

    def load(id_: ModuleId) -> tuple[Tensor, Tensor]:
        old, rows = was[id_]
        B, A = adapter.load(old)
        return (B if rows is None else B[rows]), A

    below = {old.path: new.path for new, (old, rows) in was.items() if rows is None and old.layer == new.layer}
    excluded = tuple(ModuleId(id_.layer, below.get(id_.path, id_.path)) for id_ in adapter.info.excluded)
    return replace(
        adapter,
        info=replace(adapter.info, excluded=excluded),
        modules={id_: modules[id_] for id_ in in_order(set(modules))},
        load=load,
        left_out=lambda id_: adapter.left_out(was[id_][0]),
        stored=adapter,
    )
