"""What `u` brings back: who is listed, under which names, in which order, and with which weights in the sum."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.study.adapter_info import AdapterInfo
from inspector.tui.state import AppState


@dataclass(frozen=True, slots=True)
class Before:
    """The list as it was before one change; adapters are known by their ids, which no change here touches."""

    what: str
    """The change, as the status line names it: `the removal of sft`."""
    adapters: tuple[AdapterInfo, ...]
    order: tuple[int, ...]
    sorted: bool
    weights: dict[int, float]
    left_out: dict[int, float]

    @classmethod
    def of(cls, state: AppState, what: str) -> Before:
        mixture = state.mixture
        adapters = state.study.adapters
        return cls(what, adapters, state.arrangement, state.sorted, dict(mixture.weights), dict(mixture.before))

    def restore(self, state: AppState) -> None:
        """Order and weights; names are the caller's, who also holds the adapters themselves."""
        state.arrangement, state.sorted = self.order, self.sorted
        state.mixture.weights, state.mixture.before = dict(self.weights), dict(self.left_out)
        state.bound()
