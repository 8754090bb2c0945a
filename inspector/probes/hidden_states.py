"""CKA and lens depth from one forward pass per adapter, whatever the number of pairs."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from inspector.base_model.encode import Encoded, prompts
from inspector.base_model.hidden import States, each_batch
from inspector.common.arrays import Floats
from inspector.probes import lens
from inspector.probes.cka import KINDS
from inspector.probes.comparison import Comparison
from inspector.probes.job import Job
from inspector.probes.pace import Pace
from inspector.probes.request import remember_speed
from inspector.probes.rows import Rows
from inspector.probes.template import distinct, template_of
from inspector.study.metrics.probes import DISTINCT
from inspector.study.study import Scope
from inspector.tasks.problems import Problems

if TYPE_CHECKING:
    from torch import Tensor

_AGAINST_BASE = ("cka", "cka_debiased")
_DEPTHS = ("lens_depth", "lens_depth_last")
Who = str | None
"""An adapter by name, or the bare base."""


def run(job: Job) -> None:
    """Run the models whose numbers are not in the cache; deliver after each."""
    problems = job.request.problems("cka" if "cka" in job.request.probes else "lens")
    examples = prompts(job.attached.base.tokenizer, problems)
    work = _States(job, problems, examples)
    for name in filter(None, work.names):
        if note := job.attached.heard(name, [example.ids for example in examples]):
            job.notes.append(note)
    work.recall()
    wanted = work.wanted()
    device = "cuda" if job.attached.base.device.startswith("cuda") else "cpu"
    comparison = Comparison(len(wanted), device)
    pace = Pace(sum(len(example.ids) for example in examples) * len(wanted), job.course)
    for who in wanted:
        pace.what = f"hidden states of {who or 'the base'}"
        work.forward(who, pace, comparison)
        work.deliver()
    if pace.done:
        remember_speed(job.request, "cka", pace.speed)
    work.deliver()


class _States:
    """The numbers of one request, in the study's blocks."""

    def __init__(self, job: Job, problems: Problems, examples: list[Encoded]) -> None:
        self.job, self.problems, self.examples = job, problems, examples
        self.depth = job.attached.base.depth
        self.template, self.pooled = template_of(examples), template_of(examples, first=1)
        self.compared: list[Who] = []
        n, depth = len(job.names), self.depth
        self.at = {name: i for i, name in enumerate(job.names)}
        self.cka: dict[tuple[str, Scope], Floats] = {}
        if "cka" in job.request.probes:
            self.cka |= {(kind, "layer"): np.full((n, n, depth), np.nan) for kind in KINDS}
            self.cka |= {(f"{kind}_base", "layer"): np.full((n, depth), np.nan) for kind in _AGAINST_BASE}
        self.lens: dict[tuple[str, Scope], Floats] = {}
        if "lens" in job.request.probes:
            self.lens = {(metric, "global"): np.full((n, 1), np.nan) for metric in _DEPTHS}
            self.lens |= {(f"{metric}_base", "global"): np.full(1, np.nan) for metric in _DEPTHS}
        names = dict.fromkeys(name for pair in job.request.pairs for name in pair)
        self.names: tuple[Who, ...] = (None, *(names or job.digests))
        self.asked: set[tuple[Who, Who]] = {*job.request.pairs, *((name, None) for name in self.names if name)}
        others = [name for name in self.names if name]
        self.pairs: list[tuple[Who, Who]] = [*combinations(others, 2), *((name, None) for name in others)]
        """All of them: once both sides have run, a pair costs next to nothing."""

    def recall(self) -> None:
        """What is in the cache already."""
        for pair in self.pairs if self.cka else ():
            if (stored := self.job.cache.load("cka", self._pair_key(pair))) is not None:
                self._enter(pair, stored["values"])
        for who in self.names if self.lens else ():
            if (stored := self.job.cache.load("lens", self._lens_key(who))) is not None:
                self._enter_lens(who, stored["depths"])

    def wanted(self) -> list[Who]:
        """Who must run: both sides of every pair that is missing, and those without a lens depth."""
        missing = [pair for pair in self.asked if self.cka and np.isnan(self._of(pair)).all()]
        needed = {who for pair in missing for who in pair}
        if self.lens:
            needed |= {who for who in self.names if np.isnan(self._lens_of(who))}
        return [who for who in self.names if who in needed]

    def forward(self, who: Who, pace: Pace, comparison: Comparison) -> None:
        """One pass; then this model against all that ran before it."""
        job = self.job
        rows = Rows(self.examples, job.request.pooling, self.depth) if self.cka else None
        depths: dict[int, Floats] = {}
        needs_lens = bool(self.lens) and np.isnan(self._lens_of(who))

        def work(indices: list[int], states: States, mask: Tensor) -> None:
            if rows is not None:
                rows.write(indices, states, mask)
            if needs_lens:
                depths[indices[0]] = self._depths(states, mask)

        job.attached.use(who)
        each_batch(job.attached, self.examples, job.batches, work, pace.step)
        if needs_lens:
            totals, counts = np.sum(list(depths.values()), axis=0)
            job.cache.store("lens", self._lens_key(who), {"depths": totals / counts})
            self._enter_lens(who, totals / counts)
        if rows is not None:
            self._keep(who, comparison.add(rows))

    def _depths(self, states: States, mask: Tensor) -> Floats:
        """((sum over own positions, over last ones), (how many of each)) of one batch: states after `mask`'s tokens."""
        import torch

        own, last = self.template.mask(mask), torch.zeros_like(mask, dtype=torch.bool)
        last[torch.arange(len(mask), device=mask.device), mask.sum(1) - 1] = True
        found = torch.zeros(mask.shape, dtype=torch.float64)
        found[(own | last).cpu()] = lens.depths(self.job.attached.base.model, states, own | last).double()
        kinds = [which.cpu() for which in (own, last)]
        return np.array([[float(found[which].sum()) for which in kinds], [int(which.sum()) for which in kinds]])

    def _keep(self, who: Who, found: Floats) -> None:
        """What a model has with each that ran before it, (m, L, KINDS), for the pairs that were missing."""
        for other, values in zip(self.compared, found, strict=True):
            pair = (other, who) if (other, who) in self.pairs else (who, other)
            if np.isnan(self._of(pair)).all():
                self.job.cache.store("cka", self._pair_key(pair), {"values": values})
                self._enter(pair, values)
        self.compared.append(who)

    def _pair_key(self, pair: tuple[Who, Who]) -> dict[str, object]:
        """The base has no digest of its own among the adapters'."""
        both = sorted(self.job.digests[who] if who else "" for who in pair)
        return self.job.key(self.examples, pooling=self.job.request.pooling, kinds=KINDS, pair=both)

    def _lens_key(self, who: Who) -> dict[str, object]:
        return self.job.key(self.examples, kinds=_DEPTHS, adapter=self.job.digests[who] if who else "")

    def _enter(self, pair: tuple[Who, Who], values: Floats) -> None:
        """(L, KINDS)"""
        a, b = pair
        for column, kind in enumerate(KINDS):
            if a is not None and b is not None:
                block = self.cka[kind, "layer"]
                block[self.at[a], self.at[b]] = block[self.at[b], self.at[a]] = values[:, column]
            elif a is not None and kind in _AGAINST_BASE:
                self.cka[f"{kind}_base", "layer"][self.at[a]] = values[:, column]

    def _of(self, pair: tuple[Who, Who]) -> Floats:
        a, b = pair
        assert a is not None
        if b is None:
            return np.asarray(self.cka["cka_base", "layer"][self.at[a]])
        return np.asarray(self.cka["cka", "layer"][self.at[a], self.at[b]])

    def _enter_lens(self, who: Who, depths: Floats) -> None:
        for metric, depth in zip(_DEPTHS, depths.tolist(), strict=True):
            if who is None:
                self.lens[f"{metric}_base", "global"][0] = depth
            else:
                self.lens[metric, "global"][self.at[who], 0] = depth

    def _lens_of(self, who: Who) -> float:
        if who is None:
            return float(self.lens["lens_depth_base", "global"][0])
        return float(self.lens["lens_depth", "global"][self.at[who], 0])

    def deliver(self) -> None:
        job = self.job
        if self.cka:
            means: dict[tuple[str, Scope], Floats] = {
                (metric, "global"): values.mean(axis=-1, keepdims=True) for (metric, _), values in self.cka.items()
            }
            job.deliver(job.info("cka", self.problems, self._pooled_over()), self.cka | means, ())
        if self.lens:
            differ, rows = distinct(self.examples, self.template, each_token=True)
            detail = f"prompt tokens{self.template.words}; {differ} of {rows} positions {DISTINCT}"
            job.deliver(job.info("lens", self.problems, detail), self.lens, ())

    def _pooled_over(self) -> str:
        """`pooling: mean without the first 23 tokens … of every prompt; 100 of 100 rows distinct`."""
        pooling = self.job.request.pooling
        differ, rows = distinct(self.examples, self.pooled, each_token=pooling == "all")
        return f"pooling: {pooling}{'' if pooling == 'last' else self.pooled.words}; {differ} of {rows} rows {DISTINCT}"
