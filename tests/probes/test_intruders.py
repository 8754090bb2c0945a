"""Intruder dimensions by hand, and top vectors against the full decomposition."""

import numpy as np
import pytest
import torch

from inspector.common.cache import Cache
from inspector.probes import intruders
from inspector.study.module_id import ModuleId


def falling(d_out=40, d_in=30, seed=0):
    """W with singular values 30, 29, …, 1 and its left vectors."""
    generator = torch.Generator().manual_seed(seed)
    U, _ = torch.linalg.qr(torch.randn(d_out, d_in, generator=generator))
    V, _ = torch.linalg.qr(torch.randn(d_in, d_in, generator=generator))
    return U * torch.arange(d_in, 0, -1.0) @ V.T, U, V


def counted(U, W, update):
    return intruders.intruders(*intruders.turned(U, W, update))


def left(*of):
    return intruders.base_vectors(*of)[0]


def test_no_update_has_no_intruder():
    W, U, _ = falling()
    assert counted(U, W, torch.zeros_like(W)) == (0, 0)


def test_an_update_along_a_base_direction_intrudes_nowhere_new():
    W, U, V = falling()
    assert counted(U, W, 50 * U[:, :1] @ V[:, :1].T) == (0, 0)


def test_a_strong_direction_outside_of_the_base_is_one_intruder():
    W, U, V = falling()
    new = torch.linalg.qr(torch.cat([U, torch.randn(40, 1, generator=torch.Generator().manual_seed(9))], 1)).Q[:, -1:]
    assert counted(U, W, 100 * new @ V[:, 5:6].T) == (1, 1)


def test_a_strong_mixture_of_the_top_vectors_is_an_intruder_inside_their_subspace():
    """u = (u₁ + … + u₉)/3 has cosine 1/3 to each, and lies in the span of the top ten."""
    W, U, _ = falling()
    mixture = U[:, :9].sum(1, keepdim=True) / 3
    generator = torch.Generator().manual_seed(3)
    update = 1e4 * mixture @ torch.nn.functional.normalize(torch.randn(1, 30, generator=generator), dim=1)
    found, outside = counted(U, W, update)
    assert found > outside
    top = intruders.turned(U, W, update, 1)
    assert intruders.intruders(*top, 1, 0.4) == (1, 1)  # of the base's top one it has a third
    assert intruders.intruders(*top, 1, 0.3) == (0, 0)


def test_a_cosine_of_exactly_a_half_is_no_intruder():
    W, U = torch.diag(torch.tensor([4.0, 3, 2, 1])), torch.full((4, 1), 0.5)
    assert counted(U, W, torch.zeros(4, 4)) == (0, 0)


@pytest.mark.parametrize(("three", "last"), [(1, 0.01), (1, 0.9), (9, 0.9)], ids=["falling", "flat", "three and flat"])
@pytest.mark.parametrize("shape", [(300, 260), (260, 300), (20, 50), (50, 7)])
def test_top_left_vectors_are_those_of_the_full_decomposition(shape, three, last):
    """Where the iteration converges and where, of nearly equal singular values, it does not."""
    generator = torch.Generator().manual_seed(1)
    U, S, Vh = torch.linalg.svd(torch.randn(*shape, generator=generator), full_matrices=False)
    spectrum = torch.linspace(7, 7 * last, len(S))
    spectrum[:3] *= three
    found = intruders.top_left(U * spectrum @ Vh)
    k = min(10, *shape)
    assert found.shape == (shape[0], k)
    assert ((found.T @ U[:, :k]).diagonal().abs() > 1 - 1e-3).all()


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("last", "whole"), [(0.01, False), (0.9, True)], ids=["falling", "flat"])
def test_a_large_matrix_is_decomposed_whole_only_where_the_iteration_did_not_converge(monkeypatch, last, whole, size):
    generator, real, seen = torch.Generator().manual_seed(1), torch.linalg.svd, []
    U, _, Vh = real(torch.randn(240, 210, generator=generator), full_matrices=False)

    def svd(matrix, **options):
        seen.append(min(matrix.shape))
        return real(matrix, **options)

    monkeypatch.setattr(torch.linalg, "svd", svd)
    intruders.top_left(size * U * torch.linspace(1, last, 210) @ Vh)
    assert (210 in seen) == whole


