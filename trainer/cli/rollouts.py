"""`inspector rollouts`: sample, map, export, or sum up a file. No torch unless a local model answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inspector.cli.completion import BASES, DEVICES, DTYPES, TASKS, offered
from inspector.cli.options import refuse_unread
from inspector.common.console import say
from inspector.common.errors import InspectorError
from inspector.common.text import count, plain
from inspector.tasks.grading import Grader
from trainer.exporting import FORMS, export
from trainer.rollouts.mapping import PRESETS, Mapped, columns_of, mapped
from trainer.rollouts.reasoning import LEARNED, WRAP
from trainer.rollouts.row_file import check_suffix, write_rows
from trainer.rollouts.sample import DONE, Options, sample
from trainer.rollouts.schema import read_rollouts
from trainer.rollouts.summary import lines, summarise

_OF_SERVERS, _OF_LOCAL_TEACHERS = ("concurrency", "per_minute", "body"), ("device", "dtype", "batch")
_EXPORTED = "is for --export: the column is always kept, and `inspector train --reasoning` says what is learned of it."
_OF_SAMPLING = (
    "limit", "k", "server", "temperature", "top_p", "max_new_tokens", "seed", "shots",
    *_OF_SERVERS, *_OF_LOCAL_TEACHERS,
)  # fmt: skip


@click.command("rollouts")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--task",
    default="",
    shell_complete=TASKS,
    help="deepscaler, gsm8k-train, arithmetic-train (bundled), a .jsonl/.parquet file.",
)
@click.option("--out", type=click.Path(path_type=Path), help="FILE.jsonl or FILE.parquet; one that is there goes on.")
@click.option("--limit", type=click.IntRange(0), default=0, help="Only the first so many prompts.")
@click.option("--k", type=click.IntRange(1), default=4, show_default=True, help="Completions a prompt.")
@click.option(
    "--teacher",
    default="",
    shell_complete=BASES,
    help="Hub id, folder, or smollm2; with --server the model's name there.",
)
@click.option(
    "--server", multiple=True, metavar="URL",
    help="Ask this OpenAI-compatible server (key: OPENAI_API_KEY). May be repeated: servers of the same models.",
)  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1), default=16, show_default=True, help="Requests at a time.")
@click.option("--per-minute", type=click.FloatRange(0), default=0.0, help="At most so many requests a minute.")
@click.option("--body", default="", metavar="JSON", help="More fields of a request; null leaves one out.")
@click.option("--temperature", type=click.FloatRange(0), default=1.0, show_default=True)
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True)
@click.option(
    "--max-new-tokens", type=click.IntRange(0), default=0,
    help="Longest completion.  [default: arithmetic 128, gsm8k 512, else 4096]",
)  # fmt: skip
@click.option("--seed", type=int, default=42, show_default=True, help="Every draw's own seed follows from it.")
@click.option(
    "--shots", type=click.IntRange(-1), default=-1, help="Worked examples shown.  [default: all the task has]"
)
@click.option(
    "--split",
    default="train",
    show_default=True,
    help="What the rows say under `split`; any but train is held out of trainings.",
)
@click.option("--device", default="auto", show_default=True, shell_complete=DEVICES, help="auto, cpu, cuda, cuda:1 …")
@click.option(
    "--dtype", default="auto", show_default=True, shell_complete=DTYPES, help="auto, float32, bfloat16, float16."
)
@click.option("--batch", type=click.IntRange(0), default=0, help="Completions at a time.  [default: 16, on a GPU 64]")
@click.option("--from", "origin", type=click.Path(path_type=Path), help="Rollouts of others, to be mapped to --out.")
@click.option(
    "--map",
    "columns",
    multiple=True,
    shell_complete=offered(lambda: PRESETS),
    metavar="FIELD=COLUMN,…",
    help="Their columns; or open-r1, verl, trl-preference, trl-unpaired.",
)
@click.option(
    "--export", "form", type=click.Choice(list(FORMS)),
    help="Write FILE to --out for others: TRL's conversational data, verl (one row a prompt; its trainer needs a "
    "reward function for sources it does not know), or OpenR1's groups.",
)  # fmt: skip
@click.option(
    "--reasoning", type=click.Choice(list(LEARNED)), default=WRAP, show_default=True,
    help="With --export: a teacher's reasoning in <think> tags, as text before the answer, or left out.",
)  # fmt: skip
@click.option("--summary", is_flag=True, help="Sum up FILE: rewards, groups, lengths, pairs.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def rollouts(
    file: Path | None,
    out: Path | None,
    origin: Path | None,
    columns: tuple[str, ...],
    form: str | None,
    reasoning: str,
    *,
    summary: bool,
    **options: Any,
) -> int:
    """Sample K completions a prompt from a teacher, graded by math-verify: one row a completion.

    Rows are appended as they come. What was interrupted, or killed, goes on with the same command, and each
    completion is there once. Ends with a summary, which --summary prints of any FILE.

    \b
    inspector rollouts --task deepscaler --server http://localhost:8000/v1 --teacher NAME --out r.parquet
    inspector rollouts --task arithmetic-train --teacher smollm2 --limit 100 --out r.jsonl
    inspector rollouts r.jsonl --summary
    inspector rollouts --from theirs.parquet --map verl --out r.parquet
    inspector rollouts r.jsonl --export trl-preference --out pairs.parquet
    """  # noqa: D301 - click's own mark for lines to leave as they are
    if file is not None:
        _one_mode(file, summary=summary, form=form, out=out, other=origin is not None or bool(options["task"]))
        unread = (*_OF_SAMPLING, "teacher", "split", "columns")
        refuse_unread(unread, f"says how rollouts are made, and {plain(file)} has them already: leave it out.")
        if form is None:
            refuse_unread(("reasoning",), _EXPORTED)
        if form is not None and out is not None:
            say(export(read_rollouts(file), form, out, reasoning))
        else:
            _print(file)
        return DONE
    refuse_unread(("reasoning",), _EXPORTED)
    if form is not None:
        raise InspectorError("Which rollouts? Name them: `inspector rollouts FILE --export FORM --out OUT`.")
    if summary or out is None:
        raise InspectorError("Name what to write with --out, or sum up a file: `inspector rollouts FILE --summary`.")
    if origin is not None:
        refuse_unread(_OF_SAMPLING, "says how to sample, and --from maps rollouts that are there: leave it out.")
        _map(origin, columns, out, options)
        code = DONE
    elif columns or not options["task"]:
        raise InspectorError(
            "Name the prompts with --task (such as arithmetic-train), or others' rollouts with --from."
        )
    else:
        if options["server"]:
            refuse_unread(_OF_LOCAL_TEACHERS, "is for a teacher that runs here, and --server runs it: leave it out.")
        else:
            refuse_unread(_OF_SERVERS, "is for a --server: leave it out, or name one.")
        code = sample(Options(out=out, **options))
    _print(out)
    return code


def _one_mode(file: Path, *, summary: bool, form: str | None, out: Path | None, other: bool) -> None:
    if other or (out is not None and form is None):
        raise InspectorError(
            f"{plain(file)} stands alone: a file is for --summary or --export, prompts are named with --task."
        )
    if summary and form is not None:
        raise InspectorError("--summary prints, --export writes: leave out one of them.")
    if form is not None and out is None:
        raise InspectorError("Name what to write with --out: FILE.jsonl or FILE.parquet.")
    if not summary and form is None:
        raise InspectorError(f"What about {plain(file)}? Sum it up with --summary, or --export it.")


def _map(origin: Path, columns: tuple[str, ...], out: Path, options: dict[str, Any]) -> None:
    """Their rows to ours, the file complete or not at all."""
    check_suffix(out)
    if options["task"]:
        raise InspectorError("--from maps rollouts that are there, --task samples new ones: leave out one of them.")
    if out.exists():
        raise InspectorError(f"{plain(out)} exists already: name another file by --out.")
    where = Mapped(origin, columns_of(columns), options["teacher"], options["split"])
    with Grader() as grader:
        made = write_rows(out, mapped(where, grader))
    say(f"{count(made, 'rollout')} of {plain(origin)} written to {plain(out)}.")


def _print(path: Path) -> None:
    for line in lines(summarise(read_rollouts(path))):
        click.echo(line)
