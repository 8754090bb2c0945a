"""A figure as SVG for a web page: colours by CSS variables, keys of subjects as data, and where its axes lie."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from inspector.report.document import Bars, Chart, Lines
from inspector.report.drawing import draw, drawn_at_first, styled
from inspector.report.style import VARIABLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG, _LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
_KEY = re.compile(r"(?:pair-\d+-\d+|adapter-\d+|base)")
_DECIMALS = re.compile(r"(\.\d\d)\d+")
_FAMILY = re.compile(r" ?font-family: [^;]+;")
_GEOMETRY = ("d", "transform", "x", "y", "width", "height", "points")


@dataclass(frozen=True, slots=True)
class Picture:
    """`svg`: the element; `data`: what the page's script must know of it, as data attributes."""

    svg: str
    data: Mapping[str, str]


def picture(chart: Chart) -> Picture:
    """The chart as it stands in the page, described by its caption."""
    import matplotlib as mpl

    with styled(), mpl.rc_context({"svg.hashsalt": chart.id}):
        figure = draw(chart, whole=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        data = _places(figure, chart)
    hidden: frozenset[str] = frozenset()
    if isinstance(chart, Lines):
        hidden = frozenset(s.subject.key for s in chart.series) - drawn_at_first(chart)
    return Picture(_embedded(buffer.getvalue(), chart, hidden), data)


def _places(figure: Figure, chart: Chart) -> dict[str, str]:
    """Of layers: the x of each and the ends of the axis; of bars: their order, and the height of a row."""
    axes = figure.axes[0]
    height = figure.get_figheight() * 72

    def at(x: float, y: float) -> tuple[float, float]:
        point = axes.transData.transform((x, y))
        return round(float(point[0]), 2), round(height - float(point[1]), 2)

    if isinstance(chart, Bars):
        return {
            "rows": " ".join(bar.subject.key for bar in chart.bars),
            "step": str(round(at(0, 1)[1] - at(0, 0)[1], 2)),
        }
    if not chart.by_layer:
        return {}
    box = axes.get_window_extent()
    ends = [round(height - float(y), 2) for y in (box.y1, box.y0)]
    return {"layers": json.dumps([at(x, 0 if not chart.log else 1)[0] for x in chart.x]), "ends": json.dumps(ends)}


def _embedded(source: bytes, chart: Chart, hidden: frozenset[str]) -> str:
    """The SVG without what a page does not need."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(source)  # noqa: S314 - matplotlib wrote it just now
    names = _names(chart)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", chart.caption)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}metadata":
                parent.remove(child)
    used = set(re.findall(rb"#([\w-]+)", source))
    for element in root.iter():
        _tidy(element, chart.id, used, names, hidden)
    text = ET.tostring(root, encoding="unicode")
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return re.sub(r">\s+<", "><", text)


def _tidy(element: ET.Element, prefix: str, used: set[bytes], names: dict[str, str], hidden: frozenset[str]) -> None:
    """Ids that are one in the page, keys as data with the subject's name as tooltip, two decimals, the page's font."""
    name = element.attrib.pop("id", "")
    if _KEY.fullmatch(name):
        element.set("data-key", name)
        if name in hidden:
            element.set("class", "off")
        title = ET.Element(f"{{{_SVG}}}title")
        title.text = names.get(name, "")
        element.insert(0, title)
    elif name.encode() in used:
        element.set("id", f"{prefix}-{name}")
    for key in (_LINK, "clip-path"):
        if key in element.attrib:
            element.set(key, element.attrib[key].replace("#", f"#{prefix}-"))
    for key in _GEOMETRY:
        if key in element.attrib:
            element.set(key, _DECIMALS.sub(r"\1", element.attrib[key]))
    if "style" in element.attrib:
        element.set("style", _FAMILY.sub("", element.attrib["style"]))


def _names(chart: Chart) -> dict[str, str]:
    items: tuple[Any, ...] = chart.series if isinstance(chart, Lines) else chart.bars
    return {item.subject.key: item.subject.label for item in items}
