"""What an adapter that trains is measured to be, against dense float64 and closed forms."""

import math

import numpy as np
import pytest
import torch

from inspector.geometry.live import Update, read
from tests.launches import Launches


def random(seed=0, d_out=24, d_in=16, r=4, scale=2.0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return Update(torch.randn(d_out, r, generator=g).to(dtype), torch.randn(r, d_in, generator=g).to(dtype), scale)


def dense(update):
    return (update.scale * update.B.double().flatten(1) @ update.A.double().flatten(1)).numpy()


def test_dense_oracle():
    ours = [random(0), random(1, r=2, scale=-0.5), random(2, 8, 40, 8, dtype=torch.bfloat16)]
    other = [random(3, r=6), None, random(4, 8, 40)]
    found = read(ours, [other])
    for update, sigma in zip(ours, found.sigma, strict=True):
        r = update.A.shape[0]
        np.testing.assert_allclose(sigma, np.linalg.svd(dense(update), compute_uv=False)[:r], rtol=1e-9)
    expected = [(dense(ours[0]) * dense(other[0])).sum(), 0.0, (dense(ours[2]) * dense(other[2])).sum()]
    np.testing.assert_allclose(found.inner[0], expected, rtol=1e-9)
    np.testing.assert_allclose(found.norms, [np.linalg.norm(dense(update)) for update in ours], rtol=1e-9)


def test_kernels_of_convolutions_are_flattened():
    g = torch.Generator().manual_seed(0)
    conv = Update(torch.randn(8, 4, 1, 1, generator=g), torch.randn(4, 3, 5, 5, generator=g), 1.0)
    np.testing.assert_allclose(read([conv]).norms, [np.linalg.norm(dense(conv))], rtol=1e-9)


def test_zero_rank_deficient_and_broken():
    zero = Update(torch.zeros(8, 4), torch.randn(4, 8), 1.0)
    one = torch.randn(8, 1)
    thin = Update(one.repeat(1, 4), torch.randn(4, 8), 1.0)
    broken = random(5)
    broken.B[0, 0] = math.inf
    found = read([zero, thin, broken], [[random(0, 8, 8), thin, broken]])
    assert found.sigma[0].tolist() == [0] * 4
    assert found.sigma[1][0] == pytest.approx(np.linalg.norm(dense(thin)), rel=1e-9)
    assert (found.sigma[1][1:] < 1e-7 * found.sigma[1][0]).all()
    assert (found.broken, found.sigma[2].tolist(), found.inner[0, 2]) == ((False, False, True), [0] * 4, 0)


def test_what_did_not_move_is_known_to_the_bit():
    modules = [random(n) for n in range(3)]
    before = read(modules)
    modules[1].A[0, 0] += 1e-6
    assert read(modules).still(before) == (0, 2)


def test_a_copy_is_of_then():
    now = random(0)
    then = now.copy()
    now.B.zero_()
    assert read([then]).norms[0] > 0 == read([now]).norms[0]


def test_the_host_waits_once():
    modules, other = [random(n) for n in range(6)], [random(n + 10) for n in range(6)]
    with Launches() as seen:
        read(modules, [other, other])
    assert seen.copies == {"cpu": 1}
    assert sum(seen.operators.values()) < 40 * len(modules)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_as_on_the_cpu():
    modules = [random(n, 256, 512, 16) for n in range(3)]
    there = [Update(u.B.cuda(), u.A.cuda(), u.scale) for u in modules]
    for one, other in zip(read(there).sigma, read(modules).sigma, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
