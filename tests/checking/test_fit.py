"""Whether an adapter fits a base, and what a merge in bfloat16 leaves of it, against sums in float64 made here."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.formats import read_adapter
from inspector.adapters.tensors.base_experts import Piece, Weight
from inspector.checking.checks import checked
from inspector.checking.fit import fit
from inspector.checking.precision import Merged, merged, precision
from inspector.study.module_id import ModuleId
from tests.base_model.tiny_model import MODULES, saved_adapter, saved_base
from tests.makers import random_factors, write_adapter
from tests.memory import adapter


def read(folder):
    return read_adapter(folder, "a", str(folder))


def weights(folder):
    return BaseWeights("tiny/base", lambda: folder)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return saved_base(tmp_path_factory.mktemp("base"))


def test_an_adapter_of_the_base_fits(tmp_path, base):
    adapter = read(saved_adapter(tmp_path, 1))
    found = fit(adapter, weights(base))
    assert found.weights.keys() == adapter.modules.keys()
    assert (
        found.weights[ModuleId(1, "self_attn.v_proj")].pieces[0].header.key == "model.layers.1.self_attn.v_proj.weight"
    )
    assert found.findings() == ()


def test_what_the_base_lacks_and_what_has_another_shape_are_errors(tmp_path, base):
    shapes = {
        "model.layers.0.self_attn.q_proj": (32, 32),
        "model.layers.0.self_attn.v_proj": (8, 32),
        "model.layers.7.self_attn.q_proj": (32, 32),
    }
    found = fit(read(write_adapter(tmp_path, random_factors(shapes))), weights(base))
    assert found.missing == (ModuleId(7, "self_attn.q_proj"),)
    assert found.misshapen == {ModuleId(0, "self_attn.v_proj"): (16, 32)}
    assert set(found.weights) == {ModuleId(0, "self_attn.q_proj")}
    texts = [f.text for f in found.findings() if f.severity == "error"]
    assert texts == [
        "not in the base tiny/base: 7.self_attn.q_proj",
        "of another shape than in the base tiny/base: 0.self_attn.v_proj (16×32 there)",
    ]


def test_a_quantised_base_is_no_misfit(tmp_path, base):
    (tmp_path / "base").mkdir()
    codes = {key: t.to(torch.uint8).flatten() for key, t in load_file(base / "model.safetensors").items()}
    save_file(codes, tmp_path / "base" / "model.safetensors")
    found = fit(read(saved_adapter(tmp_path / "a", 1)), weights(tmp_path / "base"))
    assert len(found.quantised) == 4
    assert [f.severity for f in found.findings()] == ["info"]
    assert precision(read(tmp_path / "a"), weights(tmp_path / "base"), found).modules == {}


def rounded(W, delta):
    """(cosine, energy lost, norm ratio) of bf16(W + Δ) − W, element by element in float64."""
    held = W.bfloat16().double()
    done = (held + delta).float().bfloat16().double() - held
    cosine = (done * delta).sum() / (done.norm() * delta.norm())
    return cosine, (done - delta).norm() ** 2 / delta.norm() ** 2, delta.norm() / held.norm()


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-3])
def test_a_merge_in_bfloat16_against_float64(tmp_path, base, size):
    factors = {path: (B * size, A) for path, (B, A) in random_factors(MODULES).items()}
    adapter = read(write_adapter(tmp_path, factors, alpha=8))
    found = precision(adapter, weights(base), fit(adapter, weights(base)))
    before = load_file(base / "model.safetensors")
    sums = [0.0, 0.0]
    for path, (B, A) in factors.items():
        delta = 2 * B.double() @ A.double()
        cosine, lost, ratio = rounded(before[f"{path}.weight"], delta)
        one = found.modules[_id(path)]
        assert one.cosine == pytest.approx(float(cosine), rel=1e-4)
        assert one.energy_lost == pytest.approx(float(lost), rel=1e-3)
        assert one.norm_ratio == pytest.approx(float(ratio), rel=1e-5)
        sums = [sums[0] + float(lost * delta.norm() ** 2), sums[1] + float(delta.norm() ** 2)]
    assert found.whole.energy_lost == pytest.approx(sums[0] / sums[1], rel=1e-3)
    assert (found.findings() != ()) == (found.whole.cosine < 0.9)


def _id(path):
    _, _, layer, below = path.split(".", 3)
    return ModuleId(int(layer), below)


def test_closed_forms_of_a_merge():
    """One weight of 1: bfloat16 steps by 2⁻⁷ above 1, so 2⁻¹⁰ is rounded away and 2⁻⁷ stays."""
    one = torch.ones(1, 1)
    gone = merged(one, one, one, 2**-10)["bf16"]
    assert (gone.cosine, gone.energy_lost, gone.norm_ratio) == (0, 1, 2**-10)
    kept = merged(one, one, one, 2**-7)["bf16"]
    assert (kept.cosine, kept.energy_lost, kept.strength, gone.strength) == (1, 0, 1, 0)
    nothing = merged(one, 0 * one, one, 1.0)["bf16"]
    assert math.isnan(nothing.cosine)
    assert math.isnan(nothing.energy_lost)
    assert merged(one, one * torch.nan, one, 1.0) is None
    assert Merged(1, 1, 1, 1) + Merged(1, 2, 3, 4) == Merged(2, 3, 4, 5)


def test_rows_are_merged_in_blocks():
    """More rows than one block: the sums of the blocks."""
    generator = torch.Generator().manual_seed(0)
    W, B, A = (torch.randn(shape, generator=generator) for shape in ((2100, 8), (2100, 2), (2, 8)))
    cosine, lost, _ = rounded(W, 1e-3 * (B.double() @ A.double()))
    found = merged(W, B, A, 1e-3)["bf16"]
    assert found.cosine == pytest.approx(float(cosine), rel=1e-4)
    assert found.energy_lost == pytest.approx(float(lost), rel=1e-3)


def test_conv1d_is_turned_its_square_weights_too(tmp_path):
    torch.manual_seed(0)
    base = tmp_path / "base"
    GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=50, n_positions=16)).save_pretrained(base)
    shapes = {"transformer.h.1.attn.c_attn": (96, 32), "transformer.h.1.attn.c_proj": (32, 32)}
    factors = {path: (B * 1e-3, A) for path, (B, A) in random_factors(shapes).items()}
    adapter = read(write_adapter(tmp_path / "a", factors, alpha=4, fan_in_fan_out=True))
    found = fit(adapter, weights(base))
    assert found.turned == adapter.modules.keys()
    bits = precision(adapter, weights(base), found)
    before = load_file(base / "model.safetensors")
    for path, (B, A) in factors.items():
        cosine, _, _ = rounded(before[f"{path}.weight"].T, B.double() @ A.double())
        assert bits.modules[ModuleId(1, path.split(".", 3)[3])].cosine == pytest.approx(float(cosine), rel=1e-4)


class Base:
    """A base of these weights: module -> shape."""

    name, depth = "b", None

    def __init__(self, shapes):
        keys = {f"{module}.weight": shape for module, shape in shapes.items()}
        headers = {key: TensorHeader(key, shape, "F32", Path("x")) for key, shape in keys.items()}
        self.weights, self.header = SimpleNamespace(headers=headers), headers.get


@pytest.mark.parametrize(
    ("ways", "turned"),
    [
        ("", False),
        ("f", False),
        ("t", True),
        ("tf", False),
        ("ttf", True),
        ("tff", False),
        ("fff", False),
        ("ttff", False),
    ],
)
def test_a_square_weight_is_as_most_others_are(ways, turned):
    """Of weights that tell which way round they are (`t` in×out, `f` out×in), more than half."""
    ids = [ModuleId(n, "x") for n in range(len(ways))]
    square = ModuleId(99, "x")
    factors = {id_: (torch.ones(4, 2), torch.ones(2, 3)) for id_ in ids} | {
        square: (torch.ones(5, 2), torch.ones(2, 5))
    }
    shapes = {f"model.layers.{id_}": (3, 4) if way == "t" else (4, 3) for id_, way in zip(ids, ways, strict=True)} | {
        f"model.layers.{square}": (5, 5)
    }
    found = fit(adapter("a", factors), Base(shapes))
    assert found.turned == {id_ for id_, way in zip(ids, ways, strict=True) if way == "t"} | (
        {square} if turned else set()
    )
    assert found.weights.keys() == factors.keys()
    assert (found.missing, found.misshapen, found.quantised) == ((), {}, ())


def test_a_check_against_a_base_says_where_it_is(tmp_path, base):
    calls = []
    found = checked(read(saved_adapter(tmp_path, 1)), weights(base), progress=lambda *call: calls.append(call))
    assert found.fit.weights.keys() == found.precision.modules.keys() == found.adapter.modules.keys()
    assert [call for call in calls if "bfloat16" in call[0]] == [("a: merge in bfloat16", n, 4) for n in range(1, 5)]
    assert checked(found.adapter, None).fit is None


@pytest.mark.parametrize("dtypes", [("F32", "BF16"), ("F32", "U8"), ("U8", "U8")])
def test_a_matrix_of_several_tensors_is_quantised_if_one_is(dtypes):
    pieces = tuple(Piece(TensorHeader(f"{n}.weight", (2, 3), dtype, Path())) for n, dtype in enumerate(dtypes))
    assert Weight(pieces).quantised == ("U8" in dtypes)
