"""How much of one subspace of singular vectors lies in another."""

from __future__ import annotations

import torch
from torch import Tensor


def subspace_overlap(M: Tensor, k: Tensor) -> Tensor:
    """‖UᵀU'‖²_F / k in [0, 1], (M, P), from UᵀU' (M, P, k_max, k_max).

    k (M, P): the smaller of the two true dimensions; 0 gives NaN. Random subspaces give k'/d, the larger
    dimension over the space's. Of the top k directions, or of all: all right ones span the row space of ΔW, that of A,
    which training hardly turns, so that 1 says the same start or run.
    """
    return torch.where(k > 0, (M.square().sum((-2, -1)) / k).clamp_max(1.0), torch.nan)
