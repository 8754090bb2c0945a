"""An adapter -> its sketch, and the exact numbers beside it."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from inspector.adapters.model import Adapter
from inspector.analysis.analyse import analyse, chosen_modules
from inspector.analysis.collect import Batch, Table
from inspector.common.arrays import Floats
from inspector.common.errors import InspectorError
from inspector.geometry.sketch_error import BY_LAYER, WIDTH
from inspector.study.sketches import SEED, Sketch
from inspector.study.study import Settings, Study

if TYPE_CHECKING:
    from inspector.geometry.sketch import ModuleSketches, Signs

_SETTINGS = Settings(k=1, sides=(), device="cpu", metrics=("norm",), scopes=("global", "layer"))
_NUMBERS = 2**23
"""Of the factors that are sketched at once."""


def sketch_of(adapter: Adapter) -> Sketch:
    """The sketch of an adapter: its weights are read once more than an analysis of it alone reads them.

    Raises InspectorError if none of its modules can be analysed.
    """
    from inspector.geometry.factorise import factorise
    from inspector.geometry.gram import own_grams
    from inspector.geometry.sketch import sketch_modules
    from inspector.geometry.stack import Workspace

    study = analyse([adapter], _SETTINGS)
    if not study.modules or study.adapters[0].health == "error":
        why = next((f.text for f in study.adapters[0].findings if f.severity == "error"), "it has no usable module")
        raise InspectorError(f"{adapter.info.name} cannot be sketched: {why}.")
    table = Table([adapter], chosen_modules([adapter], ""), _SETTINGS)
    sums = _Sums(study)
    workspace = Workspace()
    for batch in table.batches(_NUMBERS):
        stack = workspace.stack(table.factors(batch))
        f = factorise(stack, own_grams(stack), 1)
        names = tuple(str(study.modules[m]) for m in batch.modules)
        d_out, d_in = (int(d) for d in study.shapes[0, batch.modules[0]])
        sums.add(batch, sketch_modules(f, _signs(names, d_out, d_in)), f.sigma[:, 0].numpy(), f.rank[:, 0].numpy())
    return sums.sketch()


@lru_cache(maxsize=64)
def _signs(names: tuple[str, ...], d_out: int, d_in: int) -> Signs:
    from inspector.geometry.sketch import signs

    return signs(names, d_out, d_in, SEED)


class _Sums:
    """The sketches of an adapter's modules, summed by layer and in all."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._at = {layer: n for n, layer in enumerate(study.layers)}
        self._whole: dict[str, Floats] = {kind: np.zeros((WIDTH, WIDTH)) for kind in ("update", "outputs", "rows")}
        empty = (len(self._at), BY_LAYER, BY_LAYER)
        self._layers: dict[str, Floats] = {kind: np.zeros(empty) for kind in ("update", "outputs")}
        self._sums: dict[str, float] = defaultdict(float)
        self._layer_squares, self._layer_modules = np.zeros(len(self._at)), np.zeros(len(self._at))
        self._alive: list[str] = []

    def add(self, batch: Batch, found: ModuleSketches, sigma: Floats, rank: Floats) -> None:
        """Those of a batch of modules, with their singular values (M, r) and ranks (M,)."""
        square, fourth, eighth = (np.sum(sigma**power, axis=1) for power in (2, 4, 8))
        alive = square > 0
        for kind, values in (("update", found.update), ("outputs", found.outputs), ("rows", found.rows)):
            self._whole[kind] += values.sum(0).numpy()
        self._sums["square"] += float(square.sum())
        self._sums["fourth"] += float(fourth.sum())
        self._sums["outputs"] += float((eighth[alive] / fourth[alive] ** 2).sum())
        self._sums["rows"] += float((1 / rank[alive]).sum())
        d_in = self._study.shapes[0, batch.modules, 1]
        self._sums["chance"] += float((rank[alive] / d_in[alive]).sum())
        for n, m in enumerate(batch.modules):
            module = self._study.modules[m]
            if alive[n]:
                self._alive.append(str(module))
            if module.layer is not None:
                at = self._at[module.layer]
                self._layers["update"][at] += found.update_small[n].numpy()
                self._layers["outputs"][at] += found.outputs_small[n].numpy()
                self._layer_squares[at] += square[n]
                self._layer_modules[at] += alive[n]

    def sketch(self) -> Sketch:
        """The sketch, with what the study says of the adapter."""
        info, count, sums = self._study.adapters[0], len(self._alive), self._sums
        norm, parts = np.sqrt(sums["square"]), np.sqrt(count)
        shapes = {m.path: shape for m, shape in zip(self._study.modules, self._study.shapes[0].tolist(), strict=True)}
        return Sketch(
            name=info.name, source=info.source, digest=info.digest, format=info.format, base=info.base, rank=info.rank,
            parameters=info.parameters, a0=info.origin.a0, method=info.origin.method, step=info.origin.step,
            health=info.health, findings=[f"{f.severity}: {f.text}" for f in info.findings],
            scaled=info.scaled, norm=float(norm) if info.scaled else float("nan"),
            effective_rank=self._number("effective_rank"), stable_rank=self._number("stable_rank"),
            rows_chance=_over(sums["chance"], count), modules=sorted(self._alive),
            shapes=sorted(f"{path} {d_out}x{d_in}" for path, (d_out, d_in) in shapes.items()),
            update_spread=_over(np.sqrt(sums["fourth"]), sums["square"]),
            outputs_spread=_over(np.sqrt(sums["outputs"]), count), rows_spread=_over(np.sqrt(sums["rows"]), count),
            layers=list(self._at), layer_norms=np.sqrt(self._layer_squares).tolist(),
            update=_unit(self._whole["update"], norm), outputs=_unit(self._whole["outputs"], parts),
            rows=_unit(self._whole["rows"], parts),
            update_by_layer=_unit(self._layers["update"], np.sqrt(self._layer_squares)),
            outputs_by_layer=_unit(self._layers["outputs"], np.sqrt(self._layer_modules)),
        )  # fmt: skip

    def _number(self, metric: str) -> float:
        block = self._study.block(metric, "global")
        return float("nan") if block is None else float(block[0, 0])


def _over(total: float, count: float) -> float:
    return float(total) / count if count else float("nan")


def _unit(values: Floats, norm: Floats | float) -> Floats:
    """Sketches over the norms of what they are of, flat, float32; 0 of nothing."""
    lengths = np.asarray(norm, dtype=np.float64).reshape(-1, 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(lengths > 0, values / lengths, 0.0).ravel(), dtype=np.float32)
