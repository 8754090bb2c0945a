"""One module against the dense float64 oracle, on well and badly behaved factors."""

import numpy as np
import pytest
import torch

from inspector.geometry.factorise import factorise
from inspector.geometry.gram import own_grams
from inspector.geometry.module import measure
from inspector.geometry.stack import Workspace
from tests.geometry.oracle import assert_exact, factors, gauge, measured, near, only


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("d_out", "d_in"), [(120, 90), (90, 120), (64, 64)])
def test_different_ranks_and_shapes(rng, d_out, d_in):
    ranks = [16, 4, 12]
    found = assert_exact([factors(rng, d_out, d_in, r) for r in ranks], ranks)
    assert found.by_qr == 0


def test_an_adapter_and_itself(rng):
    a = factors(rng, 80, 70, 12)
    found = assert_exact([a, a], [12, 12])
    assert found.angles["left"].abs().max() < 1e-10
    assert found.u1.item() == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-7, 1e-8])
def test_nearly_identical_subspaces(rng, distance):
    a = factors(rng, 100, 80, 12)
    found = assert_exact([a, near(rng, a, distance)], [12, 12])
    worst = np.radians(found.angles["left"][0, 9].item())
    assert 0.1 * distance < worst < 10 * distance


@pytest.mark.parametrize("condition", [1e2, 1e3, 1e4, 1e5, 1e6])
def test_ill_conditioned_gauge(rng, condition):
    a, b = factors(rng, 100, 80, 12), factors(rng, 100, 80, 12)
    found = assert_exact([gauge(rng, a, condition), a, b, near(rng, a, 1e-5)], [12] * 4)
    assert found.by_qr == (condition > 3e3)


@pytest.mark.parametrize("condition", [1e3, 1e5, 1e7, 1e9])
def test_ill_conditioned_factor(rng, condition):
    """σ falls by `condition`; the top 4 vectors have a gap and must hold the bound."""
    B, A, s = factors(rng, 100, 80, 8)
    steep = (np.linalg.qr(B)[0] * np.geomspace(1, 1 / condition, 8), A, s)
    assert_exact([steep, factors(rng, 100, 80, 8)], [8, 8], k=3)


def test_zero_factors(rng):
    B, A, s = factors(rng, 60, 50, 8)
    found = assert_exact([(0 * B, A, s), (B, 0 * A, s), (B, A, 0.0), (B, A, s)], [0, 0, 0, 8])
    assert found.by_qr == 0
    assert_exact([(1e-100 * B, 1e-100 * A, 1e-150), (B, A, s)], [0, 8])  # s·σ is below the smallest number


@pytest.mark.parametrize("condition", [1, 1e5])
def test_columns_that_are_zero_on_one_side_only(rng, condition):
    """A column of B without its row of A, and a row without its column, add no rank, whatever they hold."""
    B, A, s = gauge(rng, factors(rng, 60, 50, 5), condition)
    B, A = np.insert(B, (0, 3), 7 * rng.standard_normal((60, 2)), axis=1), np.insert(A, (0, 3), 0, axis=0)
    B, A = np.insert(B, (2, 7), 0, axis=1), np.insert(A, (2, 7), 5 * rng.standard_normal((2, 50)), axis=0)
    assert_exact([(B, A, s), factors(rng, 60, 50, 4)], [5, 4], k=4)


def test_one_direction_shared_and_one_at_a_right_angle(rng):
    """0° and 90° exactly in one pair: the sine branch for the one, the cosine branch for the other."""
    Q = np.linalg.qr(rng.standard_normal((60, 5)))[0]
    V = np.linalg.qr(rng.standard_normal((50, 5)))[0]
    one = (Q[:, :3], np.diag([3.0, 2, 1]) @ V[:, :3].T, 1.0)
    two = (Q[:, [0, 3]], np.diag([5.0, 1]) @ V[:, [4, 1]].T, -2.0)
    for pair in ([one, two], [two, one]):
        found = measured(pair, 4)
        for side, u in (("left", found.u1), ("right", found.v1)):
            assert np.abs(found.angles[side][0, :2].numpy() - [0, 90]).max() < 1e-9
            assert found.angles[side][0, 2:].isnan().all()
            assert u.item() == pytest.approx(float(side == "left"), abs=1e-12)
        assert found.overlap_left.item() == pytest.approx(0.5)
        assert found.rows.item() == pytest.approx(0.5)


