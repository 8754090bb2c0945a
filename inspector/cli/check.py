"""`inspector check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, SETTINGS, reading

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command(context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, shell_complete=completion.SOURCES)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout; assets/guide/checking.md lists its keys."
)
@click.option("--tensors", is_flag=True, help="List every tensor with its class: used, ignored (why), unknown (why).")
@reading()
@DEBUG
def check(sources: tuple[str, ...], as_json: bool, tensors: bool, read_options: ReadOptions) -> int:
    """Tell what is wrong, or odd, with adapters: nothing is compared.

    Every tensor's class, where the scale comes from, targets and patterns that meet nothing, modules never trained,
    NaN and Inf, outliers; between several: bases, prefixes and shapes that do not meet. With --base also whether
    each module fits, and what a merge in bfloat16 would leave of ΔW, measured on the tensors.

    Exit code 0 where nothing is wrong (warnings allowed), 1 where something is, 2 where nothing could be opened, 3
    where a source could not be opened though the others were and are well.
    """
    from inspector.workflows import check

    return check.check(sources, read_options=read_options, as_text=not as_json, tensors=tensors)
