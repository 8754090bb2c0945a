"""The numbers a view asks for, by position in the order shown, at the slider's place. No widgets, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector.common.arrays import Floats
from inspector.insights.pairwise import Interference, pair_chance, pair_interference
from inspector.study.adapter_info import AdapterInfo
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import Scope, Study
from inspector.tui.text import clean

Pair = tuple[int, int]


@dataclass
class Numbers:
    """Two studies (all of it, and the filtered part that is shown), an order, and a place."""

    study: Study
    shown: Study
    arrangement: tuple[int, ...] = ()
    """Ids in the order of the list, whatever is searched for."""
    finds: dict[str, str] = field(default_factory=dict)
    """What is searched for, by what is listed: adapters, modules, claims."""
    reference: int | None = None
    """The id of the adapter that the others are shown against."""
    layer: int = 0
    one_layer: bool = False
    filter: str = ""
    _found: tuple[tuple[object, ...], tuple[int, ...]] | None = field(default=None, repr=False)
    _chances: tuple[Study, dict[tuple[object, ...], Floats]] | None = field(default=None, repr=False)

    # Who is shown

    @property
    def order(self) -> tuple[int, ...]:
        """Ids of the adapters shown: those whose name has what is searched for, and the reference."""
        wanted = self.finds.get("adapters", "").casefold()
        if not wanted:
            return self.arrangement
        known = (self.study.adapters, self.arrangement, wanted, self.reference)
        if self._found is None or self._found[0] != known:
            names = [info.name.casefold() for info in self.study.adapters]
            found = tuple(i for i in self.arrangement if wanted in names[i] or i == self.reference)
            self._found = (known, found)
        return self._found[1]

    @order.setter
    def order(self, order: tuple[int, ...]) -> None:
        """The adapters shown in another order, or without some of them; those not shown keep their places."""
        before, places = self.order, iter(order)
        kept = [i for i in self.arrangement if i in order or i not in before]
        self.arrangement = tuple(next(places) if i in order else i for i in kept) + tuple(places)

    @property
    def reference_at(self) -> int | None:
        """The position of the reference, None without one."""
        return self.order.index(self.reference) if self.reference in self.order else None

    @property
    def size(self) -> int:
        return len(self.order)

    @property
    def infos(self) -> tuple[AdapterInfo, ...]:
        return tuple(self.study.adapters[i] for i in self.order)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(clean(info.name) for info in self.infos)

    def name(self, position: int) -> str:
        return clean(self.study.adapters[self.order[position]].name)

    # Where they are looked at

    @property
    def layers(self) -> tuple[int, ...]:
        return self.study.layers

    @property
    def scope(self) -> Scope:
        return "layer" if self.one_layer and self.layers else "global"

    @property
    def place(self) -> int:
        return self.layer if self.scope == "layer" else 0

    @property
    def where(self) -> str:
        """`layer 14`, or `all layers`."""
        return f"layer {self.layers[self.layer]}" if self.scope == "layer" else "all layers"

    def counted(self, scope: Scope | None = None) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(modules,): which modules the numbers of this scope and filter run over."""
        scope = self.scope if scope is None else scope
        layer = self.layers[self.layer] if scope == "layer" else None
        return np.array(
            [
                (not self.filter or m.projection == self.filter) and (layer is None or m.layer == layer)
                for m in self.study.modules
            ],
            dtype=bool,
        )

    def one_sided(self, pair: Pair) -> int:
        """How many counted modules only one of the two adapts."""
        a, b = self.order[pair[0]], self.order[pair[1]]
        present = self.study.present
        return int(((present[a] != present[b]) & self.counted()).sum())

    # Numbers

    def has(self, metric: str) -> bool:
        return self.shown.block(metric, "global") is not None

    def available(self, metrics: tuple[str, ...]) -> tuple[str, ...]:
        """Those that were measured; all of them while nothing is known yet."""
        return tuple(m for m in metrics if self.has(m)) or metrics

    def block(self, metric: str, scope: Scope | None = None) -> Floats | None:
        """The block with its leading axes in display order."""
        values = self.shown.block(metric, self.scope if scope is None else scope)
        if values is None or DEFINITIONS[metric].subject == "none":
            return values
        order = list(self.order)
        return values[order] if DEFINITIONS[metric].subject == "adapter" else values[np.ix_(order, order)]

    def matrix(self, metric: str, k: int = 1) -> Floats:
        """(N, N) at the current place; NaN where nothing is known."""
        values = self.shown.block(metric, self.scope)
        if values is None:
            return np.full((self.size, self.size), np.nan)
        flat = values[:, :, self.place]
        if flat.ndim == 3:
            flat = flat[:, :, min(k, flat.shape[2]) - 1]
        return np.asarray(flat[np.ix_(self.order, self.order)])

    def number(self, metric: str, pair: Pair, scope: Scope | None = None) -> float:
        """One pair's number at the current place (or over all layers)."""
        scope = self.scope if scope is None else scope
        values = self.shown.block(metric, scope)
        if values is None:
            return float("nan")
        at = values[self.order[pair[0]], self.order[pair[1]], self.layer if scope == "layer" else 0]
        return float(at if np.ndim(at) == 0 else at[0])

    def own(self, metric: str, position: int, scope: Scope | None = None) -> float:
        """One adapter's number at the current place."""
        scope = self.scope if scope is None else scope
        values = self.shown.block(metric, scope)
        if values is None:
            return float("nan")
        return float(values[self.order[position], self.layer if scope == "layer" else 0])

    def series(self, metric: str, one: int, other: int | None = None) -> Floats:
        """(layers,) of one adapter or one pair; the smallest of several angles."""
        values = self.shown.block(metric, "layer")
        if values is None:
            return np.full(len(self.layers), np.nan)
        line = values[self.order[one]] if other is None else values[self.order[one], self.order[other]]
        return np.asarray(line[:, 0] if line.ndim == 2 else line)

    def indexed(self, metric: str, pair: Pair, scope: Scope | None = None) -> Floats:
        """(k,) principal angles of a pair at the current place."""
        scope = self.scope if scope is None else scope
        values = self.shown.block(metric, scope)
        if values is None:
            return np.full(1, np.nan)
        place = self.layer if scope == "layer" else 0
        return np.asarray(values[self.order[pair[0]], self.order[pair[1]], place])

    def pair_chance(self, metric: str, pair: Pair, scope: Scope | None = None) -> Floats:
        """(k or 1,) what random subspaces would give over the modules both adapt; NaN where undefined."""
        if self._chances is None or self._chances[0] is not self.study:
            self._chances = (self.study, {})
        ids, known = (self.order[pair[0]], self.order[pair[1]]), self._chances[1]
        layer = self.layer if (scope or self.scope) == "layer" else None
        if (what := (metric, ids, layer, self.filter)) not in known:
            known[what] = pair_chance(self.study, metric, *ids, self.counted(scope))
        return known[what]

    def interference(self, pair: Pair) -> Interference:
        """What adding the pair would do at the current place, over the modules both adapt."""
        return pair_interference(self.study, self.order[pair[0]], self.order[pair[1]], self.counted())

    def chance_series(self, metric: str, pair: Pair | None) -> Floats:
        """(layers,) the same of a pair along the layers, of the smallest angle; without a pair that of any adapter."""
        series = np.full(len(self.layers), np.nan)
        level = self.study.block(f"{metric}_chance", "layer")
        if level is not None and DEFINITIONS[metric].subject == "adapter":
            return np.asarray(level)
        if pair is None or level is None:
            return series
        counted, a, b = self.counted("global"), self.order[pair[0]], self.order[pair[1]]
        of = np.array([-1 if m.layer is None else m.layer for m in self.study.modules])
        for at, layer in enumerate(self.layers):
            series[at] = pair_chance(self.study, metric, a, b, counted & (of == layer))[0]
        return series

    # How much is measured

    @property
    def measured(self) -> bool:
        """Whether no module is missing: a digest comes with the last one; a study of few metrics may have no norms."""
        if all(adapter.digest for adapter in self.study.adapters):
            return True
        return bool(self.study.blocks) and (self.study.block("norm", "module") is None or bool(self._known.all()))

    @property
    def _known(self) -> np.ndarray:
        """(N, M): measured, not to be measured, or not there."""
        sizes = self.study.sizes
        known = np.isfinite(sizes) if sizes is not None else np.zeros_like(self.study.present)
        return np.asarray(known | ~self.study.present | self.study.excluded)

    @property
    def known_so_far(self) -> int:
        """How many of all modules are measured for every adapter that has them."""
        return int(self._known.all(0).sum())

    @property
    def counted_so_far(self) -> int:
        """How many of the modules that count are measured for every adapter that has them."""
        return int((self.counted() & self._known.all(0)).sum())
