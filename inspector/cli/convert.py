"""`inspector convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, SETTINGS, reading

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command(context_settings=SETTINGS)
@click.argument("source", shell_complete=completion.SOURCES)
@click.argument("dest", type=click.Path(path_type=Path))
@reading(checkpoints=False)
@DEBUG
def convert(source: str, dest: Path, read_options: ReadOptions) -> int:
    """Write an adapter of any format as an ordinary PEFT folder DEST.

    The same ΔW, bit for bit where the source stores factors: B and A keep their type, and α makes the scale exact.
    What PEFT's LoRA has no place for is named and left out. Exit code 3 where that is, or may be, of the update: DoRA
    magnitudes, biases, energy of a dense update, a tensor that is not understood; 0 where the update is whole.
    """
    from inspector.workflows import convert

    return convert.convert(source, dest, read_options)