def test_more_columns_than_one_panel_of_the_products(rng):
    ranks = [40, 30, 25, 38]
    assert_exact([factors(rng, 70, 60, r) for r in ranks], ranks)


def test_the_stack_is_not_changed_by_what_is_measured(rng):
    a = gauge(rng, factors(rng, 60, 50, 8), 1e6)
    stack = Workspace().stack([[(torch.as_tensor(B), torch.as_tensor(A), s) for B, A, s in (a, near(rng, a, 1e-3))]])
    B, A = stack.B.clone(), stack.A.clone()
    assert factorise(stack, own_grams(stack), 3).orthonormal.tolist() == [[True, True]]
    assert torch.equal(stack.B, B)
    assert torch.equal(stack.A, A)


def test_rank_deficient_factors(rng):
    B, A, s = factors(rng, 60, 50, 4)
    duplicated = (np.concatenate([B, B], 1), np.concatenate([A, A], 0), s / 2)
    found = assert_exact([duplicated, (B, A, s), factors(rng, 60, 50, 8)], [4, 4, 8])
    assert found.by_qr == 1
    assert found.angles["left"][0, :4].abs().max() < 1e-6


def test_rank_above_the_dimensions(rng):
    assert_exact([factors(rng, 10, 30, 16), factors(rng, 10, 30, 4), factors(rng, 10, 30, 12)], [10, 4, 10])


def test_low_precision_factors_are_taken_as_they_are(rng):
    """bfloat16 values are exact in float64: the same numbers in either dtype give the same result."""
    tensors = [
        torch.from_numpy(x).bfloat16() for f in (factors(rng, 60, 50, 8), factors(rng, 60, 50, 8)) for x in f[:2]
    ]
    exact = [t.double().numpy() for t in tensors]
    a = measured([(tensors[0], tensors[1], 1.0), (tensors[2], tensors[3], 1.0)])
    b = assert_exact([(exact[0], exact[1], 1.0), (exact[2], exact[3], 1.0)], [8, 8])
    assert torch.equal(a.inner, b.inner)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("condition", [1, 1e6], ids=["Cholesky", "QR beside it"])
def test_non_finite_factors_are_named_and_reach_no_other(rng, bad, condition):
    a, b, c = (factors(rng, 60, 50, 8) for _ in range(3))
    whole = [gauge(rng, a, condition), c]
    b[1][3, 7] = bad
    found, alone = measured([whole[0], b, c]), measured(whole)
    assert found.finite.tolist() == [True, False, True]
    assert found.by_qr == alone.by_qr == (condition > 1)
    at = torch.tensor([0, 2])
    assert torch.allclose(found.inner[at][:, at], alone.inner, rtol=1e-12)
    assert torch.allclose(found.sigma[at], alone.sigma, rtol=1e-12)
    assert torch.allclose(found.angles["left"][1], alone.angles["left"][0], rtol=0, atol=1e-6, equal_nan=True)
    assert found.inner[1].isnan().all()
    assert found.inner[:, 1].isnan().all()
    assert found.sigma[1].isnan().all()
    angle = found.angles["right"][:, 0]
    for values in (found.u1, found.v1, found.overlap_left, found.overlap_right, found.rows, angle):
        assert values.isnan().tolist() == [True, False, True]


