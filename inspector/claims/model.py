"""What a claim is: which numbers, what is said of them, by whom. SCHEMA.md describes the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

REFERENCE = "ref."
"""Before the names of published adapters opened beside one's own; a name with `/` could not be opened again."""
Statistic = Literal[
    "each", "mean", "median", "min", "max", "range", "quantile", "fraction", "count", "argmin layer", "argmax layer",
    "correlation", "rank correlation",
]  # fmt: skip
STATISTICS: tuple[Statistic, ...] = (
    "each", "mean", "median", "min", "max", "range", "quantile", "fraction", "count", "argmin layer", "argmax layer",
    "correlation", "rank correlation",
)  # fmt: skip
Relation = Literal["about", "at least", "at most", "between", "less than", "increasing", "decreasing"]
RELATIONS: tuple[Relation, ...] = ("about", "at least", "at most", "between", "less than", "increasing", "decreasing")
Bound = Literal["at least", "at most", "above", "below", "between"]
BOUNDS: tuple[Bound, ...] = ("at least", "at most", "above", "below", "between")
Side = Literal["", "than", "over", "minus", "with"]
"""What a second selector is for: the right of `less than`, a divisor, what is taken away, what to correlate with."""
EPSILON = 0.5
"""Below this resemblance to every direction of the base, one is an intruder [Shuttleworth et al. 2024]."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What `fraction` and `count` count."""

    bound: Bound
    value: tuple[float, ...]

    def holds(self, number: float) -> bool:
        low, high = self.value[0], self.value[-1]
        return {
            "at least": number >= low, "at most": number <= low, "above": number > low, "below": number < low,
            "between": low <= number <= high,
        }[self.bound]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Selector:
    """Which numbers of a metric, in order: of these adapters or pairs, there, and what is made of them."""

    adapters: tuple[str, ...] = ()
    """Names of the set; `NAME@STEP` is the checkpoint of that step of its run."""
    pairs: tuple[tuple[str, str], ...] = ()
    where: tuple[tuple[str, tuple[str | float, ...]], ...] = ()
    """(run fact, values): only adapters, or pairs of two, for which each fact is one of its values."""
    same: tuple[str, ...] = ()
    """Only pairs that agree in these run facts."""
    differ: tuple[str, ...] = ()
    """Only pairs that do not."""
    layers: tuple[int, int] | None = None
    """First and last layer, both included; negative from the end. Without layers and modules: the global number."""
    modules: tuple[str, ...] | None = None
    """Ends of module paths, such as `q_proj`; empty: every module."""
    k: tuple[int, ...] = ()
    alphas: tuple[float, ...] = ()
    statistic: Statistic = "each"
    q: float | None = None
    """Of `quantile`: 0.25 is the lower quartile."""
    that: Condition | None = None
    metrics: tuple[str, ...] = ()
    """Of a second selector: another metric than the claim's, one for all its definitions or one for each."""
    prompts: str = ""
    """Of a second selector: other prompts than the claim's."""

    @property
    def filtered(self) -> bool:
        """Whether run facts say which of its adapters or pairs are meant: those that are open."""
        return bool(self.where or self.same or self.differ)

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters it may need."""
        return tuple(dict.fromkeys([*self.adapters, *(name for pair in self.pairs for name in pair)]))

    @property
    def required(self) -> tuple[str, ...]:
        """The adapters without which it has no numbers."""
        return () if self.filtered else self.names


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a sentence stands."""

    source: str = ""
    """The address of the publication, where the set has several."""
    section: str = ""
    page: int = 0
    """0: not said."""
    location: str = ""
    """A table, a figure, or what else finds it."""

    @property
    def text(self) -> str:
        """`arxiv:2606.23740, section 3.4, page 7, table 2`."""
        section = f"section {self.section}" if self.section[:1].isdigit() else self.section
        return ", ".join(filter(None, (self.source, section, f"page {self.page}" if self.page else "", self.location)))


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of a publication, and what would have to be measured for it to hold."""

    id: str
    statement: str
    cited: Citation
    metrics: tuple[str, ...]
    """The definitions that the sentence allows."""
    selector: Selector
    relation: Relation
    value: tuple[float, ...]
    """As published: one number, one a selected number, or the two ends of `between`."""
    tolerance: float
    other: Selector | None
    side: Side
    """What `other` is for."""
    prompts: str
    top_k: int
    """Size of the subspaces that its angles and overlaps compare; of intruders, how many top directions are asked."""
    epsilon: float
    unpublished: bool
    """Whether it is about adapters that nobody can open: a verdict on others in their place does not refute it."""
    contradicts: tuple[str, ...]
    """The claims of the set that cannot hold beside it, by their ids."""
    disagreements: tuple[str, ...]
    limits: tuple[str, ...]
    """What a verdict on it does not tell."""

    @property
    def selectors(self) -> tuple[Selector, ...]:
        return (self.selector, self.other) if self.other else (self.selector,)

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters it may need."""
        return tuple(dict.fromkeys(name for selector in self.selectors for name in selector.names))

    @property
    def required(self) -> tuple[str, ...]:
        """The adapters without which nothing can be said of it."""
        return tuple(dict.fromkeys(name for selector in self.selectors for name in selector.required))

    def beside(self, metric: str) -> str:
        """The metric of the second selector under this definition."""
        others = self.other.metrics if self.other else ()
        return metric if not others else others[0] if len(others) == 1 else others[self.metrics.index(metric)]

    def asked(self) -> list[tuple[str, Selector, str]]:
        """(metric, selector, prompts) of all that it needs measured."""
        found = [(metric, self.selector, self.prompts) for metric in self.metrics]
        if self.other:
            found += [(self.beside(metric), self.other, self.other.prompts or self.prompts) for metric in self.metrics]
        return found


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
    left_out: tuple[str, ...] = ()
    """Sentences of the publication that nothing here measures, and why."""

    def sources(self, names: tuple[str, ...] = ()) -> list[str]:
        """`NAME=SOURCE` of these adapters, or of all that have one."""
        runs = {self.run(name) for name in names}
        return [f"{n}={s}" for n, s in self.adapters.items() if s and (not names or n in runs)]

    def run(self, name: str) -> str:
        """The adapter of the set that `NAME@STEP` is a checkpoint of; any other name as it is."""
        return name if name in self.adapters else name.rpartition("@")[0]

    def aliases(self) -> dict[str, str]:
        """Every name an adapter may be open under -> its name here: itself, `ref.` before it, the end of its source."""
        ends = {s.replace(":", "/").rstrip("/").rpartition("/")[2]: n for n, s in self.adapters.items() if s}
        beside = {f"{REFERENCE}{name}": name for name in self.adapters}
        return beside | ends | {name: name for name in self.adapters}
