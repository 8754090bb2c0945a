"""Linear CKA of hidden states with its null, plain and debiased, from Gram or covariance matrices, in float64.

    plain     ⟨HKH, HLH⟩ / √(⟨HKH,HKH⟩⟨HLH,HLH⟩), H = I − 11ᵀ/n              Kornblith et al. 2019
    debiased  ⟨K̃, L̃⟩ / √(⟨K̃,K̃⟩⟨L̃,L̃⟩), K̃ U-centred with zero diagonal   Székely & Rizzo 2014; Song et al. 2012

with K = XXᵀ, L = YYᵀ, rows of X (n, d_x) and Y (n, d_y) the same n inputs. The null of each is its mean and
standard deviation over all n! orders of the rows of Y, in closed form: no order is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inspector.common.arrays import Floats

if TYPE_CHECKING:
    from torch import Tensor

FEWEST = 4
"""Rows below which the debiased form is not defined."""
KINDS = ("cka", "cka_debiased", "cka_null", "cka_debiased_null", "cka_null_sd", "cka_debiased_null_sd")
"""Of a pair of models at a layer: the columns of `comparison`'s numbers."""


def u_centred(K: Tensor) -> Tensor:
    """The U-centred Gram matrices of K (…, n, n): zero diagonal, rows sum to zero; n > 3.

    K̃_st = K_st − r_s/(n−2) − r_t/(n−2) + Σr/((n−1)(n−2)) off the diagonal, r the row sums without it.
    """
    n = K.shape[-1]
    K = K.clone()
    K.diagonal(dim1=-2, dim2=-1).zero_()
    sums = K.sum(-1)
    K -= (sums[..., :, None] + sums[..., None, :]) / (n - 2) - sums.sum(-1)[..., None, None] / ((n - 1) * (n - 2))
    K.diagonal(dim1=-2, dim2=-1).zero_()
    return K


class Three(NamedTuple):
    """A similarity, its mean and its standard deviation over permutations; NaN where either side has no spread."""

    value: Floats
    mean: Floats
    sd: Floats


@dataclass(frozen=True, slots=True)
class Side:
    """What the null needs of one side's centred Gram matrices M: ⟨M,M⟩, and of their diagonals in the plain form."""

    square: Floats
    trace: Floats | float = 0.0
    diagonal: Floats | float = 0.0
    """Σ M_ii²."""


def similarity(inner: Floats, n: int, one: Side, other: Side) -> Three:
    """inner / √(⟨K,K⟩⟨L,L⟩) and its null over permutations.

        mean  √(β β')/(n−1)
        var   2(n−1−β)(n−1−β')/((n+1)(n−1)²(n−2)) + γγ'/((n+1)n(n−1)(n−2)(n−3))

    with β = (tr K)²/⟨K,K⟩ and γ = n(n+1)ΣK_ii²/⟨K,K⟩ − (n−1)(β+2) of one side, β' and γ' of the other; n > 3
    [Kazi-Aoual et al. 1995; Josse, Pagès & Husson 2008]. It holds for all symmetric matrices whose rows sum to zero.
    A U-centred one has a zero diagonal: mean 0 and variance 2/(n(n−3)), whatever the states are.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        (beta, gamma), (beta_, gamma_) = (_shape(n, side) for side in (one, other))
        spread = 2 * (n - 1 - beta) * (n - 1 - beta_) / ((n + 1) * (n - 1) ** 2 * (n - 2))
        spread += gamma * gamma_ / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
        value = inner / (np.sqrt(one.square) * np.sqrt(other.square))
        mean, sd = np.sqrt(beta * beta_) / (n - 1), np.sqrt(np.maximum(spread, 0.0))
    some = (one.square > 0) & (other.square > 0)
    return Three(*(np.where(some, values, np.nan) for values in (value, mean, sd)))


def _shape(n: int, side: Side) -> tuple[Floats, Floats]:
    """β, how many equal eigenvalues would have this trace and square, and γ, how far the rows differ in length."""
    beta = side.trace**2 / side.square
    return beta, n * (n + 1) * side.diagonal / side.square - (n - 1) * (beta + 2)


class Moments:
    """Sums over rows from which both kinds of CKA follow: for more rows than features, in chunks of rows.

    With C = XᵀY, s the column sums and q = Σ_s x_s‖y_s‖²:
        ⟨K,L⟩ = ‖C‖²_F;  off the diagonal ⟨K̃',L̃'⟩ = ‖C‖² − Σ‖x_s‖²‖y_s‖²;
        row sums r_s = x_s·s_x − ‖x_s‖², so Σ_s r_s r'_s = s_xᵀC s_y − s_xᵀq_xy − s_yᵀq_yx + Σ‖x_s‖²‖y_s‖².
    """

    def __init__(self) -> None:
        self.n = 0
        self._sums: dict[str, Tensor] = {}

    def add(self, X: Tensor, Y: Tensor) -> None:
        """Rows (m, d) of both, float64, shifted by any constant row that stays the same."""
        a, b = (X**2).sum(1), (Y**2).sum(1)
        new = {
            "C": X.T @ Y,
            "sx": X.sum(0),
            "sy": Y.sum(0),
            "qxy": X.T @ b,
            "qyx": Y.T @ a,
            "ab": (a * b).sum(),
            "a": a.sum(),
            "b": b.sum(),
        }
        self._sums = {key: value + self._sums[key] for key, value in new.items()} if self._sums else new
        self.n += len(X)

    def plain(self) -> Tensor:
        """⟨HKH, HLH⟩ = ‖XᵀHY‖²."""
        s = self._sums
        centred_ = s["C"] - s["sx"][:, None] * s["sy"][None, :] / self.n
        return (centred_**2).sum()

    def debiased(self) -> Tensor:
        """⟨K̃, L̃⟩ = ⟨K',L'⟩ − 2/(n−2) Σ r_s r'_s + ΣrΣr'/((n−1)(n−2)), primes: zero diagonal."""
        s, n = self._sums, self.n
        inner = (s["C"] ** 2).sum() - s["ab"]
        rows = s["sx"] @ s["C"] @ s["sy"] - s["sx"] @ s["qxy"] - s["sy"] @ s["qyx"] + s["ab"]
        total = (s["sx"] @ s["sx"] - s["a"]) * (s["sy"] @ s["sy"] - s["b"])
        return inner - 2 * rows / (n - 2) + total / ((n - 1) * (n - 2))

    def diagonal(self) -> tuple[Tensor, Tensor]:
        """Of rows with themselves: tr HKH = Σ‖x_s − x̄‖² and Σ‖x_s − x̄‖⁴, the powers multiplied out."""
        s, n = self._sums, self.n
        m = s["sx"] / n
        c = m @ m
        fourth = s["ab"] + 4 * m @ s["C"] @ m - 4 * m @ s["qxy"] + 2 * c * s["a"] - 3 * n * c**2
        return s["a"] - n * c, fourth
