"""`inspector watch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.options import DEBUG, MOUSE, SETTINGS, K, on_terminal, reading, refuse_unread

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command(context_settings=SETTINGS)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--against", default="", metavar="NAME", help="The other run of the cosines. In the app n changes it.")
@click.option("--table", is_flag=True, help="Print the numbers once and leave, as without a terminal.")
@click.option(
    "--fail-on",
    default="",
    metavar="KIND,…",
    help="Say in one line each what has gone wrong, and exit with 1: nan, spike, collapse, dead.",
)
@K
@MOUSE
@reading(checkpoints=False)
@DEBUG
def watch(
    runs: tuple[Path, ...], against: str, table: bool, fail_on: str, k: int, *, mouse: bool, read_options: ReadOptions
) -> int:
    """Watch a training: norm, effective rank, cosines and loss over its steps.

    RUN is the --out of a training, or one run in it; files among several (runs/*) are passed over. The app waits for
    them and follows their checkpoints; without a terminal every number is printed once, tab separated. Folders of
    transformers, TRL and what builds on them are read too, and what WeightsCallback records there.
    """
    if fail_on:
        refuse_unread(("k", "mouse", "against", "table"), "says what is shown, and --fail-on only judges.")
    if table:
        refuse_unread(("k", "mouse"), "is of the app, and --table opens none.")
    from inspector.adapters.locate import matches

    named = [Path(path) for run in runs for path in matches(str(run))]
    folders = [run for run in named if not run.is_file()] or named
    if fail_on:
        from inspector.workflows.watch import kinds_of, print_alarms

        return print_alarms(folders, kinds_of(fail_on), read_options)
    if table or not on_terminal():
        from inspector.workflows.watch import print_once

        return print_once(folders, against, read_options)
    from inspector.tui.app import InspectorApp
    from inspector.workflows.watch import refuse_unknown

    refuse_unknown(folders, against)
    app = InspectorApp(k=k, watch=[str(run) for run in folders], against=against, read_options=read_options)
    return app.run_to_end(mouse=mouse)
