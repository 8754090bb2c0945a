"""The overview of a study as lines of a given width: the same for the command line, the app, notebooks and reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from inspector.common.numbers import fixed
from inspector.insights.overview import Entry, Group, Overview
from inspector.tables.tables import significant

STYLES = {"heading": "bold", "quiet": "dim", "bar": "cyan", "caution": "yellow"}
"""The styles that lines are marked with, as a terminal shows them; the app has its own."""
_DECADES = 100.0
"""Bars span at least this ratio of norms, so that small differences look small."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_NUMBERS = 6
_LEAST_BAR, _MOST_BAR = 6, 24
GROUP_COLUMNS = ("group", "adapter", "‖ΔW‖", "effective rank", "nearest", "cosine", "why apart")
About = Literal["", "adapter", "so what"]


@dataclass(frozen=True, slots=True)
class OverviewLine:
    """One line; the first two cells are blank, for a cursor."""

    text: Text
    about: About = ""
    index: int = -1
    """Of the adapter in the study, or of the sentence in `so_what`."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Cells of the columns: names, bar, nearest; what is left is for why."""

    names: dict[int, str]
    name: int
    bar: int
    why: int
    low: float
    high: float


def overview_lines(found: Overview, width: int, *, brief: bool = False, beside: str = "nearest") -> list[OverviewLine]:
    """Facts, groups, who stands alone, then what follows. No line is wider than `width`, from 60 cells on.

    `brief`: those alone share one line, if it fits and there are groups above it. `beside`: what the other adapter of
    an entry is. None is called the nearest from whom it stands apart.
    """
    columns = _columns(found, width)
    lines = [*_title(found, width), *_head(columns, beside)]
    for group in found.groups:
        lines += [_group(group), *(_entry(entry, columns, beside) for entry in group.entries)]
        lines += [_entry(entry, columns, beside, "~") for entry in group.partly]
    line = _alone(found, columns, width) if brief and found.alone and found.groups else None
    if line is not None:
        lines.append(line)
    else:
        lines += [OverviewLine(Text("  alone", "heading"))] if found.alone and found.groups else []
        lines += [_entry(entry, columns, beside) for entry in found.alone]
    if found.so_what:
        lines += [OverviewLine(Text()), OverviewLine(Text("  So what", "heading")), *so_what_lines(found, width)]
    return lines


def so_what_lines(found: Overview, width: int) -> Iterator[OverviewLine]:
    """The sentences, numbered; what limits the reading is marked `!`."""
    for at, sentence in enumerate(found.so_what):
        mark, style = ("!", "caution") if sentence.caution else (str(at + 1), "")
        for n, part in enumerate(_wrapped(sentence.text, width - 5, style)):
            yield OverviewLine(Text.assemble("  ", (" " if n else mark, "heading"), " ", part), "so what", at)


def _title(found: Overview, width: int) -> Iterator[OverviewLine]:
    for part in _wrapped(" · ".join(found.facts), width - 2, "heading"):
        yield OverviewLine(Text.assemble("  ", part))
    if found.labels.shared:
        yield OverviewLine(Text(f"  names: {found.labels.shared}"[:width], "quiet"))
    if not found.whole:
        so_far = f"  ! {found.known} of {found.total} modules measured so far: all numbers are of these"
        yield OverviewLine(Text(so_far, "caution"))


