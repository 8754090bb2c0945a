"""Intruder dimensions by hand, and top vectors against the full decomposition."""

import pytest
import torch

from inspector.names import ModuleId
from inspector.probes import intruders


def falling(d_out=40, d_in=30, seed=0):
    """W with singular values 30, 29, …, 1 and its left vectors."""
    generator = torch.Generator().manual_seed(seed)
    U, _ = torch.linalg.qr(torch.randn(d_out, d_in, generator=generator))
    V, _ = torch.linalg.qr(torch.randn(d_in, d_in, generator=generator))
    return U * torch.arange(d_in, 0, -1.0) @ V.T, U, V


def test_no_update_has_no_intruder():
    W, U, _ = falling()
    assert intruders.intruders(U, W, torch.zeros_like(W)) == (0, 0)


def test_an_update_along_a_base_direction_intrudes_nowhere_new():
    W, U, V = falling()
    assert intruders.intruders(U, W, 50 * U[:, :1] @ V[:, :1].T) == (0, 0)


def test_a_strong_direction_outside_of_the_base_is_one_intruder():
    W, U, V = falling()
    new = torch.linalg.qr(torch.cat([U, torch.randn(40, 1, generator=torch.Generator().manual_seed(9))], 1)).Q[:, -1:]
    assert intruders.intruders(U, W, 100 * new @ V[:, 5:6].T) == (1, 1)


def test_a_strong_mixture_of_the_top_vectors_is_an_intruder_inside_their_subspace():
    """u = (u₁ + … + u₉)/3 has cosine 1/3 to each, and lies in the span of the top ten."""
    W, U, _ = falling()
    mixture = U[:, :9].sum(1, keepdim=True) / 3
    generator = torch.Generator().manual_seed(3)
    update = 1e4 * mixture @ torch.nn.functional.normalize(torch.randn(1, 30, generator=generator), dim=1)
    found, outside = intruders.intruders(U, W, update)
    assert found > outside


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


def test_the_bases_vectors_come_from_the_cache_the_second_time(tmp_path, monkeypatch):
    monkeypatch.setattr(intruders, "cache_folder", lambda kind: tmp_path / kind)
    W, _, _ = falling()
    first = intruders.left_vectors(W, "d" * 64, ModuleId(0, "self_attn.q_proj"))
    monkeypatch.setattr(torch.linalg, "svd", lambda *_a, **_k: pytest.fail("computed again"))
    assert torch.equal(intruders.left_vectors(W, "d" * 64, ModuleId(0, "self_attn.q_proj")), first)


def test_a_damaged_cache_is_computed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(intruders, "cache_folder", lambda kind: tmp_path / kind)
    W, U, _ = falling()
    path = tmp_path / "svd" / ("d" * 32) / "0.self_attn.q_proj.npy"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x93NUMPY broken")
    found = intruders.left_vectors(W, "d" * 64, ModuleId(0, "self_attn.q_proj"))
    assert ((found.T @ U).diagonal().abs() > 1 - 1e-4).all()
