"""Options that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Any

import click
from click.core import ParameterSource

from inspector.cli import completion
from inspector.common.errors import InspectorError
from inspector.common.text import plain

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Of every command."""
K = click.option("--k", type=click.IntRange(1, 256), default=10, show_default=True, help="Size of the top-k subspaces.")
DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
MOST = click.option(
    "--most", type=click.IntRange(1), default=200, show_default=True,
    help="Of hub:BASE: only so many adapters, the most downloaded.",
)  # fmt: skip
MOUSE = click.option(
    "--mouse", is_flag=True, help="Clicks and the wheel work in the app; text is then selected with shift."
)
DEVICE = click.option(
    "--device", shell_complete=completion.DEVICES, default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …"
)
DTYPE = click.option(
    "--dtype",
    shell_complete=completion.DTYPES,
    default="auto",
    show_default=True,
    help="Of the base: auto, float32, bfloat16, float16.",
)
TASK = click.option(
    "--task",
    default="arithmetic",
    show_default=True,
    shell_complete=completion.TASKS,
    help="Problems whose answers are read: bundled, of the Hub, or a .jsonl.",
)

AGAINST = click.option(
    "--against",
    shell_complete=completion.CLAIMS,
    default="",
    metavar="CLAIMS",
    help="Also open the published adapters of this set (arxiv:2606.23740, demo, a .yaml): whom does yours resemble?",
)


_RUN = {
    "": "its weights are read, it is not run.",
    "always": "and to run it [default there: what the adapters name].",
    "for claims": "and to run it, where claims ask for that.",
    "for losses": "and to run it, for losses.",
}
READING = ("base", "allow_pickle", "svd_rank", "alpha", "same_base")
"""The options of `reading` that every command has."""
OPENING = (*READING, "checkpoints")
"""All of them."""


def reading(run: str = "", *, checkpoints: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of every command that opens adapters; the command receives them as `read_options`.

    `run`: when the base is also run, a key of `_RUN`. `checkpoints`: whether it may open what lies beside an adapter.
    """
    options = [
        click.option(
            "--base", default="", shell_complete=completion.BASES,
            help=f"The base model: Hub id, folder, or smollm2. For DoRA, full fine-tunes, saved modules; {_RUN[run]}",
        ),
        click.option(
            "--allow-pickle", is_flag=True,
            help="Open .bin and .pt files too, as plain tensors: nothing in them is run.",
        ),
        click.option(
            "--svd-rank", type=click.IntRange(1, 4096), default=64, show_default=True,
            help="Rank kept of updates that are not a product of factors: full fine-tunes, DoRA.",
        ),
        click.option(
            "--alpha", type=click.FloatRange(0, 1e6, min_open=True),
            help="Of adapters whose files do not say how they are scaled: ΔW = α/r·B·A.",
        ),
        click.option(
            "--same-base", multiple=True, metavar="NAME=OTHER",
            help="Two names of one base, such as org/X-bnb-4bit=org/X: adapters of both are compared. May be repeated.",
        ),
    ]  # fmt: skip
    if checkpoints:
        text = "Of a folder that is an adapter, open those below it too: the checkpoints of a run."
        options.append(click.option("--checkpoints", is_flag=True, help=text))

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_options(
            *args: Any,
            base: str,
            allow_pickle: bool,
            svd_rank: int,
            alpha: float | None,
            same_base: Sequence[str],
            checkpoints: bool = False,
            **more: Any,
        ) -> Any:
            from inspector.adapters.options import ReadOptions, same_bases

            weights = None
            if base:
                from inspector.adapters.sources import parse
                from inspector.base_model.base import base_weights
                from inspector.base_model.smollm2 import NAME

                if base != NAME and not more.get("server"):  # a server may know the base by any name
                    parse(base)
                weights = base_weights(base)
            same = same_bases(same_base)
            read_options = ReadOptions(weights, allow_pickle, svd_rank, checkpoints, alpha, same)
            return command(*args, read_options=read_options, **more)

        called: Callable[..., Any] = with_options
        for option in reversed(options):
            called = option(called)
        return called

    return decorated


def refuse_unread(names: Collection[str], why: str) -> None:
    """Raise InspectorError if the user gave the running command one of these options, whatever its value."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") not in {None, ParameterSource.DEFAULT}
        if parameter.name in names and given:
            raise InspectorError(f"{parameter.opts[0]} {why}")


def refuse_for_study(sources: Sequence[str]) -> None:
    """Raise InspectorError if the source is a saved study and an option asks for another measurement."""
    from inspector.study.export import is_study

    if is_study(sources):
        asked = "says how adapters are read and measured, and {} is a saved study: name its adapters for that."
        refuse_unread(("k", "modules", "sides", "device", *OPENING), asked.format(plain(sources[0])))


def on_terminal() -> bool:
    """Whether the app can be shown: on a terminal that can draw (Textual does on stderr), or in a browser."""
    if "TEXTUAL_DRIVER" in os.environ:
        return True
    return os.environ.get("TERM") != "dumb" and all(s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr))
