"""Which shapes make an update, and of which size and rank: one row a case, nothing is read."""

from pathlib import Path

import pytest
import torch

from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.tensors.account import EMPTY, MISFIT, TOO_LARGE
from inspector.adapters.updates import factors
from inspector.adapters.updates.lycoris import VECTOR, Update, update

UP, DOWN, MID = (f"lora_{name}.weight" for name in ("up", "down", "mid"))
LOHA = {"hada_w1_a": (16, 2), "hada_w1_b": (2, 24), "hada_w2_a": (16, 3), "hada_w2_b": (3, 24)}
TUCKER_LOHA = {
    "hada_w1_a": (2, 16), "hada_w1_b": (2, 5), "hada_t1": (2, 2, 3, 4),
    "hada_w2_a": (3, 16), "hada_w2_b": (3, 5), "hada_t2": (3, 3, 3, 4),
}  # fmt: skip


def made(shapes, rank=64):
    headers = {slot: TensorHeader(slot, shape, "F32", Path()) for slot, shape in shapes.items()}
    return update(headers, lambda _key: pytest.fail("a tensor was read"), rank)


@pytest.mark.parametrize(
    ("shapes", "sizes"),
    [
        ({UP: (16, 4), DOWN: (4, 24)}, ("LoRA", 16, 24, 4, 4, ())),
        ({UP: (16, 4, 1, 1), DOWN: (4, 5, 3, 2)}, ("LoRA", 16, 30, 4, 4, (3, 2))),
        ({UP: (16, 4), DOWN: (4, 5, 3, 2)}, ("LoRA", 16, 30, 4, 4, (3, 2))),
        ({UP: (16, 4, 1, 1), DOWN: (3, 5, 1, 1), MID: (4, 3, 3, 2)}, ("LoCon", 16, 30, 4, 3, (3, 2))),
        (LOHA, ("LoHa", 16, 24, 6, 2, ())),
        (LOHA | {"hada_w1_b": (2, 4, 3, 2), "hada_w2_b": (3, 4, 3, 2)}, ("LoHa", 16, 24, 6, 2, (3, 2))),
        (LOHA | {"hada_w1_a": (5, 2), "hada_w2_a": (5, 3)}, ("LoHa", 5, 24, 5, 2, ())),
        (TUCKER_LOHA, ("LoHa", 16, 60, 6, 2, (3, 4))),
        ({"lokr_w1": (2, 3), "lokr_w2": (8, 7)}, ("LoKr", 16, 21, 14, None, ())),
        ({"lokr_w1": (2, 3), "lokr_w2": (8, 7, 3, 2)}, ("LoKr", 16, 126, 16, None, (3, 2))),
        ({"lokr_w1": (4, 3), "lokr_w2_a": (8, 2), "lokr_w2_b": (2, 7)}, ("LoKr", 32, 21, 6, 2, ())),
        ({"lokr_w1_a": (4, 1), "lokr_w1_b": (1, 3), "lokr_w2": (8, 7)}, ("LoKr", 32, 21, 7, 1, ())),
        (
            {"lokr_w1_a": (4, 1), "lokr_w1_b": (1, 3), "lokr_w2_a": (8, 2), "lokr_w2_b": (2, 7)},
            ("LoKr", 32, 21, 2, 2, ()),
        ),
        (
            {"lokr_w1": (2, 3), "lokr_t2": (2, 5, 3, 4), "lokr_w2_a": (2, 8), "lokr_w2_b": (5, 7)},
            ("LoKr", 16, 252, 4, 5, (3, 4)),
        ),
        ({"diff": (16, 5, 3, 2)}, ("full", 16, 30, 16, None, (3, 2))),
        ({"diff": (100, 24)}, ("full", 100, 24, 24, None, ())),
        ({"diff": (100, 90)}, ("full", 100, 90, 64, None, ())),
    ],
)
def test_an_update(shapes, sizes):
    found = made(shapes)
    assert isinstance(found, Update)
    assert (found.method, found.d_out, found.d_in, found.rank, found.r, found.kernel) == sizes


