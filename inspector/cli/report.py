"""`inspector report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, DEVICE, SETTINGS, K, reading, refuse_for_study

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command("report", context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, metavar="STUDY | SOURCE…", shell_complete=completion.SOURCES)
@click.option("--out", "page", type=click.Path(path_type=Path), help="One web page that needs nothing else: FILE.html.")
@click.option("--figures", type=click.Path(path_type=Path), metavar="DIR",
              help="Figures as SVG, PDF and PNG, and LaTeX tables.")  # fmt: skip
@click.option(
    "--md",
    "markdown",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The same as Markdown, charts as small tables.",
)
@click.option(
    "--claims",
    shell_complete=completion.CLAIMS,
    default="",
    metavar="SET",
    help="Check these too: arxiv:2606.23740, demo, or a .yaml.",
)
@K
@click.option(
    "--modules",
    shell_complete=completion.MODULES,
    default="union",
    show_default=True,
    help="union or common, and/or path ends: q_proj,v_proj.",
)
@click.option("--sides", type=click.Choice(["left", "right", "both"]), default="left", show_default=True)
@DEVICE
@reading()
@DEBUG
def report(sources: tuple[str, ...], claims: str, read_options: ReadOptions, **more: Any) -> int:
    """Write a study as a web page, as figures and tables for papers, as Markdown.

    STUDY is a file that `inspector analyze --out` wrote (.json, .parquet), with what its probes measured; other
    sources are measured first, their weights alone.
    """
    from inspector.workflows import asked
    from inspector.workflows.report import Outputs, write_report

    refuse_for_study(sources)
    outputs = Outputs(*(more.pop(name) for name in ("page", "figures", "markdown")))
    return write_report(sources, outputs, settings=asked.settings(**more), claims=claims, read_options=read_options)
