"""`inspector survival`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, SETTINGS, TASK, reading, refuse_unread

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions

_RULES = ("bf16", "fp16", "fp8", "int8", "nf4", "q8_0", "q4_0")


@click.command(context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, metavar="ADAPTER…", shell_complete=completion.SOURCES)
@click.option(
    "--loss",
    multiple=True,
    type=click.Choice(_RULES),
    help="Also run the base so rounded, the adapter merged into it and beside it; repeat.",
)
@TASK
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout; assets/guide/checking.md lists its keys."
)
@reading(run="for losses", checkpoints=False)
@DEBUG
def survival(
    sources: tuple[str, ...], *, loss: tuple[str, ...], task: str, as_json: bool, read_options: ReadOptions
) -> int:
    """Tell what of an adapter survives serving: merged and rounded to 16, 8 or 4 bits, or beside the rounded base.

    A merge stores Q(W₀ + ΔW): where ΔW is smaller than the steps of Q most of it is rounded away, or drowned in the
    rounding of W₀. For bf16, fp16, fp8, int8, nf4 and GGUF Q8_0 and Q4_0 the cosine of Q(W₀ + ΔW) − Q(W₀) to ΔW is
    measured on every module of --base, beside that of the adapter that is served unmerged.
    """
    from inspector.workflows import survival

    if not loss:
        refuse_unread(("task",), "is for losses: add --loss.")
    return survival.survival(sources, read_options, loss=loss, task=task, as_text=not as_json)