def _columns(found: Overview, width: int) -> _Columns:
    """Names get what they need up to a quarter of the width, bars what is left of the numbers and the reasons."""
    names = found.names(max(width // 4 - 3, 4))
    name = max(map(cell_len, ("nearest", *names.values())))
    why = max((cell_len(", ".join(entry.why)) for entry in found.entries), default=0)
    free = width - 4 - 2 * (name + 2) - 3 * _NUMBERS - 2
    bar = min(max(free - why - 2, _LEAST_BAR), _MOST_BAR)
    norms = [entry.norm for entry in found.entries if entry.norm > 0 and isfinite(entry.norm)]
    high = max(norms, default=1.0)
    return _Columns(names, name, bar, max(free - bar - 2, 0), min(min(norms, default=1.0) / 1.3, high / _DECADES), high)


def _head(columns: _Columns, beside: str) -> Iterator[OverviewLine]:
    title, rank = "‖ΔW‖, log scale" if columns.bar >= 12 else "‖ΔW‖ log", "eff.rank"
    text = (
        f"    {'':{columns.name}}  {title:<{columns.bar + 2 * _NUMBERS - len(rank)}}{rank}  {beside:<{columns.name}}  "
        f"{'cosine':>{_NUMBERS}}"
    )
    yield OverviewLine(Text(text.rstrip(), "quiet"))


def _group(group: Group) -> OverviewLine:
    text = Text.assemble(
        "  ", (f"{group.letter}  {group.title}", "heading"), (f", cosine {_to(group.low, group.high)}", "quiet")
    )
    if group.partly:
        text.append(" · ~ in part", "quiet")
    return OverviewLine(text)


def _alone(found: Overview, columns: _Columns, width: int) -> OverviewLine | None:
    """`alone: online-grpo 0.21 · sft_s123 0.06 (other seed)`, the cosine to the nearest; None if it does not fit."""
    for most in range(max(len(entry.why) for entry in found.alone), -1, -1):
        parts = []
        for entry in found.alone:
            why = f" ({', '.join(entry.why[:most])})" if entry.why[:most] else ""
            parts.append(f"{columns.names[entry.index]} {fixed(entry.cosine)}{why}")
        text = Text.assemble("  ", ("alone: ", "heading"), " · ".join(parts))
        if cell_len(text.plain) <= width:
            return OverviewLine(text, "adapter", found.alone[0].index)
    return None


def _to(low: float, high: float) -> str:
    return " to ".join(dict.fromkeys((fixed(low), fixed(high))))


def _entry(entry: Entry, columns: _Columns, beside: str, mark: str = " ") -> OverviewLine:
    name, nearest = columns.names[entry.index], columns.names.get(-1 if entry.nearest is None else entry.nearest, "")
    if nearest and beside == "nearest" and not entry.near:
        nearest = "–"
    text = Text.assemble(
        f"  {mark} ", _padded(name, columns.name), "  ", (_bar(entry.norm, columns), "bar"),
        significant(entry.norm).rjust(_NUMBERS), fixed(entry.rank, 1).rjust(_NUMBERS), "  ",
        _padded(nearest, columns.name), "  ", (fixed(entry.cosine) if nearest else "").rjust(_NUMBERS),
    )  # fmt: skip
    if why := _fitting(entry.why, columns.why):
        text.append(f"  {why}", "quiet")
    text.rstrip()
    return OverviewLine(text, "adapter", entry.index)


def _bar(norm: float, columns: _Columns) -> str:
    """The norm on the log scale, in eighths of a cell; blank if it is zero or not known."""
    if not (isfinite(norm) and norm > 0):
        return " " * columns.bar
    share = log(norm / columns.low) / log(columns.high / columns.low)
    whole, rest = divmod(max(round(8 * columns.bar * share), 1), 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(columns.bar)


def _fitting(parts: Sequence[str], width: int) -> str:
    """As many of the first parts as fit."""
    joined = (", ".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((text for text in joined if cell_len(text) <= width), "")


def groups_caption(found: Overview) -> str:
    """`A: mostly one direction, cosine 0.77 to 0.88; …`, above a table of `group_rows`."""
    said = [f"{group.letter}: {group.title}, cosine {_to(group.low, group.high)}" for group in found.groups]
    said += ["~: in part"] if any(group.partly for group in found.groups) else []
    return f"Groups of one update{'. ' * bool(said)}{'; '.join(said)}"


def group_rows(found: Overview) -> list[tuple[str, ...]]:
    """Every adapter under its group, the cells of `GROUP_COLUMNS`."""
    rows = []
    for group in found.groups:
        rows += [_cells(found, entry, group.letter) for entry in group.entries]
        rows += [_cells(found, entry, f"~ {group.letter}") for entry in group.partly]
    return [*rows, *(_cells(found, entry, "–") for entry in found.alone)]


def _cells(found: Overview, entry: Entry, group: str) -> tuple[str, ...]:
    names = dict(zip(found.who, found.labels.short, strict=True))
    near = "" if entry.nearest is None else names[entry.nearest] if entry.near else "–"
    nearest = (near, fixed(entry.cosine) if near else "")
    own = (significant(entry.norm), fixed(entry.rank, 1))
    return group, names[entry.index], *own, *nearest, ", ".join(entry.why)


def _wrapped(text: str, width: int, style: str) -> Iterable[Text]:
    """Words in lines of so many cells."""
    lines = Text(text, style).wrap(Console(), max(width, 20))
    for line in lines:
        line.rstrip()
    return lines


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))
