"""What one metric is: its formula, how it is measured and aggregated, its chance level, where it is shown, its trap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from inspector.common.arrays import Floats

Subject = Literal["adapter", "pair", "ordered", "none"]
Aggregate = Literal["stacked", "mean", "median", "none"]
Index = Literal["", "k", "alpha"]
Probe = Literal["", "weights", "lmc", "lmc_rollouts", "cka", "lens", "intruders", "accuracy"]
Side = Literal["left", "right"]
Place = Literal["map", "layers", "size", "base", "cka", "glance"]

MEAN = "mean over the scope's modules"
FRACTION, SIGNED, DEGREES = (0.0, 1.0), (-1.0, 1.0), (0.0, 90.0)


@dataclass(frozen=True, slots=True)
class Chance:
    """What random subspaces would give: the level that a number of pairs is read against."""

    title: str
    formula: str
    level: Callable[[int, Floats, Floats], Floats | float]
    """Of d dimensions, d_out or d_in by the metric's side, and the extents p, q (P,) of both updates: one level for
    all, (P,), or (P, k) of an indexed metric."""
    extent: Callable[[Floats, int], Floats]
    """(…,) of σ (…, r) and the top k: how many dimensions of a module an update counts for; 0 of a zero update."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A matrix of all pairs in a section of the report, and a chart along the layers where it has a caption."""

    section: str
    caption: str
    by_layer: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric: all that tables, app, report, claims and exports know of it.

    Raises ValueError for a number of pairs, made from their weights, that does not say what it is on the diagonal.
    """

    metric: str
    title: str
    subject: Subject
    unit: str
    formula: str
    over_modules: str
    trap: str = ""
    source: str = ""
    index: Index = ""
    """What else the numbers run over: a 1-based k, or α along a path."""
    aggregate: Aggregate = "mean"
    """How layers and the whole follow from modules; `none`: every scope is measured as it is."""
    probe: Probe = ""
    """The probe that measures it with the base model; empty: from the adapters' weights alone."""
    measure: Callable[[Any], Any] | None = None
    """Tensor (M, N[, k]) of adapters, (M, P[, k]) of pairs i < j, from the `ModuleGeometry` of one pass over modules;
    None: made from other blocks, or by a probe."""
    of_products: bool = False
    """Whether the inner products of the updates are all that `measure` takes: the cheapest there is of pairs."""
    of_spectrum: Callable[[Floats], Floats] | None = None
    """(…) or (…, k) of an adapter's σ (…, r), NaN beyond the rank that its factors allow."""
    diagonal: float | None = None
    """The value of a pair metric for an adapter and itself."""
    range: tuple[float, float] | None = None
    """The least and the largest value, where there are such."""
    scale: float | None = 1.0
    """What a change of it is measured by; None: by the larger of old and new, for what has no bound."""
    beside: bool = False
    """Whether it only goes with another number: a chance level, a quartile, an interval's end, a gap, a place."""
    chance: Chance | None = None
    side: Side = "left"
    """The singular vectors it is of: left are outputs, right inputs."""
    one_side: bool = False
    """Whether it is measured only where its side is asked for."""
    top_k: bool = False
    """Whether it depends on how many leading vectors are compared."""
    level_of: str = ""
    """The metric whose chance level this is."""
    shown: tuple[Place, ...] = ()
    """Where it is one of several: on the map, along the layers, beside the norms, among what the base adds to them, in
    the view of hidden states, in what `analyze` prints."""
    short: str = ""
    """Its title in a narrow column."""
    chart: Chart | None = None

    def __post_init__(self) -> None:
        if self.subject in {"pair", "ordered"} and not self.probe and self.diagonal is None:
            raise ValueError(f"{self.metric}: which value has an adapter beside itself? Give `diagonal`.")

    @property
    def indexed(self) -> bool:
        """Whether each place holds several numbers."""
        return self.index != ""


def family(definition: Definition) -> Iterator[Definition]:
    """A metric, its quartiles where modules are summed up by their median, and its chance level where it has one."""
    yield definition
    if definition.subject == "pair" and definition.aggregate == "median":
        yield quartile(definition, "q25", "lower quartile", "first quartile", "25 %")
        yield quartile(definition, "q75", "upper quartile", "third quartile", "75 %")
    if definition.chance is not None:
        yield level(definition, definition.chance)


def quartile(of: Definition, suffix: str, name: str, formula: str, share: str) -> Definition:
    """The metric of a quartile over the modules of a layer or of all."""
    return replace(
        of, metric=f"{of.metric}_{suffix}", title=f"{of.title.removesuffix(' (output)')}, {name}",
        formula=f"{formula} of {of.formula.partition(' = ')[0]} over modules",
        over_modules=f"{share} quantile over the scope's modules",
        aggregate="none", beside=True, measure=None, chance=None, chart=None, shown=(),
    )  # fmt: skip


def level(of: Definition, chance: Chance) -> Definition:
    """The metric of a chance level: at a module over the pairs that have it."""
    return Definition(
        f"{of.metric}_chance", chance.title, "none", of.unit, chance.formula,
        f"{of.aggregate} over pairs, then {of.over_modules}", index=of.index, aggregate=of.aggregate,
        scale=None if of.scale == 1 else of.scale, beside=True, side=of.side, one_side=of.one_side, top_k=of.top_k,
        level_of=of.metric,
    )  # fmt: skip
