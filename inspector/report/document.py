"""What a report is made of: sections of parts, each with its numbers, before anything is drawn or written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from inspector.common.arrays import Floats
from inspector.common.numbers import fixed
from inspector.study.metrics import Definition
from inspector.tables.tables import significant

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """An adapter or a pair: its place in the blocks, its name, its colour and dashes, and its key, `pair-0-3`."""

    key: str
    label: str
    at: tuple[int, ...]
    style: int
    shown: bool = True
    """Whether charts draw it before anybody chooses."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of text under columns. `keys` name the rows that stand for a place, such as `layer-12`."""

    kind: ClassVar[str] = "table"
    id: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...] = ()
    column_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    subject: Subject
    values: Numbers


@dataclass(frozen=True, slots=True)
class Level:
    """What numbers are read against, drawn grey: one value, or one at each x."""

    label: str
    values: Numbers


@dataclass(frozen=True, slots=True)
class Lines:
    """A chart of lines over layers, α or k."""

    kind: ClassVar[str] = "lines"
    id: str
    caption: str
    titles: tuple[str, str]
    """Of the x and the y axis."""
    x: Numbers
    series: tuple[Series, ...]
    levels: tuple[Level, ...] = ()
    limits: tuple[float, float] | None = None
    log: bool = False
    digits: int = 2

    @property
    def by_layer(self) -> bool:
        """Whether the layer slider moves over it."""
        return self.titles[0] == "layer"

    def table(self) -> Table:
        """Its numbers: a row an x, a column a line."""
        levels = [(level.label, level.values) for level in self.levels]
        columns = [*((s.subject.label, s.values) for s in self.series), *levels]
        rows = tuple(
            (f"{x:g}", *(fixed(values[n] if len(values) > 1 else values[0], self.digits) for _, values in columns))
            for n, x in enumerate(self.x)
        )
        return Table(
            f"{self.id}-numbers", self.caption, (self.titles[0], *(name for name, _ in columns)), rows,
            tuple(f"layer-{x:g}" for x in self.x) if self.by_layer else (),
            ("", *(s.subject.key for s in self.series), *("" for _ in levels)),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with the interval around it, and the far end of its whisker; NaN where there is none."""

    subject: Subject
    value: float
    low: float = math.nan
    high: float = math.nan
    whisker: float = math.nan


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of horizontal bars. `parts` name value, interval and whisker."""

    kind: ClassVar[str] = "bars"
    id: str
    caption: str
    title: str
    """Of the x axis."""
    bars: tuple[Bar, ...]
    parts: tuple[str, str, str] = ("value", "", "")
    levels: tuple[tuple[str, float], ...] = ()
    limits: tuple[float, float] | None = None
    digits: int = 2
    log: bool = False

    def shown(self, value: float) -> str:
        """A value as it stands beside its bar; on a log axis with three digits that count."""
        return significant(value) if self.log else fixed(value, self.digits)

    def table(self) -> Table:
        """Its numbers, a row a bar."""
        value, interval, whisker = self.parts
        columns = ["", value, *([interval] if interval else []), *([whisker] if whisker else [])]
        rows = []
        for bar in self.bars:
            low, high, end = (fixed(value, self.digits) for value in (bar.low, bar.high, bar.whisker))
            cells = [*([f"{low} to {high}"] if interval else []), *([end] if whisker else [])]
            rows.append((bar.subject.label, self.shown(bar.value), *cells))
        rows += [(label, fixed(level, self.digits), *[""] * len(columns[2:])) for label, level in self.levels]
        return Table(f"{self.id}-numbers", self.caption, tuple(columns), tuple(rows))


@dataclass(frozen=True, slots=True)
class Matrix:
    """N×N numbers up to `limit` in size; `apart`: distances, in a grey of their own."""

    kind: ClassVar[str] = "matrix"
    id: str
    caption: str
    names: tuple[str, ...]
    values: Floats
    apart: bool = False
    limit: float = 1.0
    digits: int = 2
    breaks: tuple[int, ...] = ()
    """The rows, and columns, with which another group begins."""

    def table(self) -> Table:
        """Its numbers under the names."""
        rows = (
            (name, *(fixed(v, self.digits) for v in line))
            for name, line in zip(self.names, self.values.tolist(), strict=True)
        )
        return Table(self.id, self.caption, ("", *self.names), tuple(rows))


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph; a caution limits the reading of what stands beside it."""

    kind: ClassVar[str] = "note"
    text: str
    caution: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines as they stand: formulas, commands."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence, the numbers it was made from, and the section behind it."""

    kind: ClassVar[str] = "finding"
    text: str
    caution: bool
    numbers: Table | None
    metric: str


@dataclass(frozen=True, slots=True)
class Definitions:
    kind: ClassVar[str] = "definitions"
    definitions: tuple[Definition, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """Matrices side by side, if there is room."""

    kind: ClassVar[str] = "beside"
    parts: tuple[Matrix, ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """Parts behind a heading that opens."""

    kind: ClassVar[str] = "fold"
    title: str
    parts: tuple[Part, ...]


Chart = Lines | Bars
Part = Table | Lines | Bars | Matrix | Note | Heading | Code | Finding | Definitions | Beside | Fold


@dataclass(frozen=True, slots=True)
class Section:
    """`metrics`: those whose numbers it shows. Without parts it is not shown, and `missing` says what it needs."""

    id: str
    title: str
    about: str
    parts: tuple[Part, ...]
    metrics: tuple[str, ...] = ()
    missing: str = ""
    """The probes, separated by commas, or `two adapters`."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is shown of a study. `pairs` and `adapters` can be chosen, `layers` walked through."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    pairs: tuple[Subject, ...]
    adapters: tuple[Subject, ...]
    layers: tuple[int, ...]
    version: str
    drawn: str = ""
    """Which pairs the charts draw before anybody chooses; empty where they draw all."""
