"""`inspector diff`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from inspector.cli.options import DEBUG, SETTINGS


@click.command("diff", context_settings=SETTINGS)
@click.argument("old", type=click.Path(path_type=Path), metavar="STUDY1")
@click.argument("new", type=click.Path(path_type=Path), metavar="STUDY2")
@click.option("--scope", type=click.Choice(["global", "layer", "module", "all"]), default="global", show_default=True,
              help="Which numbers to tell.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(0), default=1e-3, show_default=True,
              help="Smallest move told: of 90 for degrees, of themselves for norms, else of 1.")  # fmt: skip
@click.option("--limit", type=click.IntRange(0), default=30, show_default=True,
              help="Most lines of numbers; 0 for every number.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
@DEBUG
def diff(old: Path, new: Path, scope: str, threshold: float, limit: int, *, as_json: bool) -> int:
    """Tell what changed from one saved study to another.

    Adapters (by name, then by content), settings, what the probes ran on, and the numbers that moved, the largest
    first: one line for each curve or spectrum. Chance levels, quartiles and ends of intervals stand last, and are
    only counted unless --limit is 0.
    """
    from inspector.study.diff import differences
    from inspector.study.export import load
    from inspector.tables import diff

    found = differences(load(old), load(new), threshold=threshold)
    if as_json:
        sys.stdout.write(diff.as_json(found, scope))
    else:
        diff.print_differences(found, scope, limit)
    return 0
