"""One pass over modules of one shape: every number about N updates there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inspector.arrays import Floats
from inspector.geometry.angles import principal_angles
from inspector.geometry.cosine import cosine
from inspector.geometry.directions import crossings, top_direction
from inspector.geometry.factorise import factorise
from inspector.geometry.inner import inner_products
from inspector.geometry.lineage import row_space_overlap
from inspector.geometry.overlap import subspace_overlap
from inspector.geometry.similarity import similarity
from inspector.geometry.stack import Factors, Workspace

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class ModuleGeometry:
    """N updates at each of M modules. Pair values (P = N(N−1)/2) belong to i[p] < j[p]; NaN is n/a.

    inner (M, N, N); sigma (M, N, r); rank (M, N); u1, v1, overlap_left, overlap_right, rows, similar_left,
    similar_right (M, P); angles: degrees (M, P, k) per side asked for; by_qr: how many updates took the QR route.
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
    similar_left: Tensor
    similar_right: Tensor
    angles: dict[Side, Tensor]
    by_qr: int

    def on_host(self) -> ModuleGeometry:
        """The same numbers in the memory of the CPU."""
        tensors: dict[str, Any] = {
            f.name: value.cpu() for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **tensors, angles={side: angles.cpu() for side, angles in self.angles.items()})

    @property
    def squares(self) -> Floats:
        """‖ΔW‖²_F, (M, N)."""
        return np.diagonal(self.inner.numpy(), axis1=1, axis2=2).clip(min=0)

    @property
    def norms(self) -> Floats:
        """‖ΔW‖_F, (M, N), by NumPy's square root: torch's may be off by the last bit."""
        return np.sqrt(self.squares)

    @property
    def cosines(self) -> Floats:
        """⟨ΔW_i,ΔW_j⟩ / (‖ΔW_i‖‖ΔW_j‖) of the pairs, (M, P); NaN where a norm is zero."""
        i, j, squares = self.i.numpy(), self.j.numpy(), self.squares
        return cosine(self.inner.numpy()[:, i, j], squares[:, i], squares[:, j])


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
        similar_left=similarity(f, c.i, c.j, "left"),
        similar_right=similarity(f, c.i, c.j, "right"),
        angles={side: principal_angles(f, c, side, k) for side in sides},
        by_qr=int(f.orthonormal.sum()),
    )
