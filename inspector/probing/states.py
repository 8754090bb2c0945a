"""CKA and lens depth from one forward pass per adapter, whatever the number of pairs."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from inspector.probes import cache, cka, lens
from inspector.probes.encode import Encoded, prompts
from inspector.probes.hidden import States, each_batch
from inspector.probes.problems import Problems
from inspector.probes.rows import Rows
from inspector.probing.job import Job
from inspector.probing.pace import Pace
from inspector.probing.request import remember_speed
from inspector.study import Floats, Scope

if TYPE_CHECKING:
    from torch import Tensor

_KINDS = ("cka", "cka_debiased", "cka_null", "cka_debiased_null")
Who = str | None
"""An adapter by name, or the bare base."""


def run(job: Job) -> None:
    """Run the models whose numbers are not in the cache; deliver after each."""
    problems = job.request.problems("cka" if "cka" in job.request.probes else "lens")
    examples = prompts(job.attached.base.tokenizer, problems)
    work = _States(job, problems, examples)
    work.recall()
    wanted = work.wanted()
    pace = Pace(sum(len(example.ids) for example in examples) * len(wanted), job.course)
    for who in wanted:
        pace.what = f"hidden states of {who or 'the base'}"
        work.forward(who, pace)
        work.deliver()
    if pace.done:
        remember_speed(job.request, "cka", pace.speed)
    work.deliver()


class _States:
    """The numbers of one request, in the study's blocks."""

    def __init__(self, job: Job, problems: Problems, examples: list[Encoded]) -> None:
        self.job, self.problems, self.examples = job, problems, examples
        self.depth = job.attached.base.depth
        self.rows: dict[Who, Rows] = {}
        self.device = "cuda" if job.attached.base.device.startswith("cuda") else "cpu"
        n, depth = len(job.names), self.depth
        self.at = {name: i for i, name in enumerate(job.names)}
        self.cka: dict[tuple[str, Scope], Floats] = {}
        if "cka" in job.request.probes:
            self.cka |= {(kind, "layer"): np.full((n, n, depth), np.nan) for kind in _KINDS}
            self.cka |= {(f"{kind}_base", "layer"): np.full((n, depth), np.nan) for kind in _KINDS[:2]}
        self.lens: dict[tuple[str, Scope], Floats] = {}
        if "lens" in job.request.probes:
            self.lens = {("lens_depth", "global"): np.full((n, 1), np.nan)}
            self.lens["lens_depth_base", "global"] = np.full(1, np.nan)
        names = dict.fromkeys(name for pair in job.request.pairs for name in pair)
        self.names: tuple[Who, ...] = (None, *(names or job.digests))
        self.asked: set[tuple[Who, Who]] = {*job.request.pairs, *((name, None) for name in self.names if name)}
        others = [name for name in self.names if name]
        self.pairs: list[tuple[Who, Who]] = [*combinations(others, 2), *((name, None) for name in others)]
        """All of them: once both sides have run, a pair costs next to nothing."""

    def recall(self) -> None:
        """What is in the cache already."""
        for pair in self.pairs if self.cka else ():
            if (stored := cache.load("cka", self._pair_key(pair))) is not None:
                self._enter(pair, stored["values"])
        for who in self.names if self.lens else ():
            if (stored := cache.load("lens", self._lens_key(who))) is not None:
                self._enter_lens(who, float(stored["depth"]))

    def wanted(self) -> list[Who]:
        """Who must run: both sides of every pair that is missing, and those without a lens depth."""
        missing = [pair for pair in self.asked if self.cka and np.isnan(self._of(pair)).all()]
        needed = {who for pair in missing for who in pair}
        if self.lens:
            needed |= {who for who in self.names if np.isnan(self._lens_of(who))}
        return [who for who in self.names if who in needed]

    def forward(self, who: Who, pace: Pace) -> None:
        """One pass; then this model against all that ran before it."""
        job = self.job
        rows = Rows(self.examples, job.request.pooling, self.depth) if self.cka else None
        depths: dict[int, tuple[float, int]] = {}
        needs_lens = bool(self.lens) and np.isnan(self._lens_of(who))

        def work(indices: list[int], states: States, mask: Tensor) -> None:
            if rows is not None:
                rows.write(indices, states, mask)
            if needs_lens:
                found = lens.depths(job.attached.base.model, states, mask)
                depths[indices[0]] = (float(found.double().sum()), len(found))

        job.attached.use(who)
        each_batch(job.attached, self.examples, job.batches, work, pace.step)
        if needs_lens:
            depth = sum(total for total, _ in depths.values()) / sum(count for _, count in depths.values())
            cache.store("lens", self._lens_key(who), {"depth": np.array(depth)})
            self._enter_lens(who, depth)
        if rows is not None:
            self.rows[who] = rows
            self._compare(who)

    def _compare(self, who: Who) -> None:
        for pair in self.pairs:
            if who in pair and pair[0] in self.rows and pair[1] in self.rows and np.isnan(self._of(pair)).all():
                one, other = self.rows[pair[0]], self.rows[pair[1]]
                values = np.array([cka.compare(one, other, layer, self.device) for layer in range(self.depth)])
                cache.store("cka", self._pair_key(pair), {"values": values})
                self._enter(pair, values)

    def _pair_key(self, pair: tuple[Who, Who]) -> dict[str, object]:
        """The base has no digest of its own among the adapters'."""
        both = sorted(self.job.digests[who] if who else "" for who in pair)
        return self.job.key(self.problems, pooling=self.job.request.pooling, pair=both)

    def _lens_key(self, who: Who) -> dict[str, object]:
        return self.job.key(self.problems, adapter=self.job.digests[who] if who else "")

    def _enter(self, pair: tuple[Who, Who], values: Floats) -> None:
        """(L, 4) plain, debiased and their nulls."""
        a, b = pair
        for column, kind in enumerate(_KINDS):
            if a is not None and b is not None:
                block = self.cka[kind, "layer"]
                block[self.at[a], self.at[b]] = block[self.at[b], self.at[a]] = values[:, column]
            elif a is not None and column < 2:
                self.cka[f"{kind}_base", "layer"][self.at[a]] = values[:, column]

    def _of(self, pair: tuple[Who, Who]) -> Floats:
        a, b = pair
        assert a is not None
        if b is None:
            return np.asarray(self.cka["cka_base", "layer"][self.at[a]])
        return np.asarray(self.cka["cka", "layer"][self.at[a], self.at[b]])

    def _enter_lens(self, who: Who, depth: float) -> None:
        if who is None:
            self.lens["lens_depth_base", "global"][0] = depth
        else:
            self.lens["lens_depth", "global"][self.at[who], 0] = depth

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
            info = job.info("cka", self.problems, f"pooling: {job.request.pooling}")
            job.deliver(info, self.cka | means, ())
        if self.lens:
            job.deliver(job.info("lens", self.problems, "all prompt tokens"), self.lens, ())
