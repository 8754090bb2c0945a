"""Who solved which problems, as the numbers of a study: shares, intervals, tests of pairs. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from inspector.common.arrays import Floats
from inspector.probes.accuracy.records import Record
from inspector.probes.accuracy.statistics import holm, mcnemar, wilson
from inspector.study.study import ProbeInfo, Scope

Blocks = dict[tuple[str, Scope], Floats]


@dataclass(frozen=True, slots=True)
class Results:
    """Who answered what: one mapping key -> record for each model, None for a base left out."""

    info: ProbeInfo
    names: tuple[str, ...]
    keys: tuple[str, ...]
    """The problems, in the task's order."""
    base: Mapping[str, Record] | None
    adapters: tuple[Mapping[str, Record], ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    """Model -> why problems of it have no answer."""

    def marks(self, records: Mapping[str, Record] | None) -> Floats:
        """(problems,): 1 right, 0 wrong, NaN without an answer."""
        got = [(records or {}).get(key) for key in self.keys]
        return np.array([np.nan if record is None else float(record.correct) for record in got])

    @property
    def complete(self) -> bool:
        """Whether every model has an answer to every problem."""
        models = [self.base] if self.base is not None else []
        return all(key in records for records in (*models, *self.adapters) for key in self.keys)

    def blocks(self) -> Blocks:
        """The numbers for a study of these adapters, all global."""
        adapters = np.array([self.marks(records) for records in self.adapters]).reshape(len(self.names), -1)
        return blocks(adapters, self.marks(self.base))


def blocks(adapters: Floats, base: Floats) -> Blocks:
    """From marks, (N, problems) and (problems,), 1 right, 0 wrong, NaN without an answer: every number of the table.

    (N, 1) for the adapters, (N, N, 1) for pairs, (1,) for the base. A pair is compared on the problems both have
    an answer to; the Holm correction runs over all pairs of the table, those with the base included.
    """
    n = len(adapters)
    out: Blocks = {}
    for suffix, marks in (("", adapters), ("_base", base[None])):
        rows = np.array([_share(row) for row in marks]).reshape(len(marks), 4)
        for metric, column in zip(_shares(suffix), rows.T, strict=True):
            out[metric, "global"] = column.copy() if suffix else column[:, None].copy()
    wins, p = np.full((n, n), np.nan), np.full((n, n), np.nan)
    p_base = np.full(n, np.nan)
    for i, j in combinations(range(n), 2):
        if not np.isnan(adapters[i] + adapters[j]).all():
            wins[i, j], wins[j, i] = (only(adapters[a], adapters[b]) for a, b in ((i, j), (j, i)))
            p[i, j] = p[j, i] = mcnemar(int(wins[i, j]), int(wins[j, i]))
    for i in range(n):
        if not np.isnan(adapters[i] + base).all():
            p_base[i] = mcnemar(only(adapters[i], base), only(base, adapters[i]))
    upper = np.triu_indices(n, 1)
    adjusted = np.array(holm([*p[upper], *p_base]))
    p_holm = np.full((n, n), np.nan)
    p_holm[upper] = p_holm.T[upper] = adjusted[: len(upper[0])]
    pairs = {"mcnemar_wins": wins, "mcnemar_p": p, "mcnemar_p_holm": p_holm}
    alone = {"mcnemar_base_p": p_base, "mcnemar_base_p_holm": adjusted[len(upper[0]) :]}
    return out | {(metric, "global"): values[..., None] for metric, values in (pairs | alone).items()}


def only(a: Floats, b: Floats) -> int:
    """How many problems a solves and b does not."""
    return int(((a == 1) & (b == 0)).sum())


def _shares(suffix: str) -> tuple[str, str, str, str]:
    return f"accuracy{suffix}", f"accuracy{suffix}_low", f"accuracy{suffix}_high", f"accuracy{suffix}_answered"


def _share(marks: Floats) -> tuple[float, float, float, float]:
    """Accuracy with its interval, and the number of answers; NaN without any."""
    n, right = int((~np.isnan(marks)).sum()), int(np.nansum(marks))
    return (right / n if n else np.nan, *wilson(right, n), n or np.nan)
