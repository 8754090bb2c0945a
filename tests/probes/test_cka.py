"""CKA against its textbook forms, closed forms, and the two routes against each other."""

import itertools

import numpy as np
import pytest
import torch

from inspector.base_model.encode import Encoded
from inspector.probes import cka, comparison
from inspector.probes.comparison import Comparison
from inspector.probes.rows import Rows


def textbook_plain(X: np.ndarray, Y: np.ndarray) -> float:
    """‖YᵀX‖² / (‖XᵀX‖‖YᵀY‖) on centred columns."""
    X, Y = X - X.mean(0), Y - Y.mean(0)
    return float(np.linalg.norm(Y.T @ X) ** 2 / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y)))


def hsic_unbiased(X: np.ndarray, Y: np.ndarray) -> float:
    """Song et al. 2012, equation 5, written out."""
    n = len(X)
    X, Y = X - X.mean(0), Y - Y.mean(0)  # changes nothing but the rounding
    K, L = X @ X.T, Y @ Y.T
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    one = np.ones(n)
    return float(
        (np.trace(K @ L) + one @ K @ one * (one @ L @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ K @ L @ one))
        / (n * (n - 3))
    )


def textbook_debiased(X: np.ndarray, Y: np.ndarray) -> float:
    return hsic_unbiased(X, Y) / (hsic_unbiased(X, X) * hsic_unbiased(Y, Y)) ** 0.5


def rows(X: np.ndarray, dtype: torch.dtype = torch.float64) -> Rows:
    """X (n, d) as the only layer of n prompts of two tokens."""
    held = Rows([Encoded((1, 2), 2)] * len(X), "last", 1)
    states = torch.from_numpy(X)[:, None].repeat(1, 2, 1).to(dtype)
    held.write(range(len(X)), [states, states], torch.ones(len(X), 2, dtype=torch.long))
    return held


def compared(X: np.ndarray, Y: np.ndarray, dtype: torch.dtype = torch.float64) -> tuple[float, ...]:
    both = Comparison(2, "cpu")
    assert both.add(rows(X, dtype)).shape == (0, 1, 6)
    return tuple(both.add(rows(Y, dtype))[0, 0].tolist())


def null(X: np.ndarray, Y: np.ndarray) -> list[float]:
    """Means of both forms over all orders of Y's rows, then standard deviations: every order, written out."""
    orders = [list(order) for order in itertools.permutations(range(len(Y)))]
    values = np.array([[form(X, Y[order]) for form in (textbook_plain, textbook_debiased)] for order in orders])
    return [*values.mean(0), *values.std(0)]


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two related sets of states with a large common mean, as real ones have."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((40, 6))
    X = shared @ rng.standard_normal((6, 10)) + 0.5 * rng.standard_normal((40, 10)) + 100
    Y = shared @ rng.standard_normal((6, 12)) + 0.5 * rng.standard_normal((40, 12)) - 50
    return X, Y


@pytest.mark.parametrize("gram", [True, False], ids=["gram", "covariance"])
def test_both_routes_equal_the_textbook(
    pair: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, gram: bool
) -> None:
    if not gram:
        monkeypatch.setattr(comparison, "_ALWAYS_GRAM", 0)
        monkeypatch.setattr(comparison, "_CHUNK", 7)
    plain, debiased, *_ = compared(*pair)
    assert plain == pytest.approx(textbook_plain(*pair), abs=1e-10)
    assert debiased == pytest.approx(textbook_debiased(*pair), abs=1e-9)


