"""One pass over modules of one shape: every number about N updates there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from inspector.geometry.angles import principal_angles
from inspector.geometry.directions import crossings, top_direction
from inspector.geometry.factorise import factorise
from inspector.geometry.inner import inner_products
from inspector.geometry.lineage import row_space_overlap
from inspector.geometry.overlap import subspace_overlap
from inspector.geometry.stack import Factors, Workspace

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class ModuleGeometry:
    """N updates at each of M modules. Pair values (P = N(N−1)/2) belong to i[p] < j[p]; NaN is n/a.

    inner (M, N, N); sigma (M, N, r); rank (M, N); u1, v1, overlap_left, overlap_right, rows (M, P);
    angles: degrees (M, P, k) per side asked for; by_qr: how many updates took the QR route.
    """

    inner: Tensor
    sigma: Tensor
    rank: Tensor
    i: Tensor
    j: Tensor
    u1: Tensor
    v1: Tensor
    overlap_left: Tensor
    overlap_right: Tensor
    rows: Tensor
    angles: dict[Side, Tensor]
    by_qr: int


def measure(modules: Sequence[Factors], k: int, sides: Sequence[Side], workspace: Workspace) -> ModuleGeometry:
    """Measure the adapters of each module, finite and all of one shape, against each other."""
    f = factorise(workspace.stack(modules), k)
    c = crossings(f, k)
    shared = torch.minimum(f.rank[:, c.i], f.rank[:, c.j]).clamp_max(k)
    return ModuleGeometry(
        inner=inner_products(f),
        sigma=f.sigma,
        rank=f.rank,
        i=c.i,
        j=c.j,
        u1=top_direction(c.left, shared > 0),
        v1=top_direction(c.right, shared > 0),
        overlap_left=subspace_overlap(c.left, shared),
        overlap_right=subspace_overlap(c.right, shared),
        rows=row_space_overlap(f, c.i, c.j),
        angles={side: principal_angles(f, c, side, k) for side in sides},
        by_qr=int(f.orthonormal.sum()),
    )
