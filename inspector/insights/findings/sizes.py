"""Who moved far or little, and over how many directions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.insights.findings.finding import Finding, Number, listed, of_adapter, own_values
from inspector.study.study import Study

FAR = 3.0
SPREAD = 1.3
"""How many times the median of the others a norm, or an effective rank, must be above or below it."""


def sizes(study: Study) -> Iterator[Finding]:
    """Norms, then effective ranks, against the median of the others."""
    norms = own_values(study, "norm")
    for i in range(len(norms)):
        if (far := _against(norms, i, FAR)) is not None:
            ratio, median = far
            how = f"{ratio:.1f} times as far as" if ratio > 1 else f"{1 / ratio:.1f} times less far than"
            text = f"{study.names[i]} moved {how} the others' median"
            text += f": norm {norms[i]:.3g} against {median:.3g}{_rate(study, i)}."
            yield Finding("size", text, _beside(study, "norm", i, median))
    yield from _spread(study)
    if zero := [i for i in range(len(norms)) if norms[i] == 0]:
        text = f"ΔW of {listed(study.names[i] for i in zero)} is zero: the base is as it was."
        yield Finding("size", text, tuple(of_adapter(study, "norm", i) for i in zero))


def _spread(study: Study) -> Iterator[Finding]:
    """Effective ranks that stand out: where ranks differ, as shares of them."""
    ranks, shares = own_values(study, "effective_rank"), own_values(study, "effective_rank_share")
    mixed = len({adapter.ranks for adapter in study.adapters}) > 1
    values = shares if mixed else ranks
    for i in range(len(values)):
        if (far := _against(values, i, SPREAD)) is None:
            continue
        ratio, median = far
        how, rank = "more" if ratio > 1 else "fewer", f"effective rank (of σ, Roy & Vetterli) {ranks[i]:.1f}"
        text = f"{study.names[i]} spreads over {how} directions: {rank} against the others' median of {median:.1f}."
        numbers: tuple[Number, ...] = _beside(study, "effective_rank", i, median)
        if mixed:
            of = f"of rank {study.adapters[i].rank}, a share of {shares[i]:.2f} against the others' median of"
            text = f"{study.names[i]} spreads over {how} of its directions: {rank} {of} {median:.2f}."
            numbers = (*_beside(study, "effective_rank_share", i, median), of_adapter(study, "effective_rank", i))
        yield Finding("size", text, numbers)


def _beside(study: Study, metric: str, i: int, median: float) -> tuple[Number, Number]:
    return of_adapter(study, metric, i), Number(metric, median, "median of the others")


def _against(values: np.ndarray, i: int, times: float) -> tuple[float, float] | None:
    """(ratio, median of the others) where that ratio is beyond `times` either way; with two, told of the smaller."""
    others = np.delete(values, i)
    others = others[np.isfinite(others) & (others > 0)]
    if not others.size or not values[i] > 0:
        return None
    median = float(np.median(others))
    ratio = float(values[i]) / median
    if len(values) == 2 and ratio > 1:
        return None
    return (ratio, median) if ratio >= times or ratio <= 1 / times else None


def _rate(study: Study, i: int) -> str:
    """That the learning rate differs as well, so that the norm alone says little of the method."""
    rates = [a.origin.lr for a in study.adapters]
    known = [rate for n, rate in enumerate(rates) if n != i and rate is not None]
    own = rates[i]
    if own is None or not known:
        return ""
    ratio = own / float(np.median(known))
    if 1 / FAR < ratio < FAR:
        return ""
    how = f"{ratio:.3g} times" if ratio > 1 else f"1/{1 / ratio:.3g} of"
    some = "the only one" if len(known) == 1 else f"the {len(known)}"
    whose = "theirs" if len(known) == len(rates) - 1 else f"that of {some} whose rate is known"
    return f"; its learning rate is {how} {whose}, which alone may explain it"
