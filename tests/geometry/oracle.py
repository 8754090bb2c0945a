"""The reference: dense float64 SVDs of ΔW, and SciPy's angles between their vectors."""

from dataclasses import dataclass, fields, replace

import numpy as np
import scipy.linalg
import torch

from inspector.geometry.module import ModuleGeometry, measure
from inspector.geometry.stack import Workspace

Factors = tuple[np.ndarray, np.ndarray, float]

COSINE = NORM = SIGMA = SIMILARITY = 1e-9
ROWS = 1e-6
"""Trailing singular vectors are not held to more."""
ANGLE = 1e-6
"""Degrees."""


def factors(rng: np.random.Generator, d_out: int, d_in: int, r: int, s: float = 2.0) -> Factors:
    return rng.standard_normal((d_out, r)), rng.standard_normal((r, d_in)), s


def near(rng: np.random.Generator, f: Factors, distance: float) -> Factors:
    """The same update with B moved by `distance` relative: subspaces about that many radians apart."""
    B, A, s = f
    return B + distance * rng.standard_normal(B.shape), A, s


def gauge(rng: np.random.Generator, f: Factors, condition: float) -> Factors:
    """(B G, G⁻¹ A) with G of this condition number: the same ΔW."""
    B, A, s = f
    r = B.shape[1]
    left, right = (np.linalg.qr(rng.standard_normal((r, r)))[0] for _ in range(2))
    spectrum = np.geomspace(1.0, 1.0 / condition, r)
    return B @ (left * spectrum) @ right, right.T @ ((left / spectrum).T @ A), s


def measured(all_factors: list[Factors], k: int = 10) -> ModuleGeometry:
    tensors = [(torch.as_tensor(B), torch.as_tensor(A), s) for B, A, s in all_factors]
    return only(measure([tensors], k, ("left", "right"), Workspace()))


def only(found: ModuleGeometry, at: int = 0) -> ModuleGeometry:
    """The numbers of one of the modules, without their axis."""
    numbers = {f.name: getattr(found, f.name) for f in fields(found) if f.name not in {"i", "j", "angles", "by_qr"}}
    angles = {side: values[at] for side, values in found.angles.items()}
    return replace(found, **{name: values[at] for name, values in numbers.items()}, angles=angles)


@dataclass(frozen=True)
class Dense:
    """ΔW and its SVD, with the true rank given by whoever made it."""

    W: np.ndarray
    U: np.ndarray
    sigma: np.ndarray
    V: np.ndarray
    rank: int

    @classmethod
    def of(cls, f: Factors, rank: int) -> "Dense":
        W = f[2] * (f[0].astype(np.float64) @ f[1].astype(np.float64))
        U, sigma, Vh = np.linalg.svd(W, full_matrices=False)
        return cls(W, U, sigma, Vh.T, rank)


def assert_exact(all_factors: list[Factors], ranks: list[int], k: int = 10) -> ModuleGeometry:
    """Cosine, norm and σ within 1e-9, angles within 1e-6° of dense float64, both sides, all pairs."""
    found = measured(all_factors, k)
    dense = [Dense.of(f, rank) for f, rank in zip(all_factors, ranks, strict=True)]
    assert found.rank.tolist() == ranks
    for i, d in enumerate(dense):
        norm = np.linalg.norm(d.W)
        assert abs(found.inner[i, i].sqrt().item() - norm) <= NORM * norm
        expected = np.pad(d.sigma, (0, found.sigma.shape[1]))[: found.sigma.shape[1]]
        assert np.abs(found.sigma[i].numpy() - expected).max() <= SIGMA * max(d.sigma[0], 1e-300)
        assert not found.sigma[i, d.rank :].any(), "zero beyond the rank, not rounding"
    for p, (i, j) in enumerate(zip(found.i.tolist(), found.j.tolist(), strict=True)):
        assert_pair_exact(found, p, dense[i], dense[j], i, j, k)
    return found


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """⟨aaᵀ,bbᵀ⟩_F / (‖aaᵀ‖_F ‖bbᵀ‖_F), of updates of any size."""
    P, Q = (x @ x.T for x in (a / np.abs(a).max(), b / np.abs(b).max()))
    return float(np.sum(P * Q) / np.linalg.norm(P) / np.linalg.norm(Q))


def assert_pair_exact(found: ModuleGeometry, p: int, one: Dense, other: Dense, i: int, j: int, k: int) -> None:
    m = min(one.rank, other.rank, k)
    if m == 0:
        assert found.u1[p].isnan()
        assert found.overlap_left[p].isnan()
        assert found.angles["left"][p].isnan().all()
        assert found.rows[p].isnan()
        assert found.similar_left[p].isnan()
        assert found.similar_right[p].isnan()
        return
    assert abs(found.similar_left[p].item() - similarity(one.W, other.W)) <= SIMILARITY
    assert abs(found.similar_right[p].item() - similarity(one.W.T, other.W.T)) <= SIMILARITY
    rows = np.linalg.norm(one.V[:, : one.rank].T @ other.V[:, : other.rank]) ** 2 / min(one.rank, other.rank)
    assert abs(found.rows[p].item() - rows) <= ROWS
    product = np.linalg.norm(one.W) * np.linalg.norm(other.W)
    assert abs(found.inner[i, j].item() - np.sum(one.W * other.W)) <= COSINE * product
    k_one, k_other = min(one.rank, k), min(other.rank, k)
    for side, (U, W), top, overlap in (
        ("left", (one.U, other.U), found.u1, found.overlap_left),
        ("right", (one.V, other.V), found.v1, found.overlap_right),
    ):
        expected = np.sort(np.degrees(scipy.linalg.subspace_angles(U[:, :k_one], W[:, :k_other])))
        angles = found.angles[side][p].numpy()
        assert np.abs(angles[:m] - expected).max() <= ANGLE, (side, angles[:m] - expected)
        assert np.isnan(angles[m:]).all()
        assert abs(top[p].item() - abs(U[:, 0] @ W[:, 0])) <= 1e-8
        assert abs(overlap[p].item() - np.linalg.norm(U[:, :k_one].T @ W[:, :k_other]) ** 2 / m) <= 1e-8
