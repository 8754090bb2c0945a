"""Connectivity of the chosen pairs: points as they appear, barriers when a path is complete."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.base_model.encode import answers
from inspector.common.arrays import Floats
from inspector.probes.barriers import KINDS, barriers, difference
from inspector.probes.connectivity import Point, losses, on_path, points
from inspector.probes.job import Job
from inspector.probes.pace import Pace
from inspector.probes.request import remember_speed
from inspector.study.metrics.probes import SIGNED
from inspector.study.study import Scope


def run(job: Job) -> None:
    """Measure every point that is not in the cache; deliver after each."""
    request = job.request
    problems = request.problems("lmc")
    examples = answers(job.attached.base.tokenizer, problems, request.loss)
    tokens = np.array([example.targets for example in examples], dtype=np.float64)
    wanted = points(request.pairs, request.alphas)
    length = sum(len(example.ids) for example in examples)
    pace = Pace(length * len(wanted), job.course)
    suffix = "" if request.loss == "boxed" else "_rollouts"
    results = Curves(job.names, request.pairs, request.alphas, suffix, tokens)
    detail = f"loss: {request.loss}, {SIGNED}"
    info = job.info(f"lmc{suffix}", problems, detail)
    for point in wanted:
        key = job.key(examples, loss=request.loss, point=sorted([job.digests[n], w] for n, w in point.weights))
        if (stored := job.cache.load("lmc", key)) is not None:
            pace.skip(length)
            results.add(point, stored["losses"])
            continue
        pace.what = f"loss {described(point)}"
        found = losses(job.attached, point, examples, job.batches, pace.step)
        job.cache.store("lmc", key, {"losses": found})
        results.add(point, found)
        job.deliver(info, results.blocks(), request.alphas)
    if pace.done:
        remember_speed(request, "lmc", pace.speed)
    job.deliver(job.info(f"lmc{suffix}", problems, detail), results.blocks(), request.alphas)


def described(point: Point) -> str:
    """`0.3·sft + 0.7·dpo`, `of sft`, or `of the base`."""
    if len(point.weights) == 1 and point.weights[0][1] == 1:
        return f"of {point.weights[0][0]}"
    return " + ".join(f"{weight:g}·{name}" for name, weight in point.weights) or "of the base"


class Curves:
    """Losses by point, as blocks of the study."""

    def __init__(
        self,
        names: Sequence[str],
        pairs: Sequence[tuple[str, str]],
        alphas: tuple[float, ...],
        suffix: str,
        tokens: Floats,
    ) -> None:
        self._at = {name: i for i, name in enumerate(names)}
        self._pairs, self._alphas, self._suffix, self._tokens = pairs, alphas, suffix, tokens
        self._losses: dict[Point, Floats] = {}

    def add(self, point: Point, losses: Floats) -> None:
        """(n,) summed losses of one point."""
        self._losses[point] = losses

    def blocks(self) -> dict[tuple[str, Scope], Floats]:
        """Curves in both directions where the grid has both α and 1−α; barriers of complete paths."""
        n, suffix = len(self._at), self._suffix
        found: dict[tuple[str, Scope], Floats] = {
            (f"lmc_loss{suffix}", "global"): np.full((n, n, 1, len(self._alphas)), np.nan),
            (f"lmc_loss_base{suffix}", "global"): np.full(1, np.nan),
        }
        for kind in KINDS:
            for bound in ("", "_low", "_high", "_at"):
                found[f"barrier_{kind}{bound}{suffix}", "global"] = np.full((n, n, 1), np.nan)
        for bound in ("", "_low", "_high"):
            found[f"lmc_ends{bound}{suffix}", "global"] = np.full((n, n, 1), np.nan)
        if Point(()) in self._losses:
            found[f"lmc_loss_base{suffix}", "global"][0] = self._mean(Point(()))
        for a, b in self._pairs:
            for one, other in ((a, b), (b, a)):
                i, j = self._at[one], self._at[other]
                for k, alpha in enumerate(self._alphas):
                    if (point := on_path(one, other, alpha)) in self._losses:
                        found[f"lmc_loss{suffix}", "global"][i, j, 0, k] = self._mean(point)
            self._barriers(found, a, b)
        return found

    def _mean(self, point: Point) -> float:
        return float(self._losses[point].sum() / self._tokens.sum())

    def _barriers(self, found: dict[tuple[str, Scope], Floats], a: str, b: str) -> None:
        path = [on_path(a, b, alpha) for alpha in self._alphas if 0 <= alpha <= 1]
        if not all(point in self._losses for point in path):
            return
        grid = [alpha for alpha in self._alphas if 0 <= alpha <= 1]
        i, j = self._at[a], self._at[b]
        for kind, barrier in barriers(grid, np.stack([self._losses[p] for p in path]), self._tokens).items():
            for bound, value in (("", barrier.value), ("_low", barrier.low), ("_high", barrier.high)):
                block = found[f"barrier_{kind}{bound}{self._suffix}", "global"]
                block[i, j, 0] = block[j, i, 0] = value
            where = found[f"barrier_{kind}_at{self._suffix}", "global"]
            where[i, j, 0], where[j, i, 0] = barrier.at, round(1 - barrier.at, 10)
        ends = difference(self._losses[on_path(a, b, 1.0)], self._losses[on_path(a, b, 0.0)], self._tokens)
        for bound, value, swapped in (
            ("", ends.value, -ends.value), ("_low", ends.low, -ends.high), ("_high", ends.high, -ends.low),
        ):  # fmt: skip
            block = found[f"lmc_ends{bound}{self._suffix}", "global"]
            block[i, j, 0], block[j, i, 0] = value, swapped