@pytest.mark.parametrize(
    ("shapes", "verdict"),
    [
        ({UP: (16, 3), DOWN: (4, 24)}, MISFIT),
        ({UP: (16, 4, 1, 2), DOWN: (4, 5, 1, 2)}, MISFIT),
        ({UP: (16, 4, 2, 1), DOWN: (4, 5, 2, 1)}, MISFIT),
        ({UP: (16, 4), DOWN: (3, 5), MID: (4, 3)}, MISFIT),
        ({UP: (16, 4), DOWN: (3, 5), MID: (3, 3, 3, 3)}, MISFIT),
        ({UP: (16, 4), DOWN: (3, 5), MID: (4, 4, 3, 3)}, MISFIT),
        *(({UP: (16, 4), DOWN: (3, 5, *k), MID: (4, 3, 3, 3)}, MISFIT) for k in ((3, 3), (3, 1), (1, 3))),
        ({UP: (16, 4), DOWN: (3, 5), MID: (4, 3, 0, 3)}, EMPTY),
        (LOHA | {"hada_w1_a": (15, 2)}, MISFIT),
        (LOHA | {"hada_w2_b": (3, 23)}, MISFIT),
        (LOHA | {"hada_w1_b": (3, 24)}, MISFIT),
        (LOHA | {"hada_w2_a": (16, 3, 1)}, MISFIT),
        (TUCKER_LOHA | {"hada_t2": (3, 2, 3, 4)}, MISFIT),
        (TUCKER_LOHA | {"hada_t1": (2, 2, 3)}, MISFIT),
        (TUCKER_LOHA | {"hada_w1_b": (2, 5, 1)}, MISFIT),
        (TUCKER_LOHA | {"hada_w1_a": (2, 16, 1)}, MISFIT),
        (TUCKER_LOHA | {"hada_t1": (0, 2, 3, 4)}, EMPTY),
        ({"lokr_w1": (2, 3), "lokr_w2_a": (8, 2), "lokr_w2_b": (3, 7)}, MISFIT),
        ({"lokr_w1_a": (4, 2), "lokr_w1_b": (1, 3), "lokr_w2": (8, 7)}, MISFIT),
        ({"lokr_w1": (2, 3), "lokr_t2": (2, 5, 3), "lokr_w2_a": (2, 8), "lokr_w2_b": (5, 7)}, MISFIT),
        ({"lokr_w1": (2, 3), "lokr_t2": (0, 5, 3, 3), "lokr_w2_a": (2, 8), "lokr_w2_b": (5, 7)}, EMPTY),
        ({"diff": (16,)}, VECTOR),
        ({"diff": (16, 0)}, EMPTY),
    ],
)
def test_no_update(shapes, verdict):
    assert made(shapes) == verdict


def lokr(n):
    return {"lokr_w1": (n, n), "lokr_w2": (16, 16)}


def loha(n):
    return {"hada_w1_a": (n, 256), "hada_w1_b": (256, n), "hada_w2_a": (n, 64), "hada_w2_b": (64, n)}


@pytest.mark.parametrize(("method", "largest"), [(lokr, 1448), (loha, 2**15)])
def test_small_tensors_may_not_unfold_into_a_huge_update(method, largest):
    """2³⁰ numbers: LoKr has 2·(16n)², LoHa 2n·2¹⁴."""
    assert isinstance(made(method(largest)), Update)
    assert made(method(largest + 1)) == TOO_LARGE


def test_what_is_as_large_in_the_file_does_not_unfold():
    assert not factors.unfolds(2**16, 2**15, 2**15, 2**31)
    assert factors.unfolds(2**16, 2**15, 2**15 + 1, 2**31)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float32, torch.float64])
def test_no_float_is_narrower_than_float32(dtype):
    assert factors.wide(torch.ones(2).to(dtype)).dtype == (dtype if dtype == torch.float64 else torch.float32)
