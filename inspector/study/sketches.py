"""Adapters by their sketches: what a file of them holds, and the estimates between any two. No torch.

Every estimate comes with its standard error, at most (`geometry.sketch_error`); sizes, ranks and norms are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inspector.common.arrays import Floats
from inspector.common.errors import InspectorError
from inspector.geometry.sketch_error import standard_error

VERSION = 1
SEED = 20260601
"""Of the signs. Sketches of another seed or version cannot be compared."""
Kind = Literal["update", "outputs", "rows"]
_TOGETHER = 1024
"""Adapters whose products with all are made at once, and kept until those of others are asked for."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """One adapter. Lists run over `layers` or `modules`; sketches are of unit norm, float32.

    `update` is of the stacked ΔW; `outputs` and `rows` of what the modules write and their row spaces, each module of
    equal weight; `update_by_layer` and `outputs_by_layer` (layers · 256,) the same of each layer.
    """

    name: str
    source: str
    digest: str
    format: str
    base: str
    rank: str
    parameters: int
    a0: str
    method: str
    step: int | None
    health: str
    findings: list[str]
    scaled: bool
    """Whether the scale of ΔW is known; else the norms are n/a."""
    norm: float
    effective_rank: float
    stable_rank: float
    rows_chance: float
    """Row-space overlap with random ones: the mean of r/d_in over modules."""
    modules: list[str]
    """Those whose update is not zero."""
    shapes: list[str]
    """`self_attn.q_proj 576x576`: what the model must have to be the same."""
    update_spread: float
    outputs_spread: float
    rows_spread: float
    layers: list[int]
    layer_norms: list[float]
    update: Floats
    outputs: Floats
    rows: Floats
    update_by_layer: Floats
    outputs_by_layer: Floats
    version: int = VERSION
    seed: int = SEED

    def as_row(self) -> dict[str, Any]:
        """What `inspector.sketch` gives and a file holds."""
        return {field.name: getattr(self, field.name) for field in fields(Sketch)}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Values with their standard errors (N,); NaN where two are of different models."""

    value: Floats
    error: Floats


class Sketches:
    """N adapters of different content, in their order. Raises InspectorError for another version or seed."""

    def __init__(self, found: Sequence[Sketch]) -> None:
        if other := [s.name for s in found if (s.version, s.seed) != (VERSION, SEED)]:
            raise InspectorError(f"The sketch of {other[0]} is of another version: sketch it again.")
        self.all = tuple(found)
        self._made: dict[Kind, tuple[int, Floats]] = {}
        self._of = {kind: np.stack([getattr(s, kind) for s in found]) if found else np.zeros((0, 0))
                    for kind in ("update", "outputs", "rows")}  # fmt: skip
        self._spread = {kind: np.array([getattr(s, f"{kind}_spread") for s in found]) for kind in self._of}
        words = {word: n for n, word in enumerate(dict.fromkeys(m for s in found for m in s.modules))}
        self._has = np.zeros((len(found), len(words)), dtype=np.float32)
        for row, sketch in zip(self._has, found, strict=True):
            row[[words[module] for module in sketch.modules]] = 1
        self.model = _models(found)

    def __len__(self) -> int:
        return len(self.all)

    def numbers(self, field: str) -> Floats:
        """(N,): an exact number of each, such as its norm."""
        return np.array([getattr(s, field) for s in self.all], dtype=np.float64)

    def _products(self, kind: Kind, i: int) -> Floats:
        """The inner products with all sketches; cheap if adapters are asked for in their order."""
        of, start = self._of[kind], i - i % _TOGETHER
        if kind not in self._made or self._made[kind][0] != start:
            self._made[kind] = start, of[start : start + _TOGETHER] @ of.T
        return np.asarray(self._made[kind][1][i - start])

    def pair(self, i: int, j: int) -> float:
        """The estimated cosine of two, whatever their models."""
        return float(self._products("update", i)[j])

    def estimate(self, kind: Kind, i: int) -> Estimate:
        """Of adapter i beside each: the cosine, the mean output similarity, or the mean row-space overlap.

        The means are over the modules that both adapt. The overlap of ranks r and r' is ‖VᵀV'‖²/√(rr'), that of an
        analysis if the two are equal.
        """
        found = self._products(kind, i).astype(np.float64)
        spread = self._spread[kind]
        error = standard_error(np.clip(found, -1, 1), spread[i], spread)
        if kind != "update":
            common, own = self._has @ self._has[i], self._has.sum(1)
            with np.errstate(divide="ignore", invalid="ignore"):
                weight = np.where(common > 0, np.sqrt(own * own[i]) / common, np.nan)
            found, error = found * weight, error * weight
        known = (self.model == self.model[i]) & (self._has.any(1) & self._has[i].any())
        return Estimate(np.where(known, found, np.nan), np.where(known, error, np.nan))


def _models(found: Sequence[Sketch]) -> NDArray[np.int_]:
    """(N,): a number for each model: where two have a projection of one name in another shape, it is another."""
    known: list[dict[str, str]] = []
    by_shapes: dict[tuple[str, ...], int] = {}
    for sketch in found:
        key = tuple(sketch.shapes)
        if key in by_shapes:
            continue
        shapes = dict(shape.rsplit(" ", 1) for shape in key)
        fits = (n for n, of in enumerate(known) if all(of.get(path, shape) == shape for path, shape in shapes.items()))
        if (at := next(fits, None)) is None:
            at = len(known)
            known.append({})
        known[at] |= shapes
        by_shapes[key] = at
    return np.array([by_shapes[tuple(sketch.shapes)] for sketch in found], dtype=np.int_)
