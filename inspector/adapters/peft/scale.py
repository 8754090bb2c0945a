"""The factor s of ΔW = s·B·A for each module, as PEFT computes it, with its origin in words."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt

from inspector.adapters.model import Scale
from inspector.adapters.options import ReadOptions
from inspector.adapters.peft.config import PeftConfig
from inspector.adapters.peft.patterns import Patterns
from inspector.common.text import count, plain, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import strip_wrappers


class Scaling:
    """s = α/r, or α/√r for rsLoRA; α of the first `alpha_pattern` key that hits the module.

    r is A's own first dimension. The config's r and `rank_pattern` only cross-check it: PEFT would build the
    module with theirs and fail to load the tensors.
    """

    def __init__(self, config: PeftConfig, read_options: ReadOptions) -> None:
        self._config, self._read_options = config, read_options
        self._alphas, self._ranks = Patterns(config.alpha_pattern), Patterns(config.rank_pattern)
        self._ambiguous: dict[str, list[tuple[str, str]]] = {"alpha_pattern": [], "rank_pattern": []}
        self._other_rank: list[tuple[str, int, float]] = []
        self.alphas: set[float] = set()

    def of(self, path: str, r: int) -> Scale:
        """The scale of the module at this path (wrappers or not) whose A has r rows."""
        path = strip_wrappers(path)
        alpha, origin = self._config.alpha, ""
        if hits := self._alphas.hits(path):
            alpha, origin = hits[0][1], f"alpha_pattern {plain(hits[0][0], 60)!r}: "
            self._check("alpha_pattern", path, hits)
        if hits := self._ranks.hits(path):
            origin += f"rank_pattern {plain(hits[0][0], 60)!r}: "
            self._check("rank_pattern", path, hits)
        expected = hits[0][1] if hits else self._config.r
        if expected is not None and expected != r:
            self._other_rank.append((path, r, expected))
        if alpha is None:
            return self._config.stated.of(r, self._read_options)
        self.alphas.add(alpha)
        return _scale(alpha, r, origin, rslora=self._config.rslora)

    def configured(self, path: str) -> int:
        """The rank the config gives this module, where its tensors do not tell; PEFT's default 8 where none does."""
        hits = self._ranks.hits(strip_wrappers(path))
        rank = hits[0][1] if hits else self._config.r
        return int(rank) if rank is not None and 1 <= rank < 2**31 else 8

    def expect(self, path: str) -> None:
        """A module that the file has, though it is not read: patterns that hit it are not idle."""
        self._alphas.hits(path)
        self._ranks.hits(path)

    def adalora(self, r: int) -> Scale:
        """s = α/(n + 1e-5): n is the rank before any was pruned, and α = 0 stands for the module's own r.

        No patterns apply [peft.tuners.adalora.layer: `scaling` and `ranknum`].
        """
        start = self._config.r if self._config.r is not None and self._config.r > 0 else r
        if (alpha := self._config.alpha) is None:
            return self._read_options.scale(r)
        self.alphas.add(alpha)
        alpha = alpha if alpha > 0 else float(r)
        return Scale(alpha / (start + 1e-5), f"α/(r + 1e-5) = {alpha:g}/({start:g} + 1e-5)")

    def _check(self, table: str, path: str, hits: list[tuple[str, float]]) -> None:
        if len({value for _, value in hits}) > 1:
            self._ambiguous[table].append((path, " and ".join(f"{plain(k, 60)!r} ({v:g})" for k, v in hits[:3])))

    def findings(self) -> tuple[HealthIssue, ...]:
        """What was odd about the modules asked for so far."""
        found = []
        for table, hits in self._ambiguous.items():
            if hits:
                path, keys = hits[0]
                found.append(
                    HealthIssue(
                        "warning",
                        f"{table}: keys with different values hit {count(len(hits), 'module')}, such as {keys} at "
                        f"{plain(path, 80)}; the first in the file counts, and saving sorts them, so that a reloaded "
                        "adapter may differ from the one that was trained",
                    )
                )
        if self._other_rank:
            path, r, expected = self._other_rank[0]
            found.append(
                HealthIssue(
                    "warning",
                    f"{count(len(self._other_rank), 'module')} with another rank than the config says, such as "
                    f"{plain(path, 80)}: {r}, not {expected:g}; the scale uses the tensors' rank",
                )
            )
        for table, patterns in (("alpha_pattern", self._alphas), ("rank_pattern", self._ranks)):
            if idle := patterns.idle():
                found.append(HealthIssue("warning", f"{table}: no module is hit by {some(idle)}"))
        if dropped := self._alphas.dropped + self._ranks.dropped:
            found.append(
                HealthIssue("warning", f"pattern keys that are not a usable regex, not applied: {some(dropped)}")
            )
        return tuple(found)


@lru_cache
def _scale(alpha: float, r: int, origin: str, *, rslora: bool) -> Scale:
    """One for all modules that share it."""
    if rslora:
        return Scale(alpha / sqrt(r), f"{origin}α/√r = {alpha:g}/√{r}")
    return Scale(alpha / r, f"{origin}α/r = {alpha:g}/{r}")
