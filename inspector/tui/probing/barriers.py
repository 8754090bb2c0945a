"""Barriers on the way between two adapters as the study has them, of the loss that is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inspector.common.arrays import Floats
from inspector.study.metrics.probes import LOSSES
from inspector.tui.numbers import Pair
from inspector.tui.probing.views import chosen_pairs, nats, value
from inspector.tui.state import AppState

_NONE = 1e-9
"""What rounding leaves of no barrier."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """One barrier of one pair, or the difference of its ends: height, bootstrap interval, the α of the maximum."""

    height: float
    low: float
    high: float
    at: float = math.nan

    @property
    def interval(self) -> str:
        """`[0.101, 0.144] α=0.4`; no α where there is no barrier, empty where it was not measured."""
        if math.isnan(self.low):
            return ""
        at = f" α={self.at:g}" if self.height > _NONE and not math.isnan(self.at) else ""
        return f"[{nats(self.low)}, {nats(self.high)}]{at}"


def losses_measured(state: AppState) -> tuple[str, ...]:
    """The suffixes of the losses that have numbers."""
    return tuple(suffix for suffix in LOSSES if state.study.block(f"lmc_loss{suffix}", "global") is not None)


def shown_loss(state: AppState) -> str:
    """The chosen loss, or the one that was measured."""
    known = losses_measured(state)
    return state.loss if state.loss in known or not known else known[0]


def barrier(state: AppState, kind: str, pair: Pair) -> Barrier:
    suffix = shown_loss(state)
    parts = (value(state, f"barrier_{kind}{part}{suffix}", *pair) for part in ("", "_low", "_high", "_at"))
    return Barrier(*parts)


def ends(state: AppState, pair: Pair) -> Barrier:
    """L(1) − L(0) with its sign: what alone makes up the height above the mean on a path that does not rise."""
    suffix = shown_loss(state)
    return Barrier(*(value(state, f"lmc_ends{part}{suffix}", *pair) for part in ("", "_low", "_high")))


def items(state: AppState) -> list[Pair]:
    """The chosen pairs, and the cursor's."""
    mine = None if state.pair is None else (min(state.pair), max(state.pair))
    toggled = chosen_pairs(state, f"lmc_loss{shown_loss(state)}")
    return toggled if mine is None or mine in toggled else [*toggled, mine]


def joined(losses: Floats) -> Floats:
    """Measured points joined by straight lines: several runs may have had several grids."""
    known = np.flatnonzero(np.isfinite(losses))
    if len(known) < 2:
        return losses
    filled = np.interp(np.arange(len(losses)), known, losses[known])
    filled[: known[0]] = filled[known[-1] + 1 :] = np.nan
    return filled
