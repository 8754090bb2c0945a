"""What the app shows, as plain data: study, order, cursor, slider, pairs. No widgets, no torch.

Adapters are known by their index in `study` (their id), so that removing, reordering and undo are
changes of `order` alone; row and col of the cursor are positions in that order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, islice

import numpy as np

from inspector.insights.first_pairs import first_pairs
from inspector.insights.pairwise import within_bases
from inspector.insights.short_names import in_short
from inspector.insights.verdict import Verdict, verdict
from inspector.merging.preview import Preview
from inspector.study.study import Study
from inspector.tui.numbers import Numbers, Pair
from inspector.tui.probing.choices import ProbeChoices
from inspector.tui.views.claims.state import Judged
from inspector.tui.views.merge.state import Mixture
from inspector.tui.views.trajectory.state import Watched

DEFAULT_PAIRS = 7


@dataclass
class AppState(Numbers):
    """Every choice the user has made, and the numbers they apply to."""

    view: str = "overview"
    pairwise: str = ""
    """The metric of that view which was asked for pair by pair."""
    metric: str = "cosine"
    layers_metric: str = "cosine"
    rank_metric: str = "effective_rank"
    cka_metric: str = "cka_debiased"
    loss: str = ""
    """Suffix of the loss whose basins are shown."""
    zoom: bool = False
    """Whether basins and CKA are drawn close around their curves, the reference perhaps out of sight."""
    probe: ProbeChoices = field(default_factory=ProbeChoices)
    k: int = 10
    row: int = 0
    col: int = 1
    chosen: frozenset[Pair] | None = None
    sorted: bool = False
    pending: bool = False
    opening: str = ""
    """What is being opened, in words, while it is."""
    probing: str = ""
    """What the base model is run for, empty while it is not."""
    recent: tuple[str, ...] = ()
    """Sources that were opened, the newest first."""
    tops: dict[str, int] = field(default_factory=dict)
    watched: Watched = field(default_factory=Watched)
    judged: Judged | None = None
    mixture: Mixture = field(default_factory=Mixture)
    _ordered: tuple[Study, tuple[int, ...], Study] | None = None
    _verdicts: tuple[Study, Study, dict[Pair, Verdict]] | None = None

    @classmethod
    def of(cls, study: Study, k: int = 10) -> AppState:
        study = within_bases(study)
        return cls(study=study, shown=study, arrangement=tuple(range(len(study.adapters))), k=k)

    # Who is shown

    @property
    def preview(self) -> Preview | None:
        """The sum shown: of the pair under the cursor, else of all in the list, whatever is searched for."""
        if self.view == "merge" and self.pair is not None:
            return self.mixture.of_two(self.study, *(self.order[at] for at in self.pair))
        return self.mixture.preview(self.study, self.arrangement)

    @property
    def ordered(self) -> Study:
        """The study of the adapters shown, in their order; put together once."""
        if self.order == tuple(range(len(self.study.adapters))):
            return self.study
        kept = self._ordered
        if kept is None or kept[0] is not self.study or kept[1] != self.order:
            kept = self._ordered = (self.study, self.order, self.study.subset(self.order))
        return kept[2]

    def verdict(self, a: int, b: int) -> Verdict:
        """On the adapters of two ids, by their short names, worked out once for these numbers."""
        if self._verdicts is None or self._verdicts[0] is not self.study:
            self._verdicts = (self.study, in_short(self.study)[0], {})
        _, short, known = self._verdicts
        if (a, b) not in known:
            known[a, b] = verdict(short, a, b)
        return known[a, b]

    @property
    def pairs(self) -> list[Pair]:
        """Pairs of positions, first before second: all of them, or those of the reference."""
        if (at := self.reference_at) is not None:
            return [(min(at, i), max(at, i)) for i in range(self.size) if i != at]
        return self.every_pair

    @property
    def every_pair(self) -> list[Pair]:
        """All pairs of positions, whatever the reference."""
        return list(combinations(range(self.size), 2))

    @property
    def pair(self) -> Pair | None:
        """The pair under the cursor, as positions in its own direction; on the diagonal with the nearest adapter."""
        if self.size < 2:
            return None
        return (self.row, self.col) if self.row != self.col else (self.row, self._nearest(self.row))

    def _nearest(self, at: int) -> int:
        """The position with the highest cosine to that of another; its neighbour where none is known."""
        block, here = self.study.block("cosine", "global"), self.order[at]
        known = {i: float(block[here, j, 0]) for i, j in enumerate(self.order)} if block is not None else {}
        known = {i: value for i, value in known.items() if i != at and np.isfinite(value)}
        return max(known, key=known.__getitem__) if known else at + 1 if at + 1 < self.size else at - 1

    @property
    def pair_at(self) -> int | None:
        """Where in the list of pairs the cursor's is; None where that is not of the reference."""
        here = None if self.pair is None else (min(self.pair), max(self.pair))
        return self.pairs.index(here) if here in self.pairs else None

    def id_pair(self, pair: Pair) -> Pair:
        """Positions to ids, the smaller first."""
        a, b = self.order[pair[0]], self.order[pair[1]]
        return (a, b) if a < b else (b, a)

    def comparable(self, pair: Pair) -> bool:
        """Whether the two have a cosine; yes as long as none is measured."""
        block = self.study.block("cosine", "global")
        return block is None or bool(np.isfinite(block[self.id_pair(pair)][0]))

    @property
    def plotted(self) -> list[Pair]:
        """The toggled pairs as positions; without a choice those that reports begin with, or the reference's.

        Where a probe ran over other pairs alone, its view begins with those.
        """
        if self.chosen is None:
            block = self.study.block(self.pairwise, "global")
            few = min(DEFAULT_PAIRS, max(self.size - 1, 0))
            first = first_pairs(self.ordered, few) if self.reference_at is None else []
            first = first or list(islice(filter(self.comparable, self.pairs), few)) or self.pairs[:few]

            def measured(pair: Pair) -> bool:
                return block is not None and bool(np.isfinite(block[self.id_pair(pair)]).any())

            known = list(filter(measured, dict.fromkeys((*first, *self.pairs))))
            if set(known) <= set(first):  # a run over these may still go on, or was cancelled
                return first
            return sorted(known[:few])
        where = {adapter: at for at, adapter in enumerate(self.order)}
        known = [(where[a], where[b]) for a, b in self.chosen if a in where and b in where]
        return sorted((min(pair), max(pair)) for pair in known)

    # Changes

    def search(self, listed: str, wanted: str) -> None:
        """Show those of a list that have a text in them, all for an empty one; the cursor stays on who is shown."""
        here = [self.order[at] for at in (self.row, self.col) if at < self.size]
        self.finds[listed] = wanted
        places = [self.order.index(i) if i in self.order else 0 for i in here]
        self.row, self.col = (*places, 0, 1)[:2] if len(places) == 2 else (self.row, self.col)
        self.bound()

    def refer(self) -> str:
        """Make the adapter under the cursor the reference, or none where it is that already; its name."""
        if not self.size:
            return ""
        here = self.order[self.row]
        self.reference = None if here == self.reference else here
        return self.name(self.row) if self.reference is not None else ""

    def face_reference(self) -> None:
        """The cursor's column to the reference, where there is one and the row is another adapter."""
        if self.reference_at not in {None, self.row}:
            self.col = self.reference_at or 0

    def replace_study(self, study: Study) -> None:
        """Other numbers, possibly of other adapters: keep every choice that still has a meaning."""
        before, layers = self.study.names, self.layers
        ids = {name: at for at, name in enumerate(study.names)}
        kept = [ids[before[i]] for i in self.arrangement if before[i] in ids]
        fresh = [at for name, at in ids.items() if name not in before]
        if self.chosen is not None:
            pairs = [(before[a], before[b]) for a, b in self.chosen]
            mapped = ((ids[a], ids[b]) for a, b in pairs if a in ids and b in ids)
            self.chosen = frozenset((min(p), max(p)) for p in mapped)
        self.mixture.renumber({at: ids[name] for at, name in enumerate(before) if name in ids})
        if self.reference is not None:
            self.reference = ids.get(before[self.reference])
        self.study = self.shown = within_bases(study)
        self.arrangement = tuple(kept + fresh)
        if self.layer < len(layers) and layers[self.layer] in self.layers:  # a base has more layers than its adapters
            self.layer = self.layers.index(layers[self.layer])
        self.bound()

    def bound(self) -> None:
        """Bring every index back into range."""
        last = max(self.size - 1, 0)
        self.row, self.col = min(max(self.row, 0), last), min(max(self.col, 0), last)
        self.layer = min(max(self.layer, 0), max(len(self.layers) - 1, 0))
        if self.filter and self.filter not in self.study.projections:
            self.filter = ""

    def set_layer(self, layer: int) -> None:
        """Move the slider; what is shown becomes that layer."""
        if self.layers:
            self.layer = min(max(layer, 0), len(self.layers) - 1)
            self.one_layer = True

    def step_pair(self, step: int) -> None:
        """The cursor to the next or previous pair of the list."""
        pairs = self.pairs
        if self.pair is None or not pairs:
            return
        here = self.pair_at
        pair = pairs[min(max(0 if here is None else here + step, 0), len(pairs) - 1)]
        self.row, self.col = pair if pair[0] != self.reference_at else pair[::-1]

    def step_column(self, step: int) -> None:
        """The cursor to the next or previous column."""
        self.col = min(max(self.col + step, 0), max(self.size - 1, 0))

    def toggle(self) -> bool:
        """Add or drop the cursor's pair for the plots; whether it is in now."""
        if self.pair is None:
            return False
        chosen = frozenset(self.id_pair(pair) for pair in self.plotted)
        self.chosen = chosen ^ {self.id_pair(self.pair)}
        return self.id_pair(self.pair) in self.chosen
