"""`inspector receipt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, SETTINGS, reading, refuse_unread

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command(context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, metavar="ADAPTER…", shell_complete=completion.SOURCES)
@click.option(
    "--merged",
    metavar="FOLDER",
    default="",
    help="The merged model: a folder, or a Hub id.",
    shell_complete=completion.BASES,
)
@click.option(
    "--strength",
    type=click.FloatRange(0, 64, min_open=True),
    default=1.0,
    show_default=True,
    help="At which it should be there: 1 is as trained.",
)
@click.option(
    "--near",
    multiple=True,
    metavar="OTHER",
    shell_complete=completion.SOURCES,
    help="An adapter that may be there instead; repeat.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout; assets/guide/checking.md lists its keys."
)
@reading(checkpoints=False)
@DEBUG
def receipt(
    sources: tuple[str, ...],
    merged: str,
    strength: float,
    near: tuple[str, ...],
    as_json: bool,
    read_options: ReadOptions,
) -> int:
    """Tell whether a merged model has an adapter in it: is my training in there?

    Every matrix of the merged model is compared with that of --base: the strength at which the adapter's update is in
    it (1 as trained), what is left over, and what of that the rounding of the merge explains. Several adapters are
    looked for as their sum.

    Exit code 0 if the model contains them at --strength and nothing else, 1 if not, 2 where something cannot be read.
    """
    from inspector.workflows import receipt

    refuse_unread(("svd_rank",), "is not read here: the whole update is compared.")
    return receipt.receipt(sources, merged, read_options, strength=strength, near=near, as_text=not as_json)
