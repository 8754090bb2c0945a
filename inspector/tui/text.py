"""Plain text for a fixed-width screen: cleaned, fitted, aligned; numbers in the field's short form."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from inspector.common.numbers import fixed, level

NA = "·"
_PLAIN = Style()


def clean(text: str) -> str:
    """Text from outside as one printable line: control and formatting characters become `�`."""
    if text.isprintable():
        return text
    return "".join("�" if unicodedata.category(c)[0] == "C" else " " if c in "\u2028\u2029" else c for c in text)


def fit(text: str, width: int) -> str:
    """At most `width` cells; what is cut ends in `…`."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"


def fit_left(text: str, width: int) -> str:
    """At most `width` cells, keeping the end: for paths, whose end tells them apart."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return "…" + text


def left(text: str, width: int) -> str:
    """Fitted and padded on the right."""
    text = fit(text, width)
    return text + " " * (width - cell_len(text))


def right(text: str, width: int) -> str:
    """Fitted and padded on the left."""
    text = fit(text, width)
    return " " * (width - cell_len(text)) + text


def centre(text: str, width: int) -> str:
    text = fit(text, width)
    before = (width - cell_len(text)) // 2
    return " " * before + text + " " * (width - cell_len(text) - before)


def bracketed(text: str, width: int) -> str:
    """As `centre` would place it, in brackets that leave no blank: ` [0.93] `; `▸0.93` where those do not fit."""
    if cell_len(text.strip()) + 2 > width:
        return left("▸" + text.strip(), width)
    start = max(width - cell_len(centre(text, width).lstrip()) - 1, 0)
    return left(" " * start + f"[{text.strip()}]", width)


def wrap(text: str, width: int) -> list[str]:
    """Words in lines of at most `width` cells; a longer word is broken, never cut off."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        rest = word
        if line and cell_len(line) + 1 + cell_len(rest) <= width:
            line += " " + rest
            continue
        if line:
            lines.append(line)
        while cell_len(rest) > width > 0:
            head = set_cell_size(rest, width).rstrip() or rest[0]
            lines.append(head)
            rest = rest[len(head) :]
        line = rest
    return [*lines, line] if line or not lines else lines


def decimal(value: float) -> str:
    """A cosine, or a fraction: `0.86`, `−0.16`, `·` where there is none."""
    return fixed(value, 2, NA)


def chance_level(value: float) -> str:
    """A level by chance: `0.0067`."""
    return level(value, NA)


def degrees(value: float) -> str:
    """An angle; one that is there by rounding alone is 0."""
    return NA if math.isnan(value) else f"{value:.1f}°" if value >= 0.05 or value < 1e-9 else f"{value:.0e}°"


def general(value: float) -> str:
    """Any size in three significant digits: `1.44`, `0.0123`, `12300`, `1.23e-05`."""
    if math.isnan(value):
        return NA
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:#.3g}".rstrip(".") if abs(value) < 999.5 else f"{float(f'{value:.2e}'):.0f}"
    return f"{value:.2e}"


def count(number: int) -> str:
    """`460.8K`, `14.7M`."""
    for size, suffix in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "K")):
        if number >= size:
            return f"{number / size:.1f}{suffix}"
    return str(number)


def times(ratio: float) -> str:
    """`×5.5`, `×10`, to two digits."""
    return NA if ratio != ratio else f"×{ratio:.2g}" if ratio < 100 else f"×{ratio:.0f}"  # noqa: PLR0124 - NaN


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


class Line:
    """One screen line, built from left to right."""

    __slots__ = ("segments", "width")

    def __init__(self, text: str = "", style: Style = _PLAIN) -> None:
        self.segments: list[Segment] = []
        self.width = 0
        if text:
            self.add(text, style)

    def add(self, text: str, style: Style = _PLAIN) -> Line:
        if text:
            self.segments.append(Segment(text, style))
            self.width += cell_len(text)
        return self

    def append(self, other: Line) -> Line:
        """Another line behind this one."""
        self.segments += other.segments
        self.width += other.width
        return self

    def to(self, column: int) -> Line:
        """Blank up to a column, at least one blank when already past it."""
        if self.width < column:
            self.add(" " * (column - self.width))
        elif self.width > column:
            self.add(" ")
        return self

    def pad(self, column: int) -> Line:
        """Blank up to a column, nothing when there already."""
        return self.add(" " * (column - self.width))

    def end(self, text: str, width: int, style: Style = _PLAIN) -> Line:
        """Text at the right margin, where room is left for it."""
        if self.width + cell_len(text) + 1 <= width:
            self.to(width - cell_len(text)).add(text, style)
        return self

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)

    def strip(self, width: int) -> Strip:
        """Exactly `width` cells; a longer line ends in `…`."""
        strip = Strip(self.segments, self.width)
        if self.width <= width:
            return strip.extend_cell_length(width)
        cut = strip.crop(0, max(width - 1, 0))
        return Strip.join([cut, Strip([Segment("…", _PLAIN)], 1)]) if width > 0 else cut


def beside(one: Sequence[Line], other: Sequence[Line], column: int) -> list[Line]:
    """Two panes as one: the second's lines from a column on."""
    lines = []
    for at in range(max(len(one), len(other))):
        line = Line()
        if at < len(one):
            strip = one[at].strip(min(one[at].width, column - 1))
            line.segments, line.width = list(strip), strip.cell_length
        lines.append(line.pad(column).append(other[at]) if at < len(other) else line)
    return lines


def page(lines: Sequence[Line], width: int, height: int) -> list[Strip]:
    """Lines as a full area of strips."""
    strips = [line.strip(width) for line in lines[:height]]
    return strips + [Strip.blank(width)] * (height - len(strips))
