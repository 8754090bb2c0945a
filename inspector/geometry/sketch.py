"""Sketches: what an update is, in a few thousand numbers of a size that depends on nothing.

S = PᵀXQ/√(pq) with signs P (d_out, p), Q (d_in, q) drawn for each module has E⟨S,S'⟩_F = ⟨X,X'⟩_F. Modules have signs
of their own, so the sum of their sketches is a sketch of all of them together: what is left of ⟨S_m,S'_n⟩ is noise of
mean zero. Signs come from a seed and the module's name and shape alone: any two machines draw the same.

Three X of a module are sketched: ΔW itself; what it writes, ΔWΔWᵀ/‖ΔWΔWᵀ‖_F; its row space, VVᵀ/√rank. The latter two
take independent signs P₁, P₂ (or Q₁, Q₂) on their two sides: with one P on both, tr X·tr X'/p would be added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inspector.geometry.factorise import Factorised
from inspector.geometry.sketch_error import BY_LAYER, WIDTH


@dataclass(frozen=True, slots=True)
class Signs:
    """±1 of M modules of one shape: outputs (2, M, d_out, WIDTH) and inputs (2, M, d_in, WIDTH), int8."""

    outputs: Tensor
    inputs: Tensor


def signs(modules: Sequence[str], d_out: int, d_in: int, seed: int) -> Signs:
    """The signs of these modules, which a seed and their names and shape decide."""
    both = [
        torch.stack([torch.stack([_drawn(f"{seed} {module} {d_out}x{d_in} {side}{n}", d) for module in modules])
                     for n in (1, 2)])
        for side, d in (("P", d_out), ("Q", d_in))
    ]  # fmt: skip
    return Signs(*both)


def _drawn(key: str, d: int) -> Tensor:
    """(d, WIDTH) of ±1 from SHAKE-256: the same bits everywhere, whatever library draws random numbers here."""
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(key.encode()).digest(d * WIDTH // 8), np.uint8))
    return torch.from_numpy(bits.astype(np.int8) * 2 - 1).view(d, WIDTH)


@dataclass(frozen=True, slots=True)
class ModuleSketches:
    """Of one adapter at M modules, float64.

    update, outputs, rows (M, WIDTH, WIDTH); the small ones (M, BY_LAYER, BY_LAYER), from the first signs alone.
    """

    update: Tensor
    outputs: Tensor
    rows: Tensor
    update_small: Tensor
    outputs_small: Tensor


def sketch_modules(f: Factorised, drawn: Signs) -> ModuleSketches:
    """The sketches of the one adapter that is factorised, from its U, Σ, V; zero of an update that is."""
    sigma, rank = f.sigma[:, 0], f.rank[:, 0]
    # float32 is enough of orthonormal U and V: rounding is far below what a sketch leaves open.
    U, V = (f.stack.outputs()[:, 0] @ f.X[:, 0]).float(), (f.stack.inputs()[:, 0] @ f.Y[:, 0]).float()
    U1, U2 = (each.float().mT @ U for each in drawn.outputs)
    V1, V2 = (each.float().mT @ V for each in drawn.inputs)
    U1, U2, V1, V2 = (x.double() for x in (U1, U2, V1, V2))
    energy = sigma.square()
    written = energy / energy.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(energy.dtype).tiny)
    update, outputs = (U1 * sigma[:, None, :]) @ V1.mT, (U1 * written[:, None, :]) @ U2.mT
    rows = V1 @ V2.mT / rank.clamp_min(1).sqrt()[:, None, None]
    small = (x[:, :BY_LAYER, :BY_LAYER] / BY_LAYER for x in (update, outputs))
    return ModuleSketches(update / WIDTH, outputs / WIDTH, rows / WIDTH, *small)
