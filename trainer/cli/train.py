"""`inspector train`. What is heavy is imported when it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from inspector.cli.completion import BASES, TASKS, Words, offered
from trainer.methods import METHODS, method
from trainer.runs.cards import CARDS


def _print_settings(context: click.Context, _: click.Parameter, name: str | None) -> None:
    if name is None:
        return
    from trainer.methods.page import section
    from trainer.recipes.settings import described

    shown = click.HelpFormatter(width=100)
    shown.write("\n".join(_wrapped(line) for line in section(method(name)).splitlines()) + "\n")
    for title, rows in described(method(name)).items():
        if rows:
            with shown.section(title):
                shown.write_dl(rows, col_max=40)
    click.echo(shown.getvalue().rstrip())
    context.exit()


def _wrapped(line: str) -> str:
    """A paragraph in lines; formulas stand as they are."""
    return line if line.startswith("    ") else click.wrap_text(line, 100)


def _recipes() -> Words:
    from trainer.recipes.file import recipes

    return recipes()


def _trackers() -> Words:
    return ("tensorboard", "wandb", "trackio")


_SHORT = ("base", "reasoning", "eval_task", "eval_limit", "keep_best")
"""Options that are settings."""

_HELP = f"""Train an adapter from rollouts.

METHOD is {", ".join(METHODS)}, or all.

All methods start from the same A and read the same token ids. The same command again goes on after an interruption.
Ctrl-C stops after the step, with a checkpoint.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]})
@click.argument("method", shell_complete=offered(lambda: (*METHODS, "all")))
@click.option("--rollouts", type=click.Path(path_type=Path), required=True, help="The shared rows: .jsonl or .parquet.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the set; the adapter: OUT/METHOD."
)
@click.option(
    "--recipe",
    default="study-qwen3-4b",
    show_default=True,
    shell_complete=offered(_recipes, beside="file"),
    help="Name or .yaml file.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a setting, or METHOD.KEY=VALUE.")
@click.option(
    "--objective",
    default="",
    metavar="FILE.py:CLASS",
    help="An objective of your own, trained by its name: see the guide to training.",
)
@click.option(
    "--settings", "method_shown", metavar="METHOD", is_eager=True, expose_value=False, callback=_print_settings,
    shell_complete=offered(lambda: METHODS), help="Print what METHOD minimises and its settings, and exit.",
)  # fmt: skip
@click.option(
    "--base",
    shell_complete=BASES,
    help="The base model: Hub id, folder, or smollm2. Default: the recipe's.",
)
@click.option(
    "--reasoning", type=click.Choice(["wrap", "keep", "drop"]),
    help="A reasoning teacher's reasoning is learned in <think> tags before its answer (the default), as text there, "
    "or not.",
)  # fmt: skip
@click.option(
    "--eval-task", metavar="TASK", shell_complete=TASKS,
    help="Answer these problems at every checkpoint, greedily. Rows of another split than train are scored anyway.",
)  # fmt: skip
@click.option("--eval-limit", type=click.IntRange(0), metavar="N", help="The first N of them; 0: all.  [default: 100]")
@click.option(
    "--keep-best", type=click.Choice(["nll_right", "accuracy"]),
    help="The adapter is the checkpoint with the best of these, not the last one.",
)  # fmt: skip
@click.option("--name", default="", help="Another name than METHOD for the adapter's folder.")
@click.option(
    "--tracker",
    "trackers",
    multiple=True,
    shell_complete=offered(_trackers),
    help="tensorboard, wandb or trackio. Default: none.",
)
@click.option(
    "--vllm",
    default="",
    metavar="URL",
    help="Sample the online methods from this vLLM server, which gets the adapter anew before each batch. It must see "
    "--out under the same path (same machine, or a shared file system), and be started as: "
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve BASE --enable-lora --max-lora-rank RANK.",
)
@click.option(
    "--gpus", default="", metavar="LIST",
    help="Train on these GPUs at once, one run on each, the others in a queue: 0-7, or 0,2. A run that fails does not "
    "stop the others.",
)  # fmt: skip
@click.option(
    "--push",
    default="",
    metavar="ORG/REPO",
    help="Upload each finished adapter to this repo of the Hub, into the sub-folder of its name: `inspector ORG/REPO` "
    "opens them all. Token: HF_TOKEN or `hf auth login`; asked for before training.",
)
@click.option("--private", is_flag=True, help="With --push: make the repo private, where it is not there yet.")
@click.option("--dry-run", is_flag=True, help="Print rows, steps, tokens, memory and time; load no weights.")
@click.option(
    "--gpu", default="", type=click.Choice(["", *CARDS]), metavar="NAME", shell_complete=offered(lambda: CARDS),
    help=f"With --dry-run: time and memory on such a card ({', '.join(CARDS)}), by its data sheet. Default: this "
    "machine, measured.",
)  # fmt: skip
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def train(settings: tuple[str, ...], **options: Any) -> int:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from trainer.runs.tasks import Options
    from trainer.train import train as run

    short = [f"{name}={value}" for name in _SHORT if (value := options.pop(name)) not in {None, ""}]
    return run(Options(settings=(*settings, *short), **options))
