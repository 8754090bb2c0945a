"""One finding in a plain sentence, with the numbers it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from inspector.common.numbers import fixed
from inspector.study.study import Scope, Study

Kind = Literal["direction", "size", "chance", "loss", "states", "accuracy", "merging", "runs", "limit"]


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a sentence names or compares with: of adapter a, or of the pair (a, b), at a layer or of the whole.

    Of several adapters or pairs together, such as a median, `a` says in words of which.
    """

    metric: str
    value: float
    a: str
    b: str = ""
    layer: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` says what `numbers` show: they are all that it compares, medians and chance levels too.

    The first number's metric names the view behind it, its `a` and `b` adapters there.
    `caution` marks what limits the reading of other numbers rather than adding one.
    """

    kind: Kind
    text: str
    numbers: tuple[Number, ...] = field(default=())
    caution: bool = False


def listed(names: Iterable[str], most: int = 6) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 9 more`."""
    names = list(names)
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def span(values: Sequence[float], digits: int = 2) -> str:
    """`0.94`, or `0.94 to 0.98` where they differ at these digits."""
    low, high = (fixed(end, digits) for end in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def pair_values(study: Study, metric: str, scope: Scope = "global", place: int = 0) -> np.ndarray:
    """(N, N) of a pair metric at one place; NaN everywhere where it was not measured."""
    block = study.block(metric, scope)
    n = len(study.adapters)
    return np.full((n, n), np.nan) if block is None else block[:, :, place]


def own_values(study: Study, metric: str) -> np.ndarray:
    """(N,) of an adapter's metric over all modules; NaN where it was not measured."""
    block = study.block(metric, "global")
    return np.full(len(study.adapters), np.nan) if block is None else block[:, 0]


def of_pair(study: Study, metric: str, i: int, j: int, layer: int | None = None) -> Number:
    """The number of a pair as the study has it."""
    if layer is None:
        value = pair_values(study, metric)[i, j]
    else:
        value = pair_values(study, metric, "layer", study.layers.index(layer))[i, j]
    return Number(metric, float(value), study.names[i], study.names[j], layer)


def of_adapter(study: Study, metric: str, i: int) -> Number:
    """The number of an adapter as the study has it."""
    return Number(metric, float(own_values(study, metric)[i]), study.names[i])
