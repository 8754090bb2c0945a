"""A study beside its subjects, and charts made of its blocks. None where a number was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspector.common.arrays import Floats
from inspector.insights.pairwise import chance_span, pair_chance
from inspector.report.chart_subjects import adapters, pairs
from inspector.report.document import Level, Lines, Matrix, Part, Series, Subject
from inspector.study.metrics import DEFINITIONS, Definition
from inspector.study.study import Scope, Study


@dataclass(frozen=True, slots=True)
class Context:
    """A study, and the adapters and pairs in its charts."""

    study: Study
    pairs: tuple[Subject, ...]
    adapters: tuple[Subject, ...]

    breaks: tuple[int, ...] = ()
    """The adapters with which another group of the overview begins."""

    @classmethod
    def of(cls, study: Study, styles: Sequence[int] = (), breaks: Sequence[int] = ()) -> Context:
        """`styles`: that of each adapter, by default its place."""
        return cls(study, pairs(study), adapters(study, styles or range(len(study.adapters))), tuple(breaks))

    def matrix(self, name: str, caption: str, values: Floats, *, apart: bool = False) -> Matrix:
        """Numbers of all pairs, in groups."""
        return Matrix(name, caption, tuple(a.label for a in self.adapters), values, apart, breaks=self.breaks)

    def subjects(self, metric: str) -> tuple[Subject, ...]:
        """The adapters or the pairs, as the metric asks."""
        return self.adapters if DEFINITIONS[metric].subject == "adapter" else self.pairs

    def values(self, metric: str, scope: Scope = "global") -> Floats | None:
        """The block where any of it is known."""
        block = self.study.block(metric, scope)
        return block if block is not None and np.isfinite(block).any() else None

    def level(self, metric: str, k: int | None = None) -> float:
        """A global number of no adapter, such as chance; NaN where it is not there."""
        block = self.study.block(metric, "global")
        if block is None:
            return float("nan")
        return float(block[0] if k is None else block[0, k])

    def of_pairs(self, definition: Definition) -> list[Part]:
        """A metric's chart: the global numbers of every pair, then along the layers; nothing where none is known."""
        block, chart, metric = self.values(definition.metric), definition.chart, definition.metric
        if block is None or chart is None:
            return []
        caption = (
            f"{chart.caption}; {chance_span(self.study, metric)} by chance" if definition.chance else chart.caption
        )
        apart = definition.diagonal == 0
        parts: list[Part] = [self.matrix(metric.replace("_", "-"), caption, block[:, :, 0], apart=apart)]
        if chart.by_layer:
            levels = self.chance_along_layers(metric)
            line = self.layers(metric, chart.by_layer, levels=levels, limits=definition.range)
            parts += [line] if line else []
        return parts

    def layers(
        self,
        metric: str,
        caption: str,
        *,
        k: int | None = None,
        levels: Sequence[Level] = (),
        limits: tuple[float, float] | None = None,
        digits: int = 2,
        log: bool = False,
    ) -> Lines | None:
        """A metric along the layers, a line each subject; `k`: 0-based, of an indexed metric."""
        block = self.values(metric, "layer")
        if block is None or len(self.study.layers) < 2:
            return None
        if k is not None:
            block = block[..., k]
        series = self.series(self.subjects(metric), block)
        definition = DEFINITIONS[metric]
        y = f"{definition.title}{f', {definition.unit}' if definition.unit else ''}"
        x = tuple(float(layer) for layer in self.study.layers)
        name = f"{metric.replace('_', '-')}-by-layer"
        return Lines(name, caption, ("layer", y), x, series, tuple(levels), limits, log=log, digits=digits)

    def chance_along_layers(self, metric: str) -> tuple[Level, ...]:
        """What random subspaces would give in each layer, the least and the most of the pairs where they differ."""
        if self.values(f"{metric}_chance", "layer") is None:
            return ()
        modules = self.study.modules
        of = {layer: np.array([m.layer == layer for m in modules]) for layer in self.study.layers}
        ends = [
            self._ends([pair_chance(self.study, metric, p.at[0], p.at[1], here)[0] for p in self.pairs])
            for here in of.values()
        ]
        least, most = (tuple(end[at] for end in ends) for at in (0, 1))
        if np.allclose(least, most, equal_nan=True):
            return (Level("by chance", least),)
        return Level("by chance, least", least), Level("by chance, most", most)

    @staticmethod
    def _ends(levels: Sequence[float]) -> tuple[float, float]:
        known = [float(level) for level in levels if np.isfinite(level)]
        return (min(known), max(known)) if known else (float("nan"), float("nan"))

    def series(self, subjects: Sequence[Subject], block: Floats) -> tuple[Series, ...]:
        """Those of which anything is known."""
        lines = ((s, block[s.at]) for s in subjects)
        return tuple(Series(s, tuple(values.tolist())) for s, values in lines if np.isfinite(values).any())
