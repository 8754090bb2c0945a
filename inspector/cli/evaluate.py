"""`inspector eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, DEVICE, DTYPE, SETTINGS, reading, refuse_unread

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command("eval", context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, shell_complete=completion.SOURCES)
@click.option(
    "--task",
    required=True,
    shell_complete=completion.TASKS,
    help="arithmetic (bundled), gsm8k, aime24/25/26, a .jsonl or .parquet file.",
)
@click.option("--limit", type=click.IntRange(0), default=0, help="Only the first so many problems; 0 is all of them.")
@reading(run="always")
@click.option("--no-base", is_flag=True, help="Leave the base itself out of the table.")
@DEVICE
@DTYPE
@click.option("--batch", type=click.IntRange(0), default=0, help="Problems at a time.  [default: 16, on a GPU 64]")
@click.option(
    "--max-new-tokens",
    type=click.IntRange(0),
    default=0,
    help="Longest answer.  [default: arithmetic 128, AIME 16384, else 512]",
)
@click.option(
    "--server", multiple=True, metavar="URL",
    help="Ask this OpenAI-compatible server (key: OPENAI_API_KEY). May be repeated: servers of the same models.",
)  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1), default=16, show_default=True, help="Requests at a time.")
@click.option("--records", type=click.Path(path_type=Path), help="Where answers are kept. Default: the cache folder.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a study: FILE.json, FILE.csv or FILE.parquet.")
@DEBUG
def eval_(sources: tuple[str, ...], *, read_options: ReadOptions, **options: Any) -> int:
    """Solve problems with the base and every adapter: accuracy, and which pairs differ.

    Greedy answers, graded by math-verify. Every answer is kept as it comes: an interrupted run goes on
    where it was, and what was answered before is not asked again. With --server, a source answers under
    its own name (NAME=SOURCE) there.
    """
    from inspector.workflows import evaluate

    if options["server"]:
        refuse_unread(("device", "dtype", "batch"), "says how to run a base here, and --server runs it.")
    else:
        refuse_unread(("concurrency",), "says how to ask a server, and no --server is named.")
    return evaluate.evaluate(sources, evaluate.Options(**options), read_options)
