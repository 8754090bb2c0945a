"""`inspector sketch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, MOST, SETTINGS, reading

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command(context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…", shell_complete=completion.SOURCES)
@click.option(
    "--out", required=True, metavar="PART.parquet",
    help="The file of sketches, here or as s3://…: what it holds is not sketched again.",
)  # fmt: skip
@click.option("--shard", default="0/1", metavar="i/n", help="Only every n-th source from the i-th on; 0 is the first.")
@MOST
@reading()
@DEBUG
def sketch(sources: tuple[str, ...], out: str, shard: str, most: int, read_options: ReadOptions) -> int:
    """Sketch adapters: a row of a Parquet file each, from which `inspector atlas` compares any two.

    @FILE names the sources that are its lines, hub:BASE the adapters of a base on the Hub. Nothing else needs to run:
    shares may be sketched anywhere, one process a file, killed and started again.
    """
    from inspector.workflows import sketch

    return sketch.sketch(sources, out, shard=shard, most=most, read_options=read_options)
