"""One pass over modules of one shape: every number about N updates there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import local
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from inspector.common.arrays import Floats
from inspector.geometry.angles import principal_angles
from inspector.geometry.cosine import cosine
from inspector.geometry.directions import crossings, top_direction
from inspector.geometry.factorise import Factorised, factorise
from inspector.geometry.gram import grams, own_grams
from inspector.geometry.inner import inner_products, inner_products_alone
from inspector.geometry.overlap import subspace_overlap
from inspector.geometry.similarity import similarity
from inspector.geometry.stack import Factors, Workspace

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class ModuleGeometry:
    """N updates at each of M modules, on the host. Pair values (P = N(N−1)/2) belong to i[p] < j[p]; NaN is n/a.

    finite (M, N): False where factors hold NaN or Inf, and then no number of theirs is; inner (M, N, N);
    sigma (M, N, r); rank (M, N); by_qr: how many updates took the QR route.
    """

    finite: Tensor
    inner: Tensor
    sigma: Tensor
    rank: Tensor
    i: Tensor
    j: Tensor
    by_qr: int

    @property
    def squares(self) -> Floats:
        """‖ΔW‖²_F, (M, N), in NumPy: torch's square root may be off by the last bit."""
        return np.diagonal(self.inner.numpy(), axis1=1, axis2=2).clip(min=0)

    @property
    def cosines(self) -> Floats:
        """⟨ΔW_i,ΔW_j⟩ / (‖ΔW_i‖‖ΔW_j‖) of the pairs, (M, P); NaN where a norm is zero."""
        i, j, squares = self.i.numpy(), self.j.numpy(), self.squares
        return cosine(self.inner.numpy()[:, i, j], squares[:, i], squares[:, j])


@dataclass(frozen=True, slots=True)
class PairGeometry(ModuleGeometry):
    """Also what takes the Gram matrices between all updates.

    u1, v1, overlap_left, overlap_right, rows, similar_left, similar_right (M, P); angles: degrees (M, P, k) per side
    asked for.
    """

    u1: Tensor
    v1: Tensor
    overlap_left: Tensor
    overlap_right: Tensor
    rows: Tensor
    similar_left: Tensor
    similar_right: Tensor
    angles: dict[Side, Tensor]


class Measurer:
    """Measures batches of modules, in any thread: the top k directions, and angles between those of these sides.

    With `products_alone` of pairs nothing but their inner products, which takes no Gram matrix of all.
    """

    def __init__(self, k: int, sides: Sequence[Side], device: str, *, products_alone: bool) -> None:
        self._k, self._sides, self._device, self._products_alone = k, sides, device, products_alone
        self._workspaces = local()

    def __call__(self, modules: Sequence[Factors]) -> ModuleGeometry:
        """The adapters of each module, all of one shape, against each other."""
        if not hasattr(self._workspaces, "here"):
            self._workspaces.here = Workspace(self._device)
        if self._products_alone:
            return measure_products(modules, self._k, self._workspaces.here)
        return measure(modules, self._k, self._sides, self._workspaces.here)


def measure_products(modules: Sequence[Factors], k: int, workspace: Workspace) -> ModuleGeometry:
    """The adapters of each module, all of one shape: each alone, and the inner products of all."""
    own = own_grams(stack := workspace.stack(modules))
    f = factorise(stack, own, k)
    found = _each(f, own.finite, inner_products_alone(f))
    return ModuleGeometry(**_on_host(found), **_pairs(f.stack.n), by_qr=f.by_qr)


def measure(modules: Sequence[Factors], k: int, sides: Sequence[Side], workspace: Workspace) -> PairGeometry:
    """Measure the adapters of each module, all of one shape, against each other."""
    g = grams(stack := workspace.stack(modules))
    finite = g.finite
    f = factorise(stack, g.own(), k)
    if f.by_qr:
        g = grams(f.stack)
    c = crossings(f, g)
    i, j = torch.triu_indices(f.stack.n, f.stack.n, 1, device=f.sigma.device)
    left, right = c.left[:, i, j, :k, :k], c.right[:, i, j]
    top = {"left": left, "right": right[..., :k, :k]}
    rank = torch.minimum(f.rank[:, i], f.rank[:, j])
    shared = rank.clamp_max(k)
    found = (
        _each(f, finite, inner_products(f, g, c))
        | {
            "u1": top_direction(left, shared > 0),
            "v1": top_direction(right, shared > 0),
            "overlap_left": subspace_overlap(left, shared),
            "overlap_right": subspace_overlap(top["right"], shared),
            "rows": subspace_overlap(right, rank),
            "similar_left": similarity(c.left[:, i, j], f.sigma[:, i], f.sigma[:, j]),
            "similar_right": similarity(right, f.sigma[:, i], f.sigma[:, j]),
        }
        | {side: principal_angles(f, top[side], i, j, side, k) for side in sides}
    )
    host = _on_host(found)
    angles = {side: host.pop(side) for side in sides}
    return PairGeometry(**host, **_pairs(f.stack.n), angles=angles, by_qr=f.by_qr)


def _each(f: Factorised, finite: Tensor, inner: Tensor) -> dict[str, Tensor]:
    """What there is of every adapter, and the inner products: NaN where factors hold NaN or Inf."""
    return {
        "finite": finite,
        "inner": inner.where(finite[:, :, None] & finite[:, None, :], torch.nan),
        "sigma": f.sigma.where(finite[..., None], torch.nan),
        "rank": f.rank,
    }


def _pairs(n: int) -> dict[str, Tensor]:
    i, j = torch.triu_indices(n, n, 1)
    return {"i": i, "j": j}


def _on_host(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same numbers on the host, by one copy."""
    flat = torch.cat([values.double().flatten() for values in found.values()]).cpu()
    parts = torch.split(flat, [values.numel() for values in found.values()])
    return {
        name: part.view(values.shape).to(values.dtype)
        for (name, values), part in zip(found.items(), parts, strict=True)
    }
