"""Where the modules of adapters are in a base and in a merged model, and the matrices that no adapter changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inspector.adapters.files.base_weights import NUMBERS
from inspector.adapters.model import Adapter
from inspector.adapters.peft.base import Base
from inspector.adapters.readers.full import FORMAT
from inspector.adapters.tensors.base_experts import Piece, Weight
from inspector.adapters.updates.factors import wide
from inspector.checking.fit import fit
from inspector.checking.receipt.matrices import Matrix, Update
from inspector.checking.receipt.stored import Model
from inspector.common.errors import InspectorError
from inspector.common.text import plain, some
from inspector.study.module_id import ModuleId

if TYPE_CHECKING:
    from torch import Tensor

Key = tuple[tuple[object, ...], ...]


@dataclass(slots=True)
class Place:
    """One matrix that adapters change: several modules share one if weights are tied."""

    base: Weight
    merged: Weight | None
    fault: str
    """Why it cannot be compared, or nothing."""
    modules: list[tuple[int, ModuleId, bool]] = field(default_factory=list)
    """Adapter, module, and whether its matrix is stored as in×out."""

    @property
    def id(self) -> ModuleId:
        return self.modules[0][1]

    @property
    def key(self) -> Key:
        """What tells it from other matrices of the base."""
        return _key(self.base.pieces)


def places(adapters: Sequence[Adapter], base: Model, merged: Model) -> list[Place]:
    """The matrices of all modules. Raises InspectorError if an adapter does not fit the base."""
    found: dict[object, Place] = {}
    for n, adapter in enumerate(adapters):
        _refuse(adapter)
        fits = fit(adapter, base)
        if wrong := [f.text for f in fits.findings() if f.severity == "error"]:
            raise InspectorError(
                f"{adapter.info.name} does not fit the base: {wrong[0]}. Name the base it was tuned on."
            )
        if fits.quantised:
            raise InspectorError(
                f"{plain(base.name)} stores {some(fits.quantised)} in codes that are not read: give it unquantised."
            )
        lookup = Base(merged, adapter.replication)
        for id_, weight in fits.weights.items():
            there = lookup.find(adapter.modules[id_].path or str(id_))
            both = _key(weight.pieces), there and _key(there.pieces)
            place = found.setdefault(both, Place(weight, there, _fault(weight, there)))
            place.modules.append((n, id_, id_ in fits.turned))
    return list(found.values())


def _refuse(adapter: Adapter) -> None:
    if adapter.info.format == FORMAT:
        raise InspectorError(f"{plain(adapter.info.source)} is a whole model, no adapter: name an adapter to look for.")
    adapter.refuse_unscaled("looked for")
    if not adapter.modules:
        errors = [f.text for f in adapter.info.findings if f.severity == "error"]
        raise InspectorError(f"{adapter.info.name} has no module to look for: {(errors or ['it is empty'])[0]}.")


def _key(pieces: Sequence[Piece]) -> Key:
    return tuple((p.header.key, p.expert, p.rows.start, p.rows.stop, p.rows.step) for p in pieces)


def _fault(base: Weight, merged: Weight | None) -> str:
    if merged is None:
        return "not in the merged model"
    if merged.quantised:
        return f"stored as {merged.pieces[0].header.dtype} without a scale that is understood"
    if merged.shape != base.shape:
        return f"{'×'.join(map(str, merged.shape))} in the merged model, {'×'.join(map(str, base.shape))} in the base"
    return ""


def matrix(
    place: Place, adapters: Sequence[Adapter], base: Model, merged: Model, weights: Sequence[float] = ()
) -> Matrix:
    """The matrix of a place with the updates of the adapters, each times its weight."""
    assert place.merged is not None
    updates, of_weight = [], False
    for n, id_, turned in place.modules:
        if weight := weights[n] if weights else 1.0:
            updates.append(_update(n, adapters[n], id_, turned, weight))
            of_weight = of_weight or adapters[n].direction(id_) is not None
    return Matrix(base.stored(place.base), merged.stored(place.merged), updates, of_weight)


def _update(n: int, adapter: Adapter, id_: ModuleId, turned: bool, weight: float) -> Update:
    scale = weight * adapter.modules[id_].scale.known
    if (delta := adapter.dense(id_)) is not None:
        delta = scale * _finite(wide(delta), adapter, id_)
        return Update(n, delta.T if turned else delta)
    B, A = (_finite(wide(factor), adapter, id_) for factor in adapter.load(id_))
    return Update(n, A.T, scale * B.T) if turned else Update(n, scale * B, A)


def _finite(tensor: Tensor, adapter: Adapter, id_: ModuleId) -> Tensor:
    import torch

    if not bool(torch.isfinite(tensor).all()):
        raise InspectorError(f"{plain(adapter.info.name)} holds NaN or Inf in {plain(id_)}: no model can have it.")
    return tensor


def others(found: Sequence[Place], base: Model, merged: Model) -> Iterator[tuple[str, Weight, Weight]]:
    """The matrices of numbers that no module is in and both models have in one shape: name, base's and merged one's."""
    taken = {key for place in found for key, *_ in place.key}
    for key, header in base.weights.headers.items():
        if key in taken or len(header.shape) < 2 or header.dtype not in NUMBERS:
            continue
        there = merged.header(key)
        if there is not None and there.shape == header.shape and there.dtype in NUMBERS:
            yield key, Weight((Piece(header),)), Weight((Piece(there),))
