"""Figures for a publication, each as SVG, PDF and PNG, and LaTeX tables beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from inspector.errors import InspectorError
from inspector.export import replacing
from inspector.report.document import Bars, Fold, Lines, Matrix, Part, Report, Table
from inspector.report.drawing import draw, styled
from inspector.report.latex import latex

FORMATS = ("svg", "pdf", "png")
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}
"""Nothing that changes from one writing to the next."""
_NOT_FOR_PAPERS = {"findings", "reproduce"}


def write_figures(report: Report, folder: Path) -> list[str]:
    """Every chart and matrix as a figure, every table as LaTeX; each file complete or not at all. The names written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InspectorError(f"Cannot write figures to {folder}: {error.strerror or error}.") from error
    written: list[str] = []
    for section in report.sections:
        for part in parts(section.parts) if section.id not in _NOT_FOR_PAPERS else ():
            if isinstance(part, Lines | Bars | Matrix):
                written += _drawn(part, folder)
            if isinstance(part, Table | Matrix | Bars):
                table = part if isinstance(part, Table) else part.table()
                with replacing(folder / f"{part.id}.tex") as temporary:
                    temporary.write_text(latex(table, part.id), encoding="utf-8")
                written.append(f"{part.id}.tex")
    return written


def parts(given: tuple[Part, ...]) -> Iterator[Part]:
    """The parts, and those within folds."""
    for part in given:
        if isinstance(part, Fold):
            yield from parts(part.parts)
        else:
            yield part


def _drawn(part: Lines | Bars | Matrix, folder: Path) -> Iterator[str]:
    import matplotlib as mpl

    with styled(), mpl.rc_context({"svg.hashsalt": part.id}):
        figure = draw(part)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # it stands: no need to lay it out again for each format
        for form in FORMATS:
            with replacing(folder / f"{part.id}.{form}") as temporary:
                figure.savefig(temporary, format=form, dpi=200, metadata=_METADATA[form])
            yield f"{part.id}.{form}"