def test_modules_together_are_each_as_alone(rng):
    """Well-behaved, ill-conditioned, nearly identical, zero and of lower rank: none changes what the others give."""
    a, b, low = factors(rng, 60, 50, 8), factors(rng, 60, 50, 8), factors(rng, 60, 50, 3)
    thin = tuple(np.concatenate([x, 0 * x], axis) for x, axis in zip(factors(rng, 60, 50, 4)[:2], (1, 0), strict=True))
    modules = [
        [a, b, low], [gauge(rng, a, 1e5), b, low], [a, near(rng, a, 1e-7), low], [(0 * a[0], *a[1:]), b, low],
        [b, a, gauge(rng, low, 1e6)], [(*thin, 1.0), b, low], [near(rng, b, 1e-5), b, low],
    ]  # fmt: skip
    tensors = [[(torch.as_tensor(B), torch.as_tensor(A), s) for B, A, s in module] for module in modules]
    together = measure(tensors, 10, ("left", "right"), Workspace())
    for at, module in enumerate(modules):
        found, alone = only(together, at), measured(module)
        assert torch.equal(found.rank, alone.rank)
        for name in ("inner", "u1", "v1", "overlap_left", "overlap_right", "rows"):
            assert torch.allclose(getattr(found, name), getattr(alone, name), rtol=1e-12, equal_nan=True), (at, name)
        assert list(found.angles) == list(alone.angles) == ["left", "right"]
        for side, angles in alone.angles.items():
            assert torch.allclose(found.angles[side], angles, rtol=0, atol=1e-6, equal_nan=True), (at, side)
    assert together.by_qr == 2


def test_non_finite_factors_of_one_module_of_several(rng):
    a, b, bad = (factors(rng, 60, 50, 8) for _ in range(3))
    bad[0][0, 0] = np.nan
    tensors = [[(torch.as_tensor(B), torch.as_tensor(A), s) for B, A, s in module] for module in ([a, b], [bad, b])]
    assert measure(tensors, 10, ("left",), Workspace()).finite.tolist() == [[True, True], [False, True]]


def test_one_adapter_alone(rng):
    found = assert_exact([factors(rng, 60, 50, 8)], [8])
    assert found.u1.numel() == 0


def test_extreme_magnitudes(rng):
    """‖ΔW‖ from 1e-20 to 1e20: nothing depends on the units."""
    B, A, s = factors(rng, 60, 50, 8)
    assert_exact([(B * 1e-20, A, s), (B, A * 1e20, s), (B * 1e8, A * 1e-8, s)], [8, 8, 8])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("r", [16, 40], ids=["decomposed there", "decomposed on the host"])
def test_cuda_agrees_with_cpu(rng, r):
    """Several modules: by Cholesky, by QR, nearly identical, twice the same, with NaN."""
    a, b, broken = (factors(rng, 300, 200, r) for _ in range(3))
    broken = (np.where(np.arange(r) == 3, np.nan, broken[0]), *broken[1:])
    modules = [[a, b, near(rng, a, 1e-7)], [gauge(rng, a, 1e6), b, a], [a, broken, b], [b, a, b]]
    tensors = [[(torch.as_tensor(B), torch.as_tensor(A), s) for B, A, s in module] for module in modules]
    gpu, cpu = (measure(tensors, 10, ("left", "right"), Workspace(device)) for device in ("cuda", "cpu"))
    assert torch.equal(gpu.finite, cpu.finite)
    assert torch.equal(gpu.rank, cpu.rank)
    assert gpu.by_qr == cpu.by_qr > 0
    for name in ("inner", "sigma", "u1", "v1", "overlap_left", "overlap_right", "rows"):
        one, other = getattr(gpu, name), getattr(cpu, name)
        assert one.device.type == "cpu"
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True), name
    for side, angles in cpu.angles.items():
        assert torch.allclose(gpu.angles[side], angles, rtol=0, atol=1e-6, equal_nan=True), side


