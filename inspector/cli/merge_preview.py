"""`inspector merge-preview`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, DEVICE, SETTINGS, reading, refuse_unread

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command("merge-preview", context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE[:WEIGHT]…", shell_complete=completion.SOURCES)
@click.option("--rank", type=click.IntRange(1), help="Rank whose energy is shown.  [default: the parents' largest]")
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["projection", "layer"]),
    help="A table by projection, or by layer; repeat.",
)
@click.option("--write", "dest", type=click.Path(path_type=Path), metavar="DEST", help="Write it as a PEFT folder.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table: FILE.json, FILE.csv or FILE.parquet.")
@DEVICE
@reading(checkpoints=False)
@DEBUG
def merge_preview(
    sources: tuple[str, ...],
    rank: int | None,
    by: tuple[str, ...],
    dest: Path | None,
    out: Path | None,
    device: str,
    read_options: ReadOptions,
) -> int:
    """Report what a weighted sum of adapters would be, before it is made.

    The weight is the number after the last colon of a source, and 1 without one: sft=out/sft:0.5 out/dpo:-0.2. The
    verdict on the parts comes first, then the norm of the sum, its cosine to each part, energy ratio, interference,
    rank, and the energy that --rank would keep. Parts of different bases are refused.

    Nothing is written but what is asked for: --write DEST is the exact sum, of rank Σr. `inspector resize` makes that
    smaller.

    Exit code 3 where a module cannot be added, and where something that is, or may be, of a parent's update is not in
    what was written: DoRA magnitudes, biases, energy of a dense update, a tensor that is not understood.
    """
    from inspector.workflows import merge_preview

    if dest is not None:
        refuse_unread(("rank",), "is of what is shown; --write writes the exact sum: run inspector resize on it.")
    return merge_preview.merge_preview(
        sources, rank=rank, dest=dest, out=out, device=device, by=by, read_options=read_options
    )
