"""Which updates share a random start or a run: how much of one's whole row space lies in the other's."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.geometry.factorise import Factorised


def row_space_overlap(f: Factorised, i: Tensor, j: Tensor) -> Tensor:
    """‖V_iᵀV_j‖²_F / min(r_i, r_j) in [0, 1], (M, P), over all right singular vectors, not the top k alone.

    The row space of ΔW is that of A, which training hardly turns: 1 says the same start or run. Random row
    spaces give max(r_i, r_j) / d_in. NaN where an update is zero.
    """
    M = f.Y[:, i].mT @ f.grams.A[:, i, j] @ f.Y[:, j]
    rank = torch.minimum(f.rank[:, i], f.rank[:, j])
    return torch.where(rank > 0, (M.square().sum((-2, -1)) / rank).clamp_max(1.0), torch.nan)
