"""A report as one HTML page that needs nothing beside it: no network, and for reading no script."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from markupsafe import Markup, escape

from inspector.report.document import Chart, Lines, Matrix, Part, Report, Section
from inspector.report.drawing import drawn_at_first
from inspector.report.style import VARIABLES, style_of
from inspector.report.svg import Picture, picture
from inspector.study.metrics import DEFINITIONS

_NUMBER = re.compile(r"[−+-]?[\d.,]+(?:e[+-]?\d+)?( %|°)?|n/a|–|−?[\d.]+ to −?[\d.]+")
_CODE = re.compile(r"`([^`]*)`")
_SHADES = 20
_MARKS = {
    "o": "M11 5a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "s": "M11.3 2.3h5.4v5.4h-5.4z", "^": "M14 1.5l3.4 6h-6.8z",
    "D": "M14 1.2l3.6 3.8l-3.6 3.8l-3.6-3.8z", "v": "M14 8.5l3.4-6h-6.8z",
    "P": "M12.8 1.5h2.4v2.3h2.3v2.4h-2.3v2.3h-2.4v-2.3h-2.3v-2.4h2.3z",
    "X": "M10.8 3.4l1.6-1.6l1.6 1.6l1.6-1.6l1.6 1.6l-1.6 1.6l1.6 1.6l-1.6 1.6l-1.6-1.6l-1.6 1.6l-1.6-1.6l1.6-1.6z",
}  # fmt: skip
"""The markers as SVG paths, as matplotlib draws them."""


@dataclass(frozen=True, slots=True)
class _Swatch:
    variable: str
    dashes: str
    marker: str


def page(report: Report) -> str:
    """The whole page. Every text from outside is escaped; only the page's own script may run."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("inspector.report", "web"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "shade": _shade, "style": _style, "code": _code, "hidden": _hidden, "picture": _picture,
    }  # fmt: skip
    environment.tests["number_like"] = lambda text: bool(_NUMBER.fullmatch(text))
    script = _file("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    css = _file("report.css").replace("SHADES", _shades())
    text = environment.get_template("page.html.j2").render(
        report=report, css=Markup(css), script=Markup(script), script_hash=digest, version=report.version,  # noqa: S704 - our own files
        homes=_homes(report), titles={metric: d.title for metric, d in DEFINITIONS.items()},
    )  # fmt: skip
    return text.lstrip()


def _file(name: str) -> str:
    return files("inspector.report").joinpath("web", name).read_text(encoding="utf-8")


def _homes(report: Report) -> dict[str, Section]:
    """The section that shows a metric first."""
    homes: dict[str, Section] = {}
    for section in report.sections:
        if section.id not in {"overview", "findings", "measured", "claims"}:
            for metric in section.metrics:
                homes.setdefault(metric, section)
    return homes


def _picture(chart: Chart) -> Picture:
    found = picture(chart)
    return Picture(Markup(found.svg), found.data)  # noqa: S704 - matplotlib escaped its texts


def _hidden(chart: Part) -> frozenset[str]:
    """The keys of the lines not drawn before anybody chooses."""
    if not isinstance(chart, Lines):
        return frozenset()
    return frozenset(s.subject.key for s in chart.series) - drawn_at_first(chart)


def _style(n: int) -> _Swatch:
    style = style_of(n)
    return _Swatch(VARIABLES[style.colour], " ".join(f"{2 * d:g}" for d in style.dashes), _MARKS[style.marker])


def _code(text: str) -> Markup:
    """Escaped, with `…` as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just now


def _shade(value: float, part: Matrix) -> str:
    """The class of a cell: `p0` to `p20` above zero, `m…` below, `d…` of distances."""
    if np.isnan(value):
        return "na"
    step = round(min(abs(value) / part.limit, 1) * _SHADES)
    return f"{'d' if part.apart else 'm' if value < 0 else 'p'}{step}"


def _shades() -> str:
    """The colours of the cells, as classes: a strict policy allows no styles by script."""
    steps = range(1, _SHADES + 1)
    return "".join(
        f".{sign}{n}{{background:rgb(var(--{name}) / calc({n / _SHADES:g} * var(--alpha)))}}"
        for sign, name in (("p", "pos"), ("m", "neg"), ("d", "apart"))
        for n in steps
    )
