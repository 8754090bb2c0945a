"""Whether what a server answers is the adapter: log-probabilities of given tokens against those of two models here."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from inspector.base_model.logprobs import Logs
from inspector.checking.receipt.combined import Strength
from inspector.checking.receipt.strength import ERRORS
from inspector.checking.receipt.verdict import Receipt, Verdict
from inspector.common.arrays import Floats
from inspector.common.text import plain

_SAME = 0.1
"""Strengths of answers that differ by less are one: what a server computes in 16 bits is not what is computed here."""
_ALIKE = 0.5
"""Share of the difference to the base that the adapter must explain."""
_LEAST = 0.01
"""Nats a token by which base and adapter must differ: rounding to 16 bits makes answers differ by as much."""


@dataclass(frozen=True, slots=True)
class _Regression:
    """y = βd over the tokens, y = served − base and d = adapter − base, in nats."""

    beta: float
    half: float
    explained: float
    """β²Σd²/Σy², at most 1."""
    to_base: float
    to_adapter: float
    """Root mean square differences of what is served, in nats a token."""
    apart: float
    """That of base and adapter."""
    tokens: int


def compared(name: str, asked: str, served: Logs, base: Logs, adapter: Logs, wanted: float = 1.0) -> Receipt:
    """The verdict. β = Σyd/Σd² is 1 of the adapter as it is here, 0 of the base, and near the strength between them.

    The interval is ± four standard errors of a jackknife that leaves one text out.
    """
    found = _regression(served, base, adapter)
    strength = Strength(wanted * found.beta, wanted * (found.beta - found.half), wanted * (found.beta + found.half))
    told = (
        f"over {found.tokens} tokens its log-probabilities are {found.to_adapter:.2g} nats from the adapter's and "
        f"{found.to_base:.2g} from the base's (root mean square), the two being {found.apart:.2g} apart"
    )
    verdict, words = _verdict(found)
    sentence = f"{plain(name)!r} {words.format(plain(asked))}: {told}."
    return Receipt(verdict, strength, sentence)


def _verdict(found: _Regression) -> tuple[Verdict, str]:
    beta, half = found.beta, found.half
    if found.apart < _LEAST:
        return "unclear", "cannot be told from the base: on these prompts {} hardly changes the answers"
    if found.to_base < _LEAST or (abs(beta) <= max(_SAME, half) and found.to_base < found.apart / 2):
        return "absent", "answers as the base, without {}"
    if found.explained < _ALIKE:
        return "unclear", "is neither the base nor {}: another adapter, or another base"
    if half > _ALIKE:
        return "unclear", "cannot be told: too few prompts tell the base from {}"
    if abs(beta - 1) <= max(_SAME, half):
        return "contained", "answers as {}"
    return "scaled", f"answers as {{}} at about {beta:.2f} of its strength"


def _regression(served: Logs, base: Logs, adapter: Logs) -> _Regression:
    y = [np.subtract(s, b) for s, b in zip(served, base, strict=True)]
    d = [np.subtract(a, b) for a, b in zip(adapter, base, strict=True)]
    inner = np.array([float(u @ v) for u, v in zip(y, d, strict=True)])
    energy = np.array([float(v @ v) for v in d])
    whole_y, whole_d = np.concatenate(y), np.concatenate(d)
    if not (total := float(energy.sum())):
        return _Regression(0.0, float("inf"), 0.0, _rms(whole_y), _rms(whole_y), 0.0, len(whole_d))
    beta = float(inner.sum()) / total
    rest = total - energy
    left_out = (inner.sum() - inner)[rest > 0] / rest[rest > 0]
    n = len(left_out)
    error = sqrt((n - 1) / n * float(np.square(left_out - left_out.mean()).sum())) if n > 1 else float("inf")
    size = float(whole_y @ whole_y)
    explained = min(1.0, beta**2 * total / size) if size else 0.0
    return _Regression(
        beta, ERRORS * error, explained, _rms(whole_y), _rms(whole_y - whole_d), _rms(whole_d), len(whole_d)
    )


def _rms(x: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(x))))
