"""Linear CKA of hidden states with its null, plain and debiased, from Gram or covariance matrices, in float64.

    plain     ⟨HKH, HLH⟩ / √(⟨HKH,HKH⟩⟨HLH,HLH⟩), H = I − 11ᵀ/n              Kornblith et al. 2019
    debiased  ⟨K̃, L̃⟩ / √(⟨K̃,K̃⟩⟨L̃,L̃⟩), K̃ U-centred with zero diagonal   Székely & Rizzo 2014; Song et al. 2012

with K = XXᵀ, L = YYᵀ, rows of X (n, d_x) and Y (n, d_y) the same n inputs. The null of each is its mean and
standard deviation over all n! orders of the rows of Y, in closed form: no order is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector.probes.rows import Rows

if TYPE_CHECKING:
    from torch import Tensor

_ALWAYS_GRAM = 256
_CHUNK = 1024
FEWEST = 4
"""Rows below which the debiased form is not defined."""
KINDS = ("cka", "cka_debiased", "cka_null", "cka_debiased_null", "cka_null_sd", "cka_debiased_null_sd")
"""What `compare` gives, in its order."""


def centred(K: Tensor) -> Tensor:
    """HKH: rows and columns of the Gram matrix K (n, n) sum to zero."""
    return K - K.mean(0, keepdim=True) - K.mean(1, keepdim=True) + K.mean()


def u_centred(K: Tensor) -> Tensor:
    """The U-centred Gram matrix: zero diagonal, rows sum to zero; n > 3.

    K̃_st = K_st − r_s/(n−2) − r_t/(n−2) + Σr/((n−1)(n−2)) off the diagonal, r the row sums without it.
    """
    n = len(K)
    K = K.clone().fill_diagonal_(0)
    sums = K.sum(1)
    K = K - (sums[:, None] + sums[None, :]) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    return K.fill_diagonal_(0)


_Three = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Side:
    """What the null needs of one side's centred Gram matrix M: ⟨M,M⟩, and of its diagonal in the plain form."""

    square: float
    trace: float = 0.0
    diagonal: float = 0.0
    """Σ M_ii²."""


def similarity(inner: float, n: int, one: Side, other: Side) -> _Three:
    """(inner / √(⟨K,K⟩⟨L,L⟩), its mean, its standard deviation over permutations); NaN if either has no spread.

        mean  √(β β')/(n−1)
        var   2(n−1−β)(n−1−β')/((n+1)(n−1)²(n−2)) + γγ'/((n+1)n(n−1)(n−2)(n−3))

    with β = (tr K)²/⟨K,K⟩ and γ = n(n+1)ΣK_ii²/⟨K,K⟩ − (n−1)(β+2) of one side, β' and γ' of the other; n > 3
    [Kazi-Aoual et al. 1995; Josse, Pagès & Husson 2008]. It holds for all symmetric matrices whose rows sum to zero.
    A U-centred one has a zero diagonal: mean 0 and variance 2/(n(n−3)), whatever the states are.
    """
    if not (one.square > 0 and other.square > 0):
        return float("nan"), float("nan"), float("nan")
    beta, gamma = zip(*(_shape(n, side) for side in (one, other)), strict=True)
    spread = 2 * (n - 1 - beta[0]) * (n - 1 - beta[1]) / ((n + 1) * (n - 1) ** 2 * (n - 2))
    spread += gamma[0] * gamma[1] / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    mean = (beta[0] * beta[1]) ** 0.5 / (n - 1)
    return inner / (one.square * other.square) ** 0.5, mean, max(spread, 0.0) ** 0.5


def _shape(n: int, side: Side) -> tuple[float, float]:
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

    def side(self) -> Side:
        """Of rows with themselves: ‖HKH‖², tr HKH = Σ‖x_s − x̄‖² and Σ‖x_s − x̄‖⁴, the powers multiplied out."""
        s, n = self._sums, self.n
        m = s["sx"] / n
        c, trace = m @ m, s["a"] - n * (m @ m)
        fourth = s["ab"] + 4 * m @ s["C"] @ m - 4 * m @ s["qxy"] + 2 * c * s["a"] - 3 * n * c**2
        return Side(float(self.plain()), float(trace), float(fourth))


def compare(one: Rows, other: Rows, layer: int, device: str) -> tuple[float, ...]:
    """`KINDS` at one layer.

    Gram matrices (n, n) where rows are fewer than features, else sums over chunks of rows: never more than d².
    """
    gram = one.count <= max(one.width, _ALWAYS_GRAM)
    plain, debiased = (_by_gram if gram else _by_moments)(one, other, layer, device)
    return tuple(value for both in zip(plain, debiased, strict=True) for value in both)


def _by_gram(one: Rows, other: Rows, layer: int, device: str) -> tuple[_Three, _Three]:
    """`similarity` of both forms."""
    X, Y = one.read(layer, slice(None), device), other.read(layer, slice(None), device)
    K, L = X @ X.T, Y @ Y.T
    plain, debiased = (
        similarity(float((k * m).sum()), one.count, _side(k), _side(m))
        for k, m in ((centre(K), centre(L)) for centre in (centred, u_centred))
    )
    return plain, debiased


def _by_moments(one: Rows, other: Rows, layer: int, device: str) -> tuple[_Three, _Three]:
    """The same."""
    xx, yy, xy = Moments(), Moments(), Moments()
    for start in range(0, one.count, _CHUNK):
        rows = slice(start, start + _CHUNK)
        X, Y = one.read(layer, rows, device), other.read(layer, rows, device)
        for moments, pair in ((xx, (X, X)), (yy, (Y, Y)), (xy, (X, Y))):
            moments.add(*pair)
    sides = Side(float(xx.debiased())), Side(float(yy.debiased()))
    return (
        similarity(float(xy.plain()), one.count, xx.side(), yy.side()),
        similarity(float(xy.debiased()), one.count, *sides),
    )


def _side(M: Tensor) -> Side:
    diagonal = M.diagonal()
    return Side(float((M**2).sum()), float(diagonal.sum()), float((diagonal**2).sum()))
