"""What a claim is: which numbers, what is said of them, by whom. SCHEMA.md describes the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

REFERENCE = "ref."
"""Before the names of published adapters opened beside one's own; a name with `/` could not be opened again."""
Statistic = Literal["each", "mean", "median", "min", "max", "range", "argmin layer", "argmax layer"]
STATISTICS: tuple[Statistic, ...] = ("each", "mean", "median", "min", "max", "range", "argmin layer", "argmax layer")
Relation = Literal["about", "at least", "at most", "between", "less than", "increasing", "decreasing"]
RELATIONS: tuple[Relation, ...] = ("about", "at least", "at most", "between", "less than", "increasing", "decreasing")


@dataclass(frozen=True, slots=True)
class Selector:
    """Which numbers of a metric, in order: of these adapters or pairs, there, and what is made of them."""

    adapters: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    layers: tuple[int, int] | None = None
    """First and last layer, both included; negative from the end. Without layers and modules: the global number."""
    modules: tuple[str, ...] | None = None
    """Ends of module paths, such as `q_proj`; empty: every module."""
    k: tuple[int, ...] = ()
    alphas: tuple[float, ...] = ()
    statistic: Statistic = "each"

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters it needs."""
        return tuple(dict.fromkeys([*self.adapters, *(name for pair in self.pairs for name in pair)]))


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of a publication, and what would have to be measured for it to hold."""

    id: str
    statement: str
    location: str
    metrics: tuple[str, ...]
    """The definitions that the sentence allows."""
    selector: Selector
    relation: Relation
    value: tuple[float, ...]
    """As published: one number, one a selected number, or the two ends of `between`."""
    tolerance: float
    other: Selector | None
    """The right-hand side of `less than`, or what is divided by where `ratio` holds."""
    ratio: bool
    prompts: str
    top_k: int
    """Size of the subspaces that its angles and overlaps compare."""
    disagreements: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters it needs."""
        return tuple(dict.fromkeys([*self.selector.names, *(self.other.names if self.other else ())]))


@dataclass(frozen=True, slots=True)
class ClaimSet:
    """The claims of one publication, and the adapters they are about."""

    title: str
    address: str
    base: str
    adapters: Mapping[str, str]
    """Name -> source; empty where none is published."""
    claims: tuple[Claim, ...]
    reference: tuple[str, ...] = ()
    """The adapters that stand for the publication beside one's own."""

    def sources(self, names: tuple[str, ...] = ()) -> list[str]:
        """`NAME=SOURCE` of these adapters, or of all that have one."""
        return [f"{n}={s}" for n, s in self.adapters.items() if s and (not names or n in names)]

    def aliases(self) -> dict[str, str]:
        """Every name an adapter may be open under -> its name here: itself, `ref.` before it, the end of its source."""
        ends = {s.replace(":", "/").rstrip("/").rpartition("/")[2]: n for n, s in self.adapters.items() if s}
        beside = {f"{REFERENCE}{name}": name for name in self.adapters}
        return beside | ends | {name: name for name in self.adapters}
