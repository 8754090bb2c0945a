"""DoRA's magnitudes beside a module: when they are used, and what is said if not; one row a case."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.model import LoraModule, Scale
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.tensors.account import USED, Verdict
from inspector.adapters.tensors.assemble import Part
from inspector.adapters.tensors.grouping import Understood
from inspector.adapters.updates.dora import (
    MISFIT,
    NO_BASE,
    NO_SCALE,
    Magnitudes,
    depends_on,
    dora_made,
    dora_notes,
    with_magnitudes,
)
from inspector.study.module_id import ModuleId

generator = torch.Generator().manual_seed(0)
B, A, W = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((6, 2), (2, 5), (6, 5)))
M = torch.arange(1, 7, dtype=torch.float64)
NO_MODULE = Verdict("ignored", "DoRA magnitudes: no such module")


def part(scale=1.5):
    module = LoraModule(ModuleId(0, "q"), 6, 5, 2, Scale(scale, "x"), "F64", "layers.0.q")
    return Part(module, lambda: (B, A), 22)


def base(why=""):
    return SimpleNamespace(fault=lambda *_: why, matrix=lambda *_: W)


@pytest.mark.parametrize(
    ("scale", "numel", "of", "verdict", "rank"),
    [
        (1.5, 6, base(), USED, 4),
        (1.5, 5, base(), MISFIT, 2),
        (None, 6, base(), NO_SCALE, 2),
        (1.5, 6, None, NO_BASE, 2),
        (1.5, 6, base("no such module"), NO_MODULE, 2),
    ],
)
def test_magnitudes_make_the_whole_update_or_say_why_not(scale, numel, of, verdict, rank):
    found, why = with_magnitudes(part(scale), Magnitudes(numel, lambda: M), of, 4)
    assert (why, found.module.rank, found.parameters) == (verdict, rank, 22)
    assert (found.direction is not None) == (verdict not in {MISFIT, NO_SCALE})
    up, down = found.load()
    if verdict is not USED:
        assert found.module == part(scale).module
        assert (found.left_out(), up is B, down is A) == (0, True, True)
        return
    V = W + 1.5 * B @ A
    whole = (M / V.norm(dim=1))[:, None] * V - W
    U, sigma, Vh = torch.linalg.svd(whole, full_matrices=False)
    torch.testing.assert_close(up @ down, U[:, :4] * sigma[:4] @ Vh[:4])
    assert found.left_out() == pytest.approx(float(sigma[4] ** 2 / (sigma**2).sum()))
    assert (found.module.scale.value, found.direction.scale) == (1, 1.5)
    assert torch.equal(found.direction.magnitudes(), M)


@pytest.mark.parametrize("rank", [5, 7])
def test_the_rank_is_that_of_the_matrix_at_most(rank):
    assert with_magnitudes(part(), Magnitudes(6, lambda: M), base(), rank)[0].module.rank == 5


@pytest.mark.parametrize(
    ("shape", "aside"), [((6,), NO_BASE), ((6, 1), NO_BASE), ((6, 1, 1, 1), NO_BASE), ((1, 6), MISFIT), ((5,), MISFIT)]
)
def test_there_is_one_magnitude_an_output(shape, aside):
    """(1, d_in) is LyCORIS's norm over the outputs, also where the matrix is square."""
    slots = {"m": TensorHeader("q.m", shape, "F64", Path())}
    assert dora_made(part(), slots, "m", lambda _key: M, DEFAULTS).aside == {"m": aside}


def test_magnitudes_of_the_inputs_of_a_single_output_are_not_taken_for_its_own():
    one = LoraModule(ModuleId(0, "q"), 1, 5, 2, Scale(1.5, "x"), "F64", "layers.0.q")
    slots = {"m": TensorHeader("q.m", (1, 5), "F64", Path())}
    assert dora_made(Part(one, lambda: (B[:1], A), 12), slots, "m", lambda _key: M, DEFAULTS).aside == {"m": MISFIT}


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([], None),
        ([USED], None),
        ([USED, NO_BASE], "DoRA: ΔW needs the base (--base);"),
        ([NO_MODULE, NO_BASE], "DoRA: ΔW needs the base (--base);"),
        ([NO_MODULE, NO_SCALE], "DoRA: ΔW cannot be formed (no such module);"),
        ([NO_SCALE, NO_MODULE], "DoRA: ΔW cannot be formed (they need the scale of B·A as well (--alpha));"),
        ([Verdict("ignored", "a bias")], None),
    ],
)
def test_what_is_said_of_magnitudes_that_are_not_used(verdicts, said):
    notes = dora_notes(dict(enumerate(verdicts)))
    assert [note.text.partition(" only")[0] for note in notes] == ([said] if said else [])


def test_only_dense_updates_depend_on_the_base():
    dense = with_magnitudes(part(), Magnitudes(6, lambda: M), base(), 4)[0]
    read_options = ReadOptions(base=SimpleNamespace(name="org/base"), rank=4)
    assert depends_on(Understood([part(), dense], {}, ()), read_options) == "org/base at rank 4"
    assert depends_on(Understood([dense], {}, ()), DEFAULTS) == " at rank 64"
    assert depends_on(Understood([part()], {}, ()), read_options) == ""
