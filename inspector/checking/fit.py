"""Whether an adapter fits a base: each module's own weight there, and its shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.model import Adapter, LoraModule
from inspector.adapters.peft.base import Base
from inspector.adapters.tensors.base_experts import Weight
from inspector.adapters.tensors.layout import stored_in_out
from inspector.checking.absent import absent
from inspector.common.text import some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId


@dataclass(frozen=True, slots=True)
class Fit:
    """Where each module of an adapter sits in the base."""

    base: str
    weights: Mapping[ModuleId, Weight]
    """The base's weight of every module that fits."""
    turned: frozenset[ModuleId]
    """Of those, the ones the base stores as in×out."""
    missing: tuple[ModuleId, ...]
    """Modules the base does not have."""
    misshapen: Mapping[ModuleId, tuple[int, ...]]
    """Modules whose ΔW has another shape than the base's weight, and its shape."""
    quantised: tuple[ModuleId, ...]
    """Modules whose weight is stored as codes: neither its shape nor its values can be compared."""
    absent: tuple[ModuleId, ...] = ()
    """Modules of the base that the adapter's config names and its file does not have."""

    def findings(self) -> tuple[HealthIssue, ...]:
        """An adapter that does not fit is an error; one that lacks modules may be a part of what was trained."""
        found = []
        if self.missing:
            found.append(HealthIssue("error", f"not in the base {self.base}: {some(self.missing)}"))
        if self.misshapen:
            shapes = [f"{id_} ({'×'.join(map(str, shape))} there)" for id_, shape in self.misshapen.items()]
            found.append(HealthIssue("error", f"of another shape than in the base {self.base}: {some(shapes)}"))
        if self.absent:
            text = f"named by target_modules and in the base {self.base}, but not in the file: {some(self.absent)}"
            found.append(HealthIssue("warning", f"{text}; this may be a part of what was trained"))
        if self.quantised:
            found.append(HealthIssue("info", f"quantised in the base, not compared: {some(self.quantised)}"))
        return tuple(found)


def fit(adapter: Adapter, base: BaseWeights) -> Fit:
    """Look every module up in the base's headers. Raises InspectorError where the base cannot be had."""
    lookup = Base(base, adapter.replication)
    found = {id_: lookup.find(module.path or str(id_)) for id_, module in adapter.modules.items()}
    there = {id_: weight for id_, weight in found.items() if weight is not None}
    plain = {id_: weight for id_, weight in there.items() if not weight.quantised}
    turned = {id_: _turned(adapter.modules[id_], weight) for id_, weight in plain.items()}
    # A square weight tells by itself nothing of which way round it is stored: it is as most others are, embeddings
    # aside, which every model stores as in×out.
    embeddings = {id_ for id_, module in adapter.modules.items() if stored_in_out(module.path, "")}
    known = [way for id_, way in turned.items() if isinstance(way, bool) and id_ not in embeddings]
    squares = sum(known) * 2 > len(known)
    return Fit(
        base.name,
        {id_: weight for id_, weight in plain.items() if turned[id_] != "misfit"},
        frozenset(id_ for id_, way in turned.items() if way is True or (way == "square" and squares)),
        tuple(id_ for id_, weight in found.items() if weight is None),
        {id_: plain[id_].shape for id_, way in turned.items() if way == "misfit"},
        tuple(id_ for id_ in there if id_ not in plain),
        absent(adapter, base),
    )


def _turned(module: LoraModule, weight: Weight) -> bool | str:
    """Whether a weight is stored as in×out; `square` where that cannot be told, `misfit`."""
    if weight.shape == (module.d_out, module.d_in):
        # One of several experts is found as out×in.
        return "square" if module.d_out == module.d_in and weight.pieces[0].expert is None else False
    return True if weight.shape == (module.d_in, module.d_out) else "misfit"
