"""Where a base keeps a projection of an expert, by the shapes and names of its tensors alone: one row a layout."""

from pathlib import Path

import pytest
import torch

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.files.weights import Weights
from inspector.adapters.tensors.base_experts import Experts, Piece

MLP = "model.layers.4.mlp.experts"
MOE = "model.layers.4.moe"
H, F = 8, 6
SIZES = {"gate": (F, H), "up": (F, H), "down": (H, F)}
APART = {f"{MLP}.{e}.{name}_proj.weight": shape for e in range(3) for name, shape in SIZES.items()}
FUSED = {f"{MLP}.gate_up_proj": (3, 2 * F, H), f"{MLP}.down_proj": (3, H, F)}
TURNED = {f"{MLP}.gate_up_proj": (3, H, 2 * F), f"{MLP}.down_proj": (3, F, H)}
STACKS = {f"{MLP}.{name}_proj": (3, *shape) for name, shape in SIZES.items()}
SQUARE = {f"{MLP}.gate_proj": (3, H, H), f"{MLP}.up_proj": (3, H, H)}
OWN = {f"{MOE}.input_linear.weight": (3, 2 * F, H), f"{MOE}.output_linear.weight": (3, H, F)}
OWN_TURNED = {f"{MOE}.input_linear.weight": (3, H, 2 * F), f"{MOE}.output_linear.weight": (3, F, H)}
ALL = slice(None)


def experts(shapes, model="llama", dtype="BF16"):
    headers = {key: TensorHeader(key, shape, dtype, Path()) for key, shape in shapes.items()}
    base = BaseWeights("b", lambda: pytest.fail("asked for the folder"))
    base.__dict__ |= {"weights": Weights((), headers, torch.zeros), "config": {"hidden_size": H, "model_type": model}}
    return Experts(base)


@pytest.mark.parametrize(
    ("shapes", "holder", "name", "found"),
    [
        (APART, MLP, "up_proj", [("1.up_proj.weight", None, False, ALL, (F, H))]),
        (APART, MLP, "w3", [("1.up_proj.weight", None, False, ALL, (F, H))]),
        (APART, MLP, "w2", [("1.down_proj.weight", None, False, ALL, (H, F))]),
        (APART, MLP, "gate_up_proj", [(f"1.{n}_proj.weight", None, False, ALL, (F, H)) for n in ("gate", "up")]),
        (APART, MLP, "q_proj", []),
        (APART, "model.layers.4.block_sparse_moe.experts", "w1", [("1.gate_proj.weight", None, False, ALL, (F, H))]),
        (APART, "model.layers.5.mlp.experts", "w1", []),
        (APART, "model.layers.4.mlp.shared", "w1", []),
        (STACKS, MLP, "up_proj", [("up_proj", 1, False, ALL, (F, H))]),
        (STACKS, MLP, "gate_up_proj", [("gate_proj", 1, False, ALL, (F, H)), ("up_proj", 1, False, ALL, (F, H))]),
        (FUSED, MLP, "gate_up_proj", [("gate_up_proj", 1, False, ALL, (2 * F, H))]),
        (FUSED, MLP, "gate_proj", [("gate_up_proj", 1, False, slice(0, F), (F, H))]),
        (FUSED, MLP, "w3", [("gate_up_proj", 1, False, slice(F, 2 * F), (F, H))]),
        (FUSED, MLP, "down_proj", [("down_proj", 1, False, ALL, (H, F))]),
        (TURNED, MLP, "gate_up_proj", [("gate_up_proj", 1, True, ALL, (2 * F, H))]),
        (TURNED, MLP, "up_proj", [("gate_up_proj", 1, True, slice(F, 2 * F), (F, H))]),
        (TURNED, MLP, "down_proj", [("down_proj", 1, True, ALL, (H, F))]),
        (SQUARE, MLP, "up_proj", [("up_proj", 1, False, ALL, (H, H))]),
        (SQUARE | {f"{MLP}.down_proj": (3, F, H)}, MLP, "up_proj", [("up_proj", 1, True, ALL, (H, H))]),
        (SQUARE | {f"{MLP}.down_proj": (3, H, F)}, MLP, "up_proj", [("up_proj", 1, False, ALL, (H, H))]),
        (OWN, f"{MOE}.experts", "gate_up_proj", [("input_linear.weight", 1, False, ALL, (2 * F, H))]),
        (OWN, f"{MOE}.experts", "w2", [("output_linear.weight", 1, False, ALL, (H, F))]),
        (OWN, f"{MOE}.experts", "up_proj", []),
        (OWN_TURNED, f"{MOE}.experts", "gate_up_proj", [("input_linear.weight", 1, True, ALL, (2 * F, H))]),
        (OWN_TURNED, f"{MOE}.experts", "down_proj", [("output_linear.weight", 1, True, ALL, (H, F))]),
        (OWN | {f"{MOE}.other.weight": (3, H, F)}, f"{MOE}.experts", "down_proj", []),
        (OWN | {f"{MOE}.output_linear.weight": (2, H, F)}, f"{MOE}.experts", "down_proj", []),
    ],
)
def test_a_projection_of_the_second_of_three_experts(shapes, holder, name, found):
    pieces = experts(shapes).pieces(holder, 1, name)
    assert [(p.header.key.removeprefix(f"{MLP}.").removeprefix(f"{MOE}."), *p[1:], p.shape) for p in pieces] == found
    assert experts(shapes).count(holder, name) == (3 if found else 0)
    assert bool(experts(shapes).pieces(holder, 2, name)) == bool(found)
    assert experts(shapes).pieces(holder, 3, name) == ()


@pytest.mark.parametrize(("name", "rows"), [("gate_proj", slice(0, None, 2)), ("up_proj", slice(1, None, 2))])
def test_rows_that_take_turns(name, rows):
    (piece,) = experts(FUSED, "gpt_oss").pieces(MLP, 1, name)
    assert (piece.rows, piece.shape) == (rows, (F, H))


def test_blocks_of_four_bits_are_out_by_in_and_two_numbers_a_byte():
    blocks = {f"{MLP}.gate_up_proj_blocks": (3, 2 * F, 2, 2), f"{MLP}.down_proj_blocks": (3, H, 3, 1)}
    found = experts(blocks, "gpt_oss", "U8")
    assert [p.shape for p in found.pieces(MLP, 0, "gate_up_proj")] == [(2 * F, H)]
    assert [p.shape for p in found.pieces(MLP, 0, "down_proj")] == [(H, F)]
    assert found.count(MLP, "down_proj") == 3


def test_what_else_lies_beside_experts_is_no_expert():
    one = {f"{MLP}.0.up_proj.weight": (F, H), f"{MLP}.scale": (1,)}
    assert experts(one).count(MLP, "up_proj") == 1
    two = APART | {"model.layers.4.other.experts.0.up_proj.weight": (F, H)}
    assert experts(two).pieces("model.layers.4.moe.experts", 0, "up_proj") == (), "one of two cannot be told"


def test_a_convolution_and_a_number_as_matrices():
    header = TensorHeader("x", (4, 3, 2, 2), "F32", Path())
    assert Piece(header).shape == (4, 12)
    assert Piece(header._replace(shape=())).shape == (0, 0)
