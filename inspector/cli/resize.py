"""`inspector resize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, DEVICE, SETTINGS, TASK, reading, refuse_unread

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command(context_settings=SETTINGS)
@click.argument("source", metavar="ADAPTER", shell_complete=completion.SOURCES)
@click.option("--rank", type=click.IntRange(1), help="At most this rank in every module.")
@click.option(
    "--energy",
    type=click.FloatRange(0, 1, min_open=True),
    help="The smallest rank of every module that keeps this share of its ‖ΔW‖², such as 0.95.",
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    metavar="MB",
    help="The ranks that keep most of Σ‖ΔW‖² in so many megabytes of factors.",
)
@click.option("--write", "dest", type=click.Path(path_type=Path), metavar="DEST", help="Write it as a PEFT folder.")
@TASK
@DEVICE
@reading(run="for losses", checkpoints=False)
@DEBUG
def resize(source: str, *, dest: Path | None, task: str, device: str, read_options: ReadOptions, **wanted: Any) -> int:
    """Find the smaller ranks that keep an adapter, and write it at these.

    Name one of --rank, --energy and --budget. Every module becomes its best approximation of its new rank: the
    truncated SVD of ΔW, exact and from the factors. Printed are sizes, ranks and the energy kept; with --base the loss
    of answers under base, adapter and smaller adapter as well. Nothing is written without --write.

    Exit code 3 where something that is, or may be, of the update is not in what was written.
    """
    from inspector.workflows import resize

    if sum(given is not None for given in wanted.values()) != 1:
        raise click.UsageError("Name one of --rank R, --energy SHARE and --budget MB.")
    if read_options.base is None:
        refuse_unread(("task",), "is for the loss, which needs the base: add --base.")
    return resize.resize(source, resize.Wanted(**wanted), dest, read_options, task=task, device=device)
