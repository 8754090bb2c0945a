"""`inspector receipt`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
@click.option("--server", metavar="URL", default="", help="Ask an OpenAI-compatible server instead: vLLM, SGLang.")
@click.option("--name", metavar="NAME", default="", help="What it is called there.  [default: the adapter's name]")
@click.option(
    "--task",
    default="arithmetic",
    show_default=True,
    shell_complete=completion.TASKS,
    help="Problems whose log-probabilities a server is asked for.",
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
    sources: tuple[str, ...], *, merged: str, server: str, as_json: bool, read_options: ReadOptions, **options: Any
) -> int:
    """Tell whether a merged model, or a server, has an adapter in it: is my training in there?

    With --merged, every matrix is compared with that of --base: the strength at which the adapter's update is in it
    (1 as trained), what is left over, and what of that the rounding of the merge explains. With --server, base and
    adapter are run here, and the log-probabilities of a few answers are compared with the server's. Several adapters
    are looked for as their sum.

    Exit code 0 if it has them at --strength and nothing else, 1 if not, 2 where something cannot be read.
    """
    from inspector.workflows import receipt

    refuse_unread(("svd_rank",), "is not read here: the whole update is compared.")
    if bool(merged) == bool(server):
        raise click.UsageError("Name one of --merged FOLDER and --server URL.")
    if server:
        refuse_unread(("near",), "is looked for in the weights of --merged, which a server does not show.")
        options.pop("near")
        return receipt.served(sources, server, read_options, as_text=not as_json, **options)
    refuse_unread(("name", "task"), "is for --server, and --merged names files.")
    near, strength = options["near"], options["strength"]
    return receipt.receipt(sources, merged, read_options, strength=strength, near=near, as_text=not as_json)
