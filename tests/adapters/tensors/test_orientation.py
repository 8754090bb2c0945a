"""Factors stored the other way round are turned, or refused, all of them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.files.weights import Weights
from inspector.adapters.formats import read_adapter
from inspector.adapters.readers.foreign_names import from_kohya
from inspector.adapters.tensors.orientation import upright
from tests.adapters.peft.models import assert_same, our_deltas
from tests.makers import random_factors, write_adapter
from tests.shown import shown

SQUARE = {f"model.layers.{n}.self_attn.q_proj": (16, 16) for n in range(2)}
MIXED = SQUARE | {f"model.layers.{n}.mlp.up_proj": (24, 16) for n in range(2)}


def write(folder, factors, turned, config=None, end=".default.weight"):
    """Factors under PEFT's names; those of `turned` are stored in×r and r×out."""
    tensors = {}
    for path, (B, A) in factors.items():
        for side, factor in (("A", A), ("B", B)):
            tensors[f"{path}.lora_{side}{end}"] = (factor.T if path in turned else factor).contiguous()
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "x.safetensors")
    if config is not None:
        (folder / "adapter_config.json").write_text(json.dumps(config))
    return read_adapter(folder / "x.safetensors", "a", "")


def truth(factors, s):
    return {shown(path): s * B.double() @ A.double() for path, (B, A) in factors.items()}


@pytest.mark.parametrize("shapes", [SQUARE, MIXED], ids=["square", "mixed"])
def test_a_config_with_the_rank_tells(tmp_path, shapes):
    factors = random_factors(shapes, r=4)
    adapter = write(tmp_path, factors, factors.keys(), {"rank": 4, "alpha": 16.0, "dropout": 0.0})
    assert_same(our_deltas(adapter), truth(factors, 16.0))
    assert "turned" in adapter.info.findings[0].text


def test_modules_that_are_not_square_tell_of_those_that_are(tmp_path):
    factors = random_factors(MIXED, r=4)
    adapter = write(tmp_path, factors, factors.keys())
    assert {(m.d_out, m.d_in, m.rank) for m in adapter.modules.values()} == {(16, 16, 4), (24, 16, 4)}
    loaded = {id_: B.double() @ A.double() for id_ in adapter.modules for B, A in [adapter.load(id_)]}
    assert_same(loaded, truth(factors, 1.0))


def test_a_config_whose_rank_is_the_width_turns_nothing(tmp_path):
    """One module of the width's rank, and one of a rank of its own below it."""
    q, v = (f"model.layers.0.self_attn.{name}_proj" for name in "qv")
    factors = random_factors({q: (16, 16)}, r=16) | random_factors({v: (16, 16)}, r=12)
    adapter = read_adapter(write_adapter(tmp_path, factors, r=16, alpha=16, rank_pattern={v: 12}), "a", "")
    assert sorted(module.rank for module in adapter.modules.values()) == [12, 16]
    assert adapter.info.findings == ()


def test_what_nothing_tells_is_refused(tmp_path):
    factors = random_factors(SQUARE, r=4)
    adapter = write(tmp_path, factors, factors.keys())
    assert not adapter.modules
    assert "no config says the rank" in adapter.info.findings[0].text


def test_both_ways_beside_square_modules_are_refused_as_a_whole(tmp_path):
    factors = random_factors(MIXED, r=4)
    adapter = write(tmp_path, factors, {"model.layers.0.mlp.up_proj"})
    assert not adapter.modules
    assert "1 of 2 modules" in adapter.info.findings[0].text


@pytest.mark.parametrize("r", [4, 20])
def test_pefts_own_way_stays_whatever_the_rank(tmp_path, r):
    factors = random_factors(SQUARE, r=r)
    adapter = read_adapter(write_adapter(tmp_path, factors, alpha=r), "a", "")
    assert_same(our_deltas(adapter), truth(factors, 1.0))
    assert adapter.info.health == "ok"


@pytest.mark.parametrize("alpha", [None, 8.0])
def test_turned_lora_down_and_up(tmp_path, alpha):
    factors = random_factors(MIXED, r=4)
    tensors = {}
    for path, (B, A) in factors.items():
        name = path.replace(".", "_")
        tensors |= {f"{name}.lora_down.weight": A.T.contiguous(), f"{name}.lora_up.weight": B.T.contiguous()}
        tensors |= {} if alpha is None else {f"{name}.alpha": torch.tensor(alpha)}
    save_file(tensors, tmp_path / "x.safetensors")
    adapter = read_adapter(tmp_path / "x.safetensors", "a", "")
    named = {from_kohya(path.replace(".", "_"))[0]: pair for path, pair in factors.items()}
    assert_same(our_deltas(adapter), truth(named, 1.0 if alpha is None else alpha / 4))


AS_IS, TURNED = ((4, 16), (24, 4)), ((16, 4), (4, 24))
EITHER, NARROW = ((16, 4), (4, 16)), ((4, 16), (16, 4))


@pytest.mark.parametrize(
    ("shapes", "rank", "outcome"),
    [
        ([], None, "as is"),
        ([AS_IS], None, "as is"),
        ([TURNED], None, "turned"),
        ([TURNED, TURNED, AS_IS], None, "turned"),
        ([TURNED, AS_IS], None, "as is"),
        ([TURNED, EITHER], None, "turned"),
        ([AS_IS, EITHER], 4, "as is"),
        ([TURNED, TURNED, AS_IS, EITHER], 4, "1 of 3 modules"),
        ([EITHER], None, "no config says the rank"),
        ([EITHER], 4, "turned"),
        ([EITHER], 16, "as is"),
        ([EITHER, ((16, 2), (2, 16))], 4, "as is"),
        ([NARROW], None, "as is"),
        ([NARROW], 16, "as is"),
        ([((16, 16), (16, 16))], None, "as is"),
        ([EITHER, ((0, 4), (4, 0))], 4, "turned"),
        ([((16, 4, 1), (4, 24, 1))], None, "as is"),
        ([((16, 4), (4, 24, 1))], None, "as is"),
        ([((16, 4), (5, 24))], None, "as is"),
    ],
)
def test_which_way_round(shapes, rank, outcome):
    keys = [(f"{n}.A", f"{n}.B") for n in range(len(shapes))]
    both = {
        key: shape for pair, found in zip(keys, shapes, strict=True) for key, shape in zip(pair, found, strict=True)
    }
    headers = {key: TensorHeader(key, shape, "F32", Path()) for key, shape in both.items()}
    given = Weights((), headers | {"c": TensorHeader("c", (2, 3), "F32", Path())}, torch.zeros)
    found, why = upright(given, keys, rank)
    assert (found is not given) == (outcome == "turned")
    assert outcome in why or (why == "" and outcome in {"as is", "turned"})
    assert found.headers["c"].shape == (2, 3)
    turned = {key: shape[::-1] if outcome == "turned" and len(shape) == 2 else shape for key, shape in both.items()}
    assert {key: header.shape for key, header in found.headers.items() if key != "c"} == turned
