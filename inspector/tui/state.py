"""What the app shows, as plain data: study, order, cursor, slider, pairs. No widgets, no torch.

Adapters are known by their index in `study` (their id), so that removing, reordering and undo are
changes of `order` alone; row and col of the cursor are positions in that order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector.definitions import DEFINITIONS
from inspector.study import AdapterInfo, Floats, Scope, Study
from inspector.tui.text import clean

VIEWS = ("adapters", "map", "layers", "angles", "size", "pair", "objectives", "basins", "cka", "accuracy")
MAP_METRICS = (
    "cosine",
    "u1",
    "v1",
    "subspace_overlap",
    "subspace_overlap_right",
    "orthogonal_fraction_global",
    "orthogonal_fraction_module",
)
RANK_METRICS = ("effective_rank", "effective_rank_energy", "participation_ratio", "stable_rank", "rank_90")
WITH_BASE = ("norm_relative", "intruder_dimensions", "intruder_dimensions_subspace")
"""What the base's weights add to one adapter's own numbers."""
LAYER_METRICS = (*MAP_METRICS, "energy_ratio", "principal_angle", "norm", *WITH_BASE[:1], *RANK_METRICS, *WITH_BASE[1:])
CKA_METRICS = ("cka_debiased", "cka", "cka_debiased_base", "cka_base")
DEFAULT_PAIRS = 7

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ProbeChoices:
    """What was last asked of the base model; empty and 0 stand for the defaults."""

    what: str = "lmc"
    loss: str = "boxed"
    base: str = ""
    base_for: str = ""
    """What the adapters themselves name where `base` was chosen: another family has another base."""
    prompts: str = "arithmetic"
    limit: int = 0
    device: str = "auto"
    every_pair: bool = False


@dataclass
class AppState:
    """Every choice the user has made, and the numbers they apply to."""

    study: Study
    shown: Study
    order: tuple[int, ...] = ()
    view: str = "adapters"
    layer: int = 0
    one_layer: bool = False
    metric: str = "cosine"
    layers_metric: str = "cosine"
    rank_metric: str = "effective_rank"
    cka_metric: str = "cka_debiased"
    loss: str = ""
    """Suffix of the loss whose basins are shown."""
    zoom: bool = False
    """Whether basins and CKA are drawn close around their curves, the reference perhaps out of sight."""
    probe: ProbeChoices = ProbeChoices()
    filter: str = ""
    k: int = 10
    row: int = 0
    col: int = 1
    chosen: frozenset[Pair] | None = None
    spectrum: int = 0
    log: bool = True
    sorted: bool = False
    pending: bool = False
    tops: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study, k: int = 10) -> AppState:
        return cls(study=study, shown=study, order=tuple(range(len(study.adapters))), k=k)

    # Who is shown

    @property
    def size(self) -> int:
        return len(self.order)

    @property
    def infos(self) -> tuple[AdapterInfo, ...]:
        return tuple(self.study.adapters[i] for i in self.order)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(clean(info.name) for info in self.infos)

    @property
    def pairs(self) -> list[Pair]:
        """All pairs of positions, first before second."""
        return [(i, j) for i in range(self.size) for j in range(i + 1, self.size)]

    @property
    def pair(self) -> Pair | None:
        """The pair under the cursor, as positions in the cursor's own direction."""
        if self.size < 2:
            return None
        if self.row != self.col:
            return self.row, self.col
        return (self.row, self.row + 1) if self.row + 1 < self.size else (self.row - 1, self.row)

    def id_pair(self, pair: Pair) -> Pair:
        """Positions to ids, the smaller first."""
        a, b = self.order[pair[0]], self.order[pair[1]]
        return (a, b) if a < b else (b, a)

    @property
    def plotted(self) -> list[Pair]:
        """The toggled pairs as positions; without a choice, the first adapter against the next ones."""
        if self.chosen is None:
            return self.pairs[: min(DEFAULT_PAIRS, max(self.size - 1, 0))]
        where = {adapter: at for at, adapter in enumerate(self.order)}
        known = [(where[a], where[b]) for a, b in self.chosen if a in where and b in where]
        return sorted((min(pair), max(pair)) for pair in known)

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

    def chance(self, metric: str, scope: Scope | None = None) -> Floats:
        """(k or 1,) what random subspaces would give at the current place; NaN where undefined."""
        scope = self.scope if scope is None else scope
        values = self.shown.block(f"{metric}_chance", scope)
        if values is None:
            return np.full(1, np.nan)
        return np.atleast_1d(values[self.layer if scope == "layer" else 0])

    def chance_series(self, metric: str) -> Floats:
        values = self.shown.block(f"{metric}_chance", "layer")
        if values is None:
            return np.full(len(self.layers), np.nan)
        return np.asarray(values[:, 0] if values.ndim == 2 else values)

    @property
    def measured(self) -> int:
        """Modules with numbers so far."""
        norm = self.study.block("norm", "module")
        return 0 if norm is None else int((~np.isnan(norm)).any(axis=0).sum())

    # Changes

    def replace_study(self, study: Study) -> None:
        """Other numbers, possibly of other adapters: keep every choice that still has a meaning."""
        before, layers = self.study.names, self.layers
        ids = {name: at for at, name in enumerate(study.names)}
        kept = [ids[before[i]] for i in self.order if before[i] in ids]
        fresh = [at for name, at in ids.items() if name not in before]
        if self.chosen is not None:
            pairs = [(before[a], before[b]) for a, b in self.chosen]
            mapped = ((ids[a], ids[b]) for a, b in pairs if a in ids and b in ids)
            self.chosen = frozenset((min(p), max(p)) for p in mapped)
        self.study, self.shown, self.order = study, study, tuple(kept + fresh)
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
        here = pairs.index((min(self.pair), max(self.pair)))
        self.row, self.col = pairs[min(max(here + step, 0), len(pairs) - 1)]

    def toggle(self) -> bool:
        """Add or drop the cursor's pair for the plots; whether it is in now."""
        if self.pair is None:
            return False
        chosen = frozenset(self.id_pair(pair) for pair in self.plotted)
        self.chosen = chosen ^ {self.id_pair(self.pair)}
        return self.id_pair(self.pair) in self.chosen
