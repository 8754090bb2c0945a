"""Figures for a publication, each as SVG, PDF and PNG, and LaTeX tables beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.text import count
from inspector.report.document import Bars, Beside, Fold, Lines, Matrix, Part, Report, Table
from inspector.report.drawing import draw, styled
from inspector.report.latex import latex

Tell = Callable[[str, int, int], None]
_BACKENDS = {"svg": "svg", "pdf": "pdf", "png": "agg"}
FORMATS = tuple(_BACKENDS)
_DOTS = 200
"""Of a PNG, to the inch."""
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}
"""Nothing that changes from one writing to the next."""
_NOT_FOR_PAPERS = {"overview", "findings", "reproduce"}


def _silent(text: str, done: int, total: int) -> None:
    """Nobody listens."""


def write_figures(report: Report, folder: Path, tell: Tell = _silent) -> list[str]:
    """Every chart and matrix as a figure, every table as LaTeX; each file complete or not at all. The names written.

    `tell` hears which figure is drawn next, how many are done, and how many there are.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InspectorError(f"Cannot write figures to {folder}: {error.strerror or error}.") from error
    every = [p for section in report.sections if section.id not in _NOT_FOR_PAPERS for p in parts(section.parts)]
    figures = [part for part in every if isinstance(part, Lines | Bars | Matrix)]
    written: list[str] = []
    for n, figure in enumerate(figures):
        tell(f"Drawing {figure.id}, figure {n + 1} of {len(figures)}", n, len(figures))
        written += _drawn(figure, folder)
    tell(f"{count(len(figures), 'figure')} drawn", len(figures), len(figures))
    for part in every:
        if isinstance(part, Table | Matrix | Bars):
            table = part if isinstance(part, Table) else part.table()
            with replacing(folder / f"{part.id}.tex") as temporary:
                temporary.write_text(latex(table, part.id), encoding="utf-8")
            written.append(f"{part.id}.tex")
    return written


def parts(given: tuple[Part, ...]) -> Iterator[Part]:
    """The parts, and those within folds or side by side."""
    for part in given:
        if isinstance(part, Fold | Beside):
            yield from parts(part.parts)
        else:
            yield part


def _drawn(part: Lines | Bars | Matrix, folder: Path) -> Iterator[str]:
    """Laid out once, and drawn once for each format: `savefig` draws twice, once in vain."""
    import matplotlib as mpl

    with styled(), mpl.rc_context({"svg.hashsalt": part.id}):
        figure = draw(part)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for form, backend in _BACKENDS.items():
            canvas = import_module(f"matplotlib.backends.backend_{backend}").FigureCanvas(figure)
            figure.set_dpi(_DOTS)  # of what becomes pixels; SVG and PDF set their own for the rest
            with replacing(folder / f"{part.id}.{form}") as temporary:
                getattr(canvas, f"print_{form}")(temporary, metadata=_METADATA[form])
            yield f"{part.id}.{form}"