def test_the_bases_vectors_come_from_the_cache_the_second_time(tmp_path, monkeypatch):
    monkeypatch.setattr(intruders, "cache_folder", lambda kind: tmp_path / kind)
    W, _, _ = falling()
    first = intruders.base_vectors(W, "d" * 64, ModuleId(0, "self_attn.q_proj"), Cache())
    monkeypatch.setattr(torch.linalg, "svd", lambda *_a, **_k: pytest.fail("computed again"))
    again = intruders.base_vectors(W, "d" * 64, ModuleId(0, "self_attn.q_proj"), Cache())
    assert all(torch.equal(one, other) for one, other in zip(again, first, strict=True))
    assert again[1].shape == (30, 10)


def test_counts_over_k_and_epsilon():
    similar = np.array([0.95, 0.45, 0.2, 0.5, 0.49, *[1.0] * 6, 0.3])
    found = intruders.over_k(similar)
    assert found[:12].tolist() == [0, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4]
    assert np.isnan(found[12:]).all()
    assert intruders.over_epsilon(similar).tolist() == [0, 0, 1, 1, 3, 4, 4, 4, 4]  # 0.2 is not below 0.2
    assert found[9] == intruders.over_epsilon(similar)[4] == intruders.intruders(similar, similar)[0]


def test_shares_of_the_bases_top_subspaces_are_those_of_the_dense_update():
    _, U, V = falling()
    generator = torch.Generator().manual_seed(2)
    B, A = torch.randn(40, 3, generator=generator), torch.randn(3, 30, generator=generator)
    B[:, 0] += 4 * U[:, 2]
    A[1] += 6 * V[:, 9] + 6 * V[:, 10]
    delta = (B @ A).double()
    left, right = intruders.shares(U, V[:, :10], B, A)
    assert left == pytest.approx(float((U[:, :10].double().T @ delta).square().sum() / delta.square().sum()), rel=1e-6)
    assert right == pytest.approx(float((delta @ V[:, :10].double()).square().sum() / delta.square().sum()), rel=1e-6)
    assert left != pytest.approx(right, rel=0.05)
    assert intruders.shares(U, V[:, :10], U[:, 3:4], V[:, 11:12].T) == pytest.approx((1, 0), abs=1e-5)
    assert all(np.isnan(intruders.shares(U, V[:, :10], 0 * B, A)))


def test_random_updates_have_the_share_of_chance():
    """k/d on either side, each of its own width, in the mean over updates."""
    generator = torch.Generator().manual_seed(5)
    U, _, Vh = torch.linalg.svd(torch.randn(60, 90, generator=generator), full_matrices=False)
    found = np.array(
        [
            intruders.shares(
                U, Vh[:10].T, torch.randn(60, 2, generator=generator), torch.randn(2, 90, generator=generator)
            )
            for _ in range(400)
        ]
    )
    assert found.mean(0) == pytest.approx([10 / 60, 10 / 90], rel=0.06)


def _zeroed(data):
    return data[:200] + bytes(len(data) - 200)


def _flipped(data):
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


def _of_an_older_version(data):
    return data[32:]


def _half(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize("damage", [_zeroed, _flipped, _of_an_older_version, _half, lambda _data: b""])
def test_a_damaged_cache_is_computed_again_and_said_once(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(intruders, "cache_folder", lambda kind: tmp_path / kind)
    W, U, _ = falling()
    modules = [ModuleId(0, "self_attn.q_proj"), ModuleId(1, "self_attn.q_proj")]
    for module in modules:
        left(W, "d" * 64, module, Cache())
    for path in (tmp_path / "svd" / ("d" * 32)).iterdir():
        path.write_bytes(damage(path.read_bytes()))
    notes = []
    cache = Cache(notes.append)
    for module in modules:
        found = left(W, "d" * 64, module, cache)
        assert ((found.T @ U).diagonal().abs() > 1 - 1e-4).all()
    assert len(notes) == 1
    assert "0.self_attn.q_proj.npy" in notes[0] or "1.self_attn.q_proj.npy" in notes[0]
    again = Cache(lambda _text: pytest.fail("damaged still"))
    assert torch.equal(left(W, "d" * 64, modules[0], again), found)
