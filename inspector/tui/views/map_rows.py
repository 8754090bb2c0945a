"""The rows of the map: who is beside whom, and which groups are folded into their first row."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass

from inspector.insights.order import blocks
from inspector.study.study import Study
from inspector.tui.state import AppState

Blocks = tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class Grouped:
    """The positions by group, those alone last; kept until the study or the list changes."""

    source: Study | None = None
    order: tuple[int, ...] = ()
    groups: Blocks = ()
    alone: tuple[int, ...] = ()

    def of(self, state: AppState) -> Blocks:
        """Positions in the blocks of the overview, by the cosine over all layers and modules."""
        if self.source is not state.study or self.order != state.order:
            groups, alone = blocks(state.study, state.order)
            at = {i: position for position, i in enumerate(state.order)}
            self.groups = tuple(tuple(at[i] for i in group) for group in groups)
            self.alone = tuple(at[i] for i in alone)
            self.source, self.order = state.study, state.order
        return (*self.groups, *((self.alone,) if self.alone else ()))

    def folded(self, state: AppState, unfolded: Collection[int]) -> tuple[Blocks, dict[int, int]]:
        """The blocks with a row for each group but those that hold one of `unfolded`; row -> how many it stands for."""
        stands = {group[0]: len(group) for group in self.groups if not {*group} & {*unfolded}}
        return tuple(block[:1] if block[0] in stands else block for block in self.of(state)), stands


def gaps(shown: Blocks) -> frozenset[int]:
    """The rows that begin a block, but where a row stands beside a row."""
    starts, row = set(), 0
    for above, below in itertools.pairwise(shown):
        row += len(above)
        if len(above) > 1 or len(below) > 1:
            starts.add(row)
    return frozenset(starts)
