"""Linear CKA of hidden states, plain and debiased, from Gram or from covariance matrices, in float64.

    plain     ⟨HKH, HLH⟩ / √(⟨HKH,HKH⟩⟨HLH,HLH⟩), H = I − 11ᵀ/n              Kornblith et al. 2019
    debiased  ⟨K̃, L̃⟩ / √(⟨K̃,K̃⟩⟨L̃,L̃⟩), K̃ U-centred with zero diagonal   Székely & Rizzo 2014; Song et al. 2012

with K = XXᵀ, L = YYᵀ, rows of X (n, d_x) and Y (n, d_y) the same n inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.probes.rows import Rows

if TYPE_CHECKING:
    from torch import Tensor

_ALWAYS_GRAM = 256
_CHUNK = 1024
FEWEST = 4
"""Rows below which the debiased form is not defined."""


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


def similarity(inner: Tensor, one: Tensor, other: Tensor) -> float:
    """inner / √(one·other); NaN where either has no spread."""
    scale = float(one) * float(other)
    return float(inner) / scale**0.5 if float(one) > 0 and float(other) > 0 else float("nan")


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


def compare(one: Rows, other: Rows, layer: int, device: str) -> tuple[float, float, float, float]:
    """(plain, debiased, plain null, debiased null) at one layer; the null has the rows of `other` shuffled.

    Gram matrices (n, n) where rows are fewer than features, else sums over chunks of rows: never more than d².
    """
    import torch

    order = torch.randperm(one.count, generator=torch.Generator().manual_seed(0))
    if one.count <= max(one.width, _ALWAYS_GRAM):
        X, Y = one.read(layer, slice(None), device), other.read(layer, slice(None), device)
        K, L = X @ X.T, Y @ Y.T
        shuffled = order.to(K.device)
        found = []
        for centre in (centred, u_centred):
            k, m = centre(K), centre(L)
            self_k, self_m = (k**2).sum(), (m**2).sum()
            null = (k * m[shuffled][:, shuffled]).sum()
            found.append((similarity((k * m).sum(), self_k, self_m), similarity(null, self_k, self_m)))
        return found[0][0], found[1][0], found[0][1], found[1][1]
    sums = [Moments() for _ in range(4)]
    for start in range(0, one.count, _CHUNK):
        rows = slice(start, start + _CHUNK)
        X, Y = one.read(layer, rows, device), other.read(layer, rows, device)
        for moments, pair in zip(sums, ((X, X), (Y, Y), (X, Y)), strict=False):
            moments.add(*pair)
        sums[3].add(X, other.read(layer, order[rows], device))
    plain, debiased = [m.plain() for m in sums], [m.debiased() for m in sums]
    return (
        similarity(plain[2], plain[0], plain[1]),
        similarity(debiased[2], debiased[0], debiased[1]),
        similarity(plain[3], plain[0], plain[1]),
        similarity(debiased[3], debiased[0], debiased[1]),
    )