@pytest.mark.parametrize("gram", [True, False], ids=["gram", "covariance"])
@pytest.mark.parametrize(("n", "d", "seed"), [(4, 3, 0), (5, 2, 1), (6, 3, 2), (6, 40, 3)])
def test_the_null_is_over_all_orders(n: int, d: int, seed: int, gram: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row far from the others on one side, a large common mean on the other."""
    if not gram:
        monkeypatch.setattr(comparison, "_ALWAYS_GRAM", 0)
        monkeypatch.setattr(comparison, "_CHUNK", 3)
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((n, d + 1)) + 5
    X[1] *= 4
    assert compared(X, Y)[2:] == pytest.approx(null(X, Y), abs=1e-9)
    assert compared(Y, X)[2:] == pytest.approx(compared(X, Y)[2:], abs=1e-12)


def test_the_debiased_null_depends_on_the_number_of_rows_alone() -> None:
    for n, seed in ((10, 0), (100, 1)):
        rng = np.random.default_rng(seed)
        found = compared(rng.standard_normal((n, 7)) ** 3, rng.standard_normal((n, 5)))
        assert found[3] == pytest.approx(0, abs=1e-12)
        assert found[5] == pytest.approx((2 / (n * (n - 3))) ** 0.5, abs=1e-12)


def test_rows_of_equal_length_in_all_directions_are_alike_in_every_order() -> None:
    """K̂ = c·H: each order gives tr(H L̂) again, plain CKA has no spread."""
    X = np.eye(6)
    Y = np.random.default_rng(0).standard_normal((6, 3))
    plain, _, mean, _, sd, _ = compared(X, Y)
    assert plain == pytest.approx(mean, abs=1e-12)
    assert sd == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("drift", [0.0, 50.0])
def test_more_rows_than_the_reader_looks_at_for_its_shift(drift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows after the first 256 lie elsewhere: only exact centring gives the textbook's numbers, on both routes."""
    rng = np.random.default_rng(5)
    shared = rng.standard_normal((700, 4))
    X, Y = (shared @ rng.standard_normal((4, 6)) + rng.standard_normal((700, 6)) for _ in range(2))
    X[256:, 0] += drift
    Y[300:, 1] += drift
    found = [compared(X, Y)]
    monkeypatch.setattr(comparison, "_ALWAYS_GRAM", 1000)
    found.append(compared(X, Y))
    assert found[0] == pytest.approx(found[1], rel=1e-7, abs=1e-9)
    assert found[0][:2] == pytest.approx((textbook_plain(X, Y), textbook_debiased(X, Y)), rel=1e-9)
    drawn = np.array([textbook_plain(X, Y[rng.permutation(700)]) for _ in range(400)])
    assert found[0][2] == pytest.approx(drawn.mean(), abs=5 * drawn.std() / 20)
    assert found[0][4] == pytest.approx(drawn.std(), rel=0.3)


@pytest.mark.parametrize(("n", "width"), [(300, 20), (300, 400), (1100, 20)], ids=["chunk", "gram", "chunks"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_rows_that_drift_away_from_the_first_ones(n: int, width: int, dtype: torch.dtype) -> None:
    """Every term of the centring counts: the reader takes off the mean of the first rows, which is not that of all."""
    rng, far = np.random.default_rng(5), 1e5 if dtype == torch.float64 else 9
    shared, drift = rng.standard_normal((n, 6)), 2.0 * (np.arange(n)[:, None] >= 256)
    X, Y = (
        shared @ rng.standard_normal((6, d)) * a + rng.standard_normal((n, d)) + drift * rng.standard_normal(d) + mean
        for d, a, mean in ((width, 0.5, far), (width - 7, 0.3, -4))
    )
    X, Y = (torch.from_numpy(x).to(dtype).double().numpy() for x in (X, Y))
    plain, debiased = compared(X, Y, dtype)[:2]
    assert plain == pytest.approx(textbook_plain(X, Y), abs=1e-9)
    assert debiased == pytest.approx(textbook_debiased(X, Y), abs=1e-9)
    assert 0.1 < debiased < plain < 0.98
    assert np.abs(X[:256].mean(0) - X.mean(0)).max() > 0.3


def test_a_layer_is_read_in_part_and_less_the_mean_of_its_first_rows() -> None:
    X = np.random.default_rng(1).standard_normal((400, 5)) + np.arange(400)[:, None] + 1e6
    held, expected = rows(X), X - X[:256].mean(0)
    for part in (slice(None), slice(3, 7), torch.tensor([399, 0, 300])):
        np.testing.assert_allclose(held.read(0, part, "cpu"), expected[part], rtol=0, atol=1e-9)


def test_states_with_themselves_rotated_or_scaled_are_one(pair: tuple[np.ndarray, np.ndarray]) -> None:
    X = pair[0]
    Q, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((10, 10)))
    for other in (X, X @ Q, -3 * X, X + 7):
        assert compared(X, other)[:2] == pytest.approx((1.0, 1.0), abs=1e-9)


def test_independent_gaussians_look_alike_to_the_plain_form_only() -> None:
    """n = 100, d = 2560: geometry's .96 and about 0."""
    rng = np.random.default_rng(0)
    plain, debiased, *_ = compared(rng.standard_normal((100, 2560)), rng.standard_normal((100, 2560)))
    assert plain == pytest.approx(0.96, abs=0.01)
    assert abs(debiased) < 0.1


def test_debiased_is_unbiased_around_zero() -> None:
    rng = np.random.default_rng(3)
    found = [compared(rng.standard_normal((12, 5)), rng.standard_normal((12, 5)))[1] for _ in range(300)]
    assert abs(np.mean(found)) < 3 * np.std(found) / len(found) ** 0.5 + 0.01


@pytest.mark.parametrize("n", [10, 300], ids=["gram", "covariance"])
@pytest.mark.parametrize("still", [(0,), (1,), (0, 1)])
def test_states_without_spread_are_not_a_number(n: int, still: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    sides = [np.ones((n, 4)) if side in still else rng.standard_normal((n, 4)) for side in (0, 1)]
    found = compared(*sides)
    assert len(found) == len(cka.KINDS) == 6
    assert np.isnan(found).all()


@pytest.mark.parametrize("scales", [(1e-12, 1.0), (1.0, 1e-12), (1e-9, 1e9)])
def test_similarity_and_its_null_do_not_depend_on_scale(scales: tuple[float, float]) -> None:
    """M and cM for a Gram matrix M: ⟨M,M⟩ and ΣM_ii² have c², the trace and the inner product c."""
    sides = [cka.Side(np.array(9.0), 4.0, 3.0), cka.Side(np.array(7.0), 5.0, 4.0)]
    scaled = [cka.Side(c**2 * s.square, c * s.trace, c**2 * s.diagonal) for c, s in zip(scales, sides, strict=True)]
    known = cka.similarity(np.array(2.0), 9, *sides)
    np.testing.assert_allclose(cka.similarity(np.array(2.0 * scales[0] * scales[1]), 9, *scaled), known, rtol=1e-6)


def test_u_centred_rows_sum_to_zero() -> None:
    K = torch.from_numpy(np.random.default_rng(0).standard_normal((9, 9)))
    centred = cka.u_centred(K + K.T)
    assert centred.sum(1).abs().max() < 1e-12
    assert centred.diagonal().abs().max() == 0


def many(layers: int, n: int, d: int, models: int) -> list[np.ndarray]:
    """States (layers, n, d) of models that are alike, less so from layer to layer, with a common mean."""
    rng = np.random.default_rng(8)
    shared = rng.standard_normal((layers, n, d)) + 20
    drift = np.arange(1, layers + 1)[:, None, None]
    return [shared + drift * rng.standard_normal((layers, n, d)) for _ in range(models)]


def layered(X: np.ndarray) -> Rows:
    """Rows of several layers (L, n, d)."""
    held = Rows([Encoded((1, 2), 2)] * X.shape[1], "last", len(X))
    states = [torch.from_numpy(h)[:, None].repeat(1, 2, 1) for h in (X[0], *X)]
    held.write(range(X.shape[1]), states, torch.ones(X.shape[1], 2, dtype=torch.long))
    return held


@pytest.mark.parametrize("how", ["kept", "a layer at a time", "made again", "covariance"])
def test_each_model_is_compared_with_all_before_it_at_every_layer(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "covariance":
        monkeypatch.setattr(comparison, "_ALWAYS_GRAM", 0)
    elif how != "kept":
        monkeypatch.setattr(comparison, "_AT_ONCE", 1)
        monkeypatch.setattr(comparison, "_ROOM", comparison._ROOM if how == "a layer at a time" else 0)
    models = many(3, 30, 12, 4)
    at_once = Comparison(len(models), "cpu")
    for m, X in enumerate(models):
        found = at_once.add(layered(X))
        assert found.shape == (m, 3, 6)
        for other in range(m):
            for layer in range(3):
                pair = models[other][layer], X[layer]
                assert found[other, layer, 0] == pytest.approx(textbook_plain(*pair), abs=1e-10)
                assert found[other, layer, 1] == pytest.approx(textbook_debiased(*pair), abs=1e-9)
                assert found[other, layer, 2:] == pytest.approx(compared(*pair)[2:], abs=1e-9)


def test_rows_are_read_once_for_each_model_however_many_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = Rows.read

    def counted(self: Rows, *where: object) -> torch.Tensor:
        read.append(self)
        return original(self, *where)

    monkeypatch.setattr(Rows, "read", counted)
    at_once = Comparison(6, "cpu")
    for X in many(3, 8, 12, 6):
        at_once.add(layered(X))
    assert len(read) == len(set(map(id, read))) == 6


@pytest.mark.parametrize("over", [0, 1])
def test_matrices_are_kept_where_they_just_fit(monkeypatch, over):
    """Of 3 models at 2 layers over 5 rows: 3·2·25 float64."""
    monkeypatch.setattr(comparison, "_ROOM", 8 * 3 * 2 * 25 - over)
    both = Comparison(3, "cpu")
    both.add(layered(many(2, 5, 12, 1)[0]))
    assert (both._kept is None) == bool(over)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("how", ["kept", "made again", "covariance"])
def test_cuda_agrees_with_cpu(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "covariance":
        monkeypatch.setattr(comparison, "_ALWAYS_GRAM", 0)
    elif how == "made again":
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, 0))
    gpu, cpu = Comparison(3, "cuda"), Comparison(3, "cpu")
    for X in many(3, 30, 12, 3):
        np.testing.assert_allclose(gpu.add(layered(X)), cpu.add(layered(X)), rtol=0, atol=1e-10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("pooling", ["last", "mean", "all"])
def test_rows_are_pooled_on_a_gpu_as_on_a_cpu(pooling: str) -> None:
    examples = [Encoded((1, 2, *range(n, 2 * n), 9), 2) for n in (3, 7, 5)]
    mask = torch.arange(10) < torch.tensor([[len(e.ids)] for e in examples])
    states = [torch.randn(3, 10, 6, dtype=torch.float64) for _ in range(4)]
    read = []
    for device in ("cuda", "cpu"):
        held = Rows(examples, pooling, 3)
        held.write(range(3), [h.to(device) for h in states], mask.long().to(device))
        read.append(held.read(slice(None), slice(None), device).cpu())
    torch.testing.assert_close(*read, rtol=1e-6, atol=1e-9)
