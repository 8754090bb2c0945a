"""Which way round the factors of a file are stored: A (r, d_in) and B (d_out, r), or transposed as MLX trainers do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.adapters.files.weights import Weights
from inspector.common.text import count
from inspector.study.adapter_info import HealthIssue

if TYPE_CHECKING:
    from torch import Tensor

TURNED = HealthIssue("info", "A and B are stored in×r and r×out: turned")
"""Said of an adapter whose factors were."""
Pairs = Sequence[tuple[str, str]]
"""The keys of A and B of each module."""


def upright(weights: Weights, pairs: Pairs, rank: float | None = None) -> tuple[Weights, str]:
    """The weights with every A (r, d_in) and B (d_out, r), and why they may not be used, or nothing.

    All modules are turned, or none. B·A of a square module multiplies either way: the others tell, or the `rank`.
    """
    shapes = [(weights.headers[a].shape, weights.headers[b].shape) for a, b in pairs]
    shapes = [(a, b) for a, b in shapes if len(a) == len(b) == 2 and 0 not in (*a, *b)]
    ways = [(a[0] == b[1], a[1] == b[0]) for a, b in shapes]
    as_is, turned, either = ways.count((True, False)), ways.count((False, True)), ways.count((True, True))
    if either and as_is and turned:
        n = f"{as_is} of {count(as_is + turned, 'module')}"
        return weights, f"A is r×in and B out×r in {n}, turned round in the others, and unknown in square ones"
    if either and not as_is and not turned:
        ranks = [a for (a, _), way in zip(shapes, ways, strict=True) if all(way)]
        above = any(r > d for r, d in ranks)
        if above and {r for _, r in ranks} == {rank}:
            turned = either
        elif above and rank is None:
            why = "A and B multiply either way round, and as r×in and out×r their ranks are above the width"
            return weights, f"{why}: no config says the rank"
    return (_turned(weights, pairs), "") if turned > as_is else (weights, "")


def _turned(weights: Weights, pairs: Pairs) -> Weights:
    keys = {key for pair in pairs for key in pair}

    def tensor(key: str) -> Tensor:
        found = weights.tensor(key)
        return found.T.contiguous() if key in keys and found.ndim == 2 else found

    headers = {
        key: header._replace(shape=header.shape[::-1]) if key in keys and len(header.shape) == 2 else header
        for key, header in weights.headers.items()
    }
    return replace(weights, headers=headers, tensor=tensor)
