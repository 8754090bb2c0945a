"""How every table on stdout looks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.common.numbers import fixed, level
from inspector.study.metrics import DEFINITIONS
from inspector.study.metrics.spectra import RANKS
from inspector.study.module_id import module_ids

ALL = 0.9995
"""Energy from which on more rank is not worth a word."""
UNLIMITED = 100_000
"""The width of what is read in a pipe, or scrolled."""
_PATH = re.compile(r"[\w.]+")
"""Of a module: a pattern of PEFT's has other characters too."""


class Page(Console):
    """Stdout without markup or guessed highlights; a reader that leaves (`| head`) is not an error of ours."""

    def __init__(self, width: int | None = None, **more: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, width=width, **more)

    def on_broken_pipe(self) -> None:
        """What the command line ends silently with, in place of rich's exit code 1."""
        raise BrokenPipeError


def titled(title: str, words: Iterable[str] = (), numbers: Iterable[str] = ()) -> Table:
    """A table with columns of words, then of numbers; a title wider than these stays on one line."""
    heading = Text(title, no_wrap=True, overflow="ignore") if title else None
    table = Table(title=heading, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name in words:
        table.add_column(Text(name))
    for name in numbers:
        table.add_column(Text(name, justify="right"), justify="right")
    return table


def in_digits(metric: str, value: float) -> str:
    """A number of a metric with the digits it deserves.

    One place of ranks and angles, two of what is bounded, two that count of levels by chance, three of sizes.
    """
    definition = DEFINITIONS[metric]
    if definition.unit == "°":
        return fixed(value, 1)
    if definition.scale is None and definition.range is None:
        return fixed(value, 1) if definition.metric in RANKS else significant(value)
    return level(value, "n/a") if metric.endswith("_chance") else fixed(value)


def p_value(value: float) -> str:
    """Three digits behind the point, or one that counts: `0.031`, `2.0e-05`; n/a for NaN."""
    return "n/a" if math.isnan(value) else f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def spread(values: tuple[float, float, float]) -> str:
    """(mean, least, largest) as `0.81 (0.77 to 0.88)`; a dash if nothing is known."""
    mean, low, high = values
    return "–" if math.isnan(mean) else f"{fixed(mean)} ({fixed(low)} to {fixed(high)})"


def share(part: float) -> str:
    """`97.3 %`; never 100 % of what is not all; n/a for NaN."""
    if math.isnan(part):
        return "n/a"
    return f"{100 * part:.1f} %" if part < ALL or part > 1 - 1e-9 else "> 99.9 %"


def significant(value: float) -> str:
    """A size with three significant digits, `1.44`, `0.0985`, `1320`; n/a for NaN."""
    if not math.isfinite(value) or value == 0:
        return "n/a" if math.isnan(value) else f"{value:g}"
    rounded = float(f"{value:.2e}")
    if not 1e-4 <= abs(rounded) < 1e6:
        return f"{value:.2e}"
    return f"{rounded:.{max(2 - math.floor(math.log10(abs(rounded))), 0)}f}"


def short_targets(targets: Sequence[str]) -> str:
    """`k_proj,q_proj`; of full paths `k_proj,q_proj in layers 14-17`, or how many of each: `k_proj (3),q_proj (4)`."""
    layers: dict[str, list[int]] = {}
    names = []
    for target, id_ in module_ids(dict.fromkeys(targets, 1)).items():
        if id_.layer is None or not _PATH.fullmatch(target):
            names.append(target)
        else:
            layers.setdefault(id_.projection, []).append(id_.layer)
    if len({tuple(sorted(found)) for found in layers.values()}) != 1:
        return ",".join([*names, *(f"{name} ({len(at)})" for name, at in sorted(layers.items()))])
    at = sorted(next(iter(layers.values())))
    together = len(at) > 1 and at == list(range(at[0], at[-1] + 1))
    where = f"layers {at[0]}-{at[-1]}" if together else f"layer {at[0]}" if len(at) == 1 else f"{len(at)} layers"
    return " and ".join(filter(None, (",".join(names), f"{','.join(sorted(layers))} in {where}")))
