"""An adapter that trains: norms, spectra and cosines from the r×r Gram products of its factors, no ΔW built.

⟨ΔW, ΔW'⟩ = s·s'·Σ (BᵀB' ∘ AA'ᵀ), and σ² are the eigenvalues of s²·G_A^½ G_B G_A^½ with G_B = BᵀB, G_A = AAᵀ. The
products run in float64 on the factors' device; what comes back is r×r, in one copy for each device.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inspector.common.arrays import Floats


@dataclass(frozen=True, slots=True)
class Update:
    """ΔW = scale·B·A of one module: B (d_out, r), A (r, d_in); kernels of convolutions are flattened when read."""

    B: Tensor
    A: Tensor
    scale: float

    def copy(self) -> Update:
        """Of now: what is trained changes in place."""
        return Update(self.B.detach().clone(), self.A.detach().clone(), self.scale)


@dataclass(frozen=True, slots=True)
class Reading:
    """What M modules are at one moment.

    sigma: M spectra, descending, zeros where broken; inner (others, M): ⟨ΔW, ΔW'⟩ with each of the others; broken (M,):
    whether the factors hold NaN or Inf; grams: (G_B, G_A) of each, by which it is known whether a module moved.
    """

    sigma: tuple[Floats, ...]
    inner: Floats
    broken: tuple[bool, ...]
    grams: tuple[tuple[Floats, Floats], ...]

    @property
    def norms(self) -> Floats:
        """‖ΔW‖_F of every module, 0 where broken."""
        return np.array([np.sqrt((sigma**2).sum()) for sigma in self.sigma])

    def still(self, before: Reading) -> tuple[int, ...]:
        """The modules whose factors are what they were."""
        pairs = enumerate(zip(self.grams, before.grams, strict=True))
        return tuple(m for m, (one, other) in pairs if all(map(np.array_equal, one, other)))


@torch.no_grad()
def read(updates: Sequence[Update], others: Sequence[Sequence[Update | None]] = ()) -> Reading:
    """Measure the modules, and their inner products with each of the others (None: that has no such module, 0)."""
    pieces: dict[torch.device, list[Tensor]] = defaultdict(list)
    for m, update in enumerate(updates):
        B, A = _wide(update.B), _wide(update.A)
        inner = [_inner(B, A, update.scale, other[m]) for other in others]
        pieces[B.device] += [(B.mT @ B).flatten(), (A @ A.mT).flatten(), *inner]
    copied = {device: iter(_copied(found)) for device, found in pieces.items()}
    sigma, broken, grams, products = [], [], [], []
    for update in updates:
        G_B, G_A, *values = (next(copied[update.B.device]) for _ in range(2 + len(others)))
        r = update.A.shape[0]
        grams.append((G_B.reshape(r, r), G_A.reshape(r, r)))
        broken.append(not (np.isfinite(G_B).all() and np.isfinite(G_A).all()))
        sigma.append(np.zeros(r) if broken[-1] else _spectrum(*grams[-1]) * abs(update.scale))
        products.append([0.0 if broken[-1] else float(value[0]) for value in values])
    inner_products = np.array(products).reshape(len(updates), len(others)).T
    return Reading(tuple(sigma), inner_products, tuple(broken), tuple(grams))


def _inner(B: Tensor, A: Tensor, scale: float, other: Update | None) -> Tensor:
    """⟨ΔW, ΔW'⟩, (1,)."""
    if other is None:
        return B.new_zeros(1)
    B_, A_ = _wide(other.B.to(B.device)), _wide(other.A.to(A.device))
    return (scale * other.scale * ((B.mT @ B_) * (A @ A_.mT)).sum()).reshape(1)


def _copied(pieces: Sequence[Tensor]) -> list[Floats]:
    """On the CPU, by one copy."""
    flat = torch.cat(list(pieces)).cpu().double().numpy()
    return np.split(flat, np.cumsum([piece.numel() for piece in pieces])[:-1])


def _spectrum(G_B: Floats, G_A: Floats) -> Floats:
    """σ of B·A, descending; those below σ₁·1e-8 are rounding."""
    values, vectors = np.linalg.eigh(G_A)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(np.sqrt(np.maximum(np.linalg.eigvalsh(root.T @ G_B @ root), 0.0))[::-1])


def _wide(factor: Tensor) -> Tensor:
    """A matrix in float64, which Apple's GPUs do not have."""
    return factor.detach().flatten(1).to(torch.float32 if factor.device.type == "mps" else torch.float64)
