"""Options that several commands share."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from inspector import completion

if TYPE_CHECKING:
    from inspector.adapters.given import Given

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Of every command."""
K = click.option("--k", type=click.IntRange(1, 256), default=10, show_default=True, help="Size of the top-k subspaces.")
DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
_BASE = "The base model: Hub id, folder, or smollm2. For DoRA, full fine-tunes, saved modules"
BASE = click.option(
    "--base",
    default="",
    shell_complete=completion.BASES,
    help=f"{_BASE}; and to run it [default there: what the adapters name].",
)
BASE_WEIGHTS = click.option(
    "--base", default="", shell_complete=completion.BASES, help=f"{_BASE}: its weights are read, it is not run."
)
PICKLE = click.option(
    "--allow-pickle", is_flag=True, help="Open .bin and .pt files too, as plain tensors: nothing in them is run."
)
SVD_RANK = click.option(
    "--svd-rank",
    type=click.IntRange(1, 4096),
    default=64,
    show_default=True,
    help="Rank kept of updates that are no product of factors: full fine-tunes, DoRA.",
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

AGAINST = click.option(
    "--against",
    shell_complete=completion.CLAIMS,
    default="",
    metavar="CLAIMS",
    help="Also open the published adapters of this set (arxiv:2606.23740, demo, a .yaml): whom does yours resemble?",
)


def given(base: str, allow_pickle: bool, svd_rank: int = 64) -> Given:
    """What the readers may need beside the sources."""
    from inspector.adapters.given import Given

    if not base:
        return Given(None, allow_pickle, svd_rank)
    from inspector.probes.base import base_weights

    return Given(base_weights(base), allow_pickle, svd_rank)


def on_terminal() -> bool:
    """Whether the app can be shown: on a terminal that can draw (Textual does on stderr), or in a browser."""
    if "TEXTUAL_DRIVER" in os.environ:
        return True
    return os.environ.get("TERM") != "dumb" and all(s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr))
