"""`inspector atlas`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, MOST, SETTINGS, reading

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command(context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE | PART.parquet…", shell_complete=completion.SOURCES)
@click.option(
    "--store", type=click.Path(path_type=Path), metavar="FILE.parquet",
    help="Keep the sketches here: what it has is not sketched, or measured, again.",
)  # fmt: skip
@click.option("--near", default="", metavar="SOURCE", help="Only the neighbours of this one, by name or source.")
@click.option("--keep", type=click.IntRange(0), default=0, help="Which so many to keep of all: farthest first.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.html", help="A page with all rows.")
@click.option("--exact/--estimates", default=True, help="Measure near pairs exactly, or leave them as estimates.")
@click.option(
    "--engine", default="", metavar="ray[:ADDRESS]",
    help="Open, sketch and measure on this Ray cluster, without an address on one that starts here.",
)  # fmt: skip
@MOST
@reading()
@DEBUG
def atlas(sources: tuple[str, ...], store: Path | None, read_options: ReadOptions, **more: Any) -> int:
    """Hundreds or thousands of adapters: groups, copies, starts, outliers, neighbours, which to keep.

    Each is sketched once (`inspector sketch` does the same on other machines), and near pairs are then measured
    exactly. @FILE names the sources that are its lines, hub:BASE the adapters of a base on the Hub.
    """
    from inspector.workflows.atlas import Parts
    from inspector.workflows.atlas import atlas as run

    return run(sources, store=store, parts=Parts(**more), read_options=read_options)
