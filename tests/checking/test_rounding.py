"""Each rule against the library that defines it, or against its published rule written out number by number."""

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, quants

from inspector.checking.rounding import BY_NAME, RULES, largest_of, served


def matrix(rows=6, columns=192, seed=0):
    return (
        torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * torch.logspace(-2, 1, rows)[:, None]
    )


def rounded(name, x):
    return BY_NAME[name].rounded(x, largest_of(x))


@pytest.mark.parametrize(("name", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_sixteen_bits_are_torchs(name, kind):
    assert torch.equal(rounded(name, matrix()), matrix().to(kind).float())


def test_fp8_has_one_scale_a_matrix_and_three_bits_of_mantissa():
    """Every value of x·448/max is the nearest of ±2^e·(1 + m/8), e ≥ −6, or of multiples of 2⁻⁹ below."""
    x = matrix()
    scale = float(x.abs().max()) / 448
    values = [2.0**e * (1 + m / 8) for e in range(-6, 9) for m in range(8)] + [m * 2.0**-9 for m in range(8)]
    grid = np.array(sorted({s * v for v in values if v <= 448 for s in (1, -1)}))
    expected = grid[np.abs(x.double().numpy()[..., None] / scale - grid).argmin(-1)] * scale
    np.testing.assert_allclose(rounded("fp8", x).numpy(), expected, rtol=1e-6)


def test_int8_has_a_scale_a_row():
    x = matrix()
    for row, found in zip(x.numpy(), rounded("int8", x).numpy(), strict=True):
        step = np.abs(row).max() / 127
        np.testing.assert_allclose(found, np.rint(row / step) * step, rtol=1e-5)


def test_nf4_takes_the_nearest_of_sixteen_in_blocks_of_64_that_may_cross_rows():
    """The values are the midpoints' quantiles of a normal, 8 above zero and 7 below, scaled to ±1 [QLoRA, eq. 4]."""
    x = matrix(columns=96)
    flat, found = x.flatten().numpy(), rounded("nf4", x).flatten().numpy()
    for start in range(0, len(flat), 64):
        block, scale = flat[start : start + 64], np.abs(flat[start : start + 64]).max()
        codes = np.unique(np.round(found[start : start + 64] / scale, 6))
        assert {abs(code) for code in (codes.min(), codes.max())} & {1.0}
        assert np.abs(found[start : start + 64] - block).max() <= scale * (1 - 0.6961928) / 2 + 1e-6
    lines = torch.linspace(-1, 1, 64 * 64).view(64, 64)
    lines[:, 0] = 1.0  # every block spans the whole
    codes = rounded("nf4", lines).unique()
    assert len(codes) == 16
    assert float(codes[codes > 0].min()) == pytest.approx(0.0795803)
    nearest = codes[(lines[..., None] - codes).abs().argmin(-1)]
    assert torch.equal(rounded("nf4", lines), nearest)


@pytest.mark.parametrize("name", ["q8_0", "q4_0"])
def test_gguf_is_its_own_package(name):
    x, kind = matrix(), GGMLQuantizationType[name.upper()]
    expected = quants.dequantize(quants.quantize(x.numpy(), kind), kind)
    np.testing.assert_array_equal(rounded(name, x).numpy(), expected)
    odd = matrix(columns=40)  # no multiple of 32
    assert torch.equal(rounded(name, odd), odd.half().float())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_keeps_zero_and_what_it_made_itself(rule):
    x = matrix()
    x[2] = 0
    found = served(rule, x)
    assert not found[2].any()
    assert found.shape == x.shape
    if rule.name != "q4_0":  # its scale is of the sign of the largest, and 8 steps reach one side alone
        assert float((served(rule, found) - found).abs().max()) <= 1e-6 * float(x.abs().max())
    assert not served(rule, torch.zeros(4, 64)).any()
    assert served(rule, x.bfloat16()).dtype == torch.bfloat16