@pytest.mark.parametrize("turned", [False, True], ids=["B", "A"])
@pytest.mark.parametrize("k", [1, 2])
def test_rounding_of_the_vectors_is_that_of_the_worse_factor(turned, k):
    """Nearly parallel columns of B, or rows of A, beside unit vectors: ε·ρ² of the worst of the top k."""
    bad, good = torch.tensor([[1, 1], [0, 0.01], [0, 0]], dtype=torch.float64), torch.eye(2, 4, dtype=torch.float64)
    B, A = (good.mT, bad.mT) if turned else (bad, good)
    stack = Workspace().stack([[(B, A, 1.0)]])
    found = factorise(stack, own_grams(stack), k)
    U, S, Vh = torch.linalg.svd(B @ A, full_matrices=False)
    rho = torch.stack([
        B.norm(dim=0) @ (torch.linalg.pinv(B) @ U[:, :2]).abs(),
        A.norm(dim=1) @ (torch.linalg.pinv(A.mT) @ Vh[:2].mT).abs(),
    ])  # fmt: skip
    values = (S[:2] / S[0] * rho.square().sum(0) / 2).max()
    worst = max(float(rho[:, :k].max()) ** 2, float(values))
    assert float(found.loss) == pytest.approx(worst * torch.finfo(torch.float64).eps, rel=1e-6, abs=0)
    assert not found.orthonormal.any()


def test_factors_of_mixed_precision_and_rank_are_stacked_exactly(rng):
    """float8 promotes to nothing, and all updates of an adapter travel in one piece."""
    kinds = [torch.float8_e4m3fn, torch.bfloat16, torch.float64]
    modules = [
        [
            (torch.as_tensor(B).to(kind), torch.as_tensor(A).to(kind), s)
            for (B, A, s), kind in zip(made, turn, strict=True)
        ]
        for turn in (kinds, kinds[1:] + kinds[:1])
        if (made := [factors(rng, 12, 9, r, s) for r, s in ((3, 2.0), (5, -1.0), (4, 0.0))])
    ]
    workspace = Workspace()
    workspace.stack([[(torch.full((20, 7), torch.nan), torch.full((7, 20), torch.nan), 1.0)] * 4])
    stack = workspace.stack(modules)
    for m, module in enumerate(modules):
        for i, (B, A, s) in enumerate(module):
            beyond = (0, 5 - B.shape[1])
            assert torch.equal(stack.outputs()[m, i], torch.nn.functional.pad(B.double() * (s != 0), beyond))
            assert torch.equal(stack.inputs()[m, i], torch.nn.functional.pad(A.double().mT, beyond))
    assert stack.scale.tolist() == [[2, -1, 1]] * 2


def test_decompositions_on_the_host_are_the_same(rng, monkeypatch):
    """What CUDA cannot batch: chunks of matrices, in threads."""
    a = factors(rng, 60, 50, 40)
    modules = [[a, near(rng, a, d), gauge(rng, a, c)] for d, c in [(1e-7, 1e5), (1e-3, 1.0)] * 10]
    tensors = [[(torch.as_tensor(B), torch.as_tensor(A), s) for B, A, s in module] for module in modules]
    here = measure(tensors, 40, ("left",), Workspace())
    monkeypatch.setattr("inspector.geometry.svd._by_host", lambda _M: True)
    there = measure(tensors, 40, ("left",), Workspace())
    assert torch.allclose(there.sigma, here.sigma, rtol=1e-12)
    assert torch.allclose(there.angles["left"], here.angles["left"], rtol=0, atol=1e-6)
    assert there.by_qr == here.by_qr > 0


def test_rounding_of_the_norm_is_that_of_all_columns():
    """ε·(Σ|b||a|/‖ΔW‖)²: four orthonormal columns give 4 ε where each vector alone is at ε."""
    B, A = torch.eye(5, 4, dtype=torch.float64), torch.eye(4, 6, dtype=torch.float64)
    stack = Workspace().stack([[(B, A, 1.0)]])
    loss = factorise(stack, own_grams(stack), 1).loss
    assert float(loss) == pytest.approx(4 * torch.finfo(torch.float64).eps, rel=1e-12, abs=0)
