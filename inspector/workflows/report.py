"""`inspector report`: sources or a saved study -> files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inspector._version import __version__
from inspector.claims.bundled import claim_set
from inspector.claims.verdicts import evaluate
from inspector.common.console import Progress, say, wrote
from inspector.common.errors import InspectorError
from inspector.common.files import refuse_folder, refuse_place, replacing
from inspector.common.text import count, plain
from inspector.report.build import report
from inspector.report.document import Report
from inspector.study.study import Settings
from inspector.workflows import analyze

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where to write what; at least one is asked for."""

    page: Path | None = None
    figures: Path | None = None
    markdown: Path | None = None


def write_report(
    sources: Sequence[str],
    outputs: Outputs,
    *,
    settings: Settings,
    claims: str = "",
    read_options: ReadOptions | None = None,
) -> int:
    """Measure the sources, or open the saved study, and write what is asked for; 3 where something is missing."""
    _refuse(outputs)
    claimed = claim_set(claims) if claims else None
    study, complete = analyze.measured(sources, settings, read_options=read_options)
    outcomes = evaluate(claimed, [study], remedy="it is not in this study") if claimed else ()
    made = report(study, claimed, outcomes, __version__)
    if outputs.page is not None:
        from inspector.report.page import page

        say("Drawing the page …")
        _write(outputs.page, page, made)
    if outputs.markdown is not None:
        from inspector.report.markdown import markdown

        _write(outputs.markdown, markdown, made)
    if outputs.figures is not None:
        from inspector.report.figures import FORMATS, write_figures

        say(f"Drawing figures as {', '.join(FORMATS[:-1]).upper()} and {FORMATS[-1].upper()} …")
        written = write_figures(made, outputs.figures, Progress())
        say(f"Wrote {count(len(written), 'file')} to {outputs.figures}.")
    return 0 if complete else 3


def _write(path: Path, maker: Callable[[Report], str], made: Report) -> None:
    text = maker(made)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    wrote(path)


def _refuse(outputs: Outputs) -> None:
    """Raise InspectorError where something could not be written: said before the work."""
    if outputs == Outputs():
        raise InspectorError("Nothing to write: add --out report.html, --figures DIR or --md FILE.")
    for path, suffixes in ((outputs.page, (".html", ".htm")), (outputs.markdown, (".md", ".markdown"))):
        if path is not None and path.suffix.lower() not in suffixes:
            raise InspectorError(f"Cannot write {plain(path)}: the name must end in {suffixes[0]}.")
        if path is not None:
            refuse_place(path)
    if outputs.figures is not None:
        refuse_folder(outputs.figures, "--figures")
