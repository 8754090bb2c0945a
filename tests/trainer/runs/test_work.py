"""What a run computes, counted by hand; how fast that is, by the table and measured on a tiny base."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests.base_model.tiny_model import saved_base
from trainer.methods import method
from trainer.objectives.examples import Examples
from trainer.recipes.recipe import Recipe
from trainer.runs import speed
from trainer.runs.bases import skeleton
from trainer.runs.speed import Speed, measured, of_table
from trainer.runs.work import Cut, Drawing, Flops, Shape, Work, longest, shape_of, work

SHAPE = Shape(blocks=2, weights=1000, head=300, heads=8, adapter=50)
ALONE = Cut(every=0, together=0, drawn=4)
ROWS = SimpleNamespace(
    rows=[SimpleNamespace(targets=n, ids=[0] * 2 * n) for n in (3, 5, 1, 7)],
    graded=([1, 0, 1, 1], ["a", "a", "b", "b"]),
)
"""Half of each row is learned; one group of two is mixed."""


def test_a_forward_pass():
    """2 for each of 1,050 weights and token; attention 4·8 for each of ½·10² pairs of tokens; 4 tokens scored."""
    assert SHAPE.forward(10, 4) == Flops(2 * 1050 * 10, 2 * 8 * 100, 2 * 50 * 10, 2 * 300 * 4)


def test_a_pass_back():
    """To the inputs as much again, the adapter's gradients; a third of the blocks forward once more."""
    found = Flops(900, 60, 30, 6).trained(3)
    assert (found.products, found.attention, found.head) == (900 * 2 + 300 + 30, 60 * 3.5 + 20, 18)
    assert Flops(900, 60, 30, 6).trained(0).blocks == 1830 + 210


def test_rows_are_as_long_as_the_longest_beside_them():
    """One step of all four rows; two by two they are 14, 14, 6 and 6 tokens long."""
    found = Examples({}, "row", (6, 10, 2, 14))
    recipe = Recipe(steps=1, batch=4)
    alone = work(method("sft"), recipe, found, ROWS, SHAPE, ALONE).passes
    pairs = work(method("sft"), recipe, found, ROWS, SHAPE, replace(ALONE, together=2)).passes
    assert alone.products == 2 * 2 * 1050 * 32 + 2 * 50 * 32
    assert pairs.products == 2 * 2 * 1050 * 40 + 2 * 50 * 40
    assert alone.attention == 3.5 * 2 * 8 * (36 + 100 + 4 + 196)
    assert alone.head == pairs.head == 3 * 2 * 300 * 16


def test_references_are_counted():
    """KTO: three passes forward beside the one that is trained. DPO: every pair once; SimPO has no reference."""
    found = Examples({}, "row", (6, 10, 2, 14))
    recipe = Recipe(steps=1, batch=4)
    plain, kto = (work(method(name), recipe, found, ROWS, SHAPE, ALONE).passes for name in ("sft", "kto"))
    assert kto.products - plain.products == 3 * 2 * 1050 * 32
    columns = {"prompt_ids": [[0] * 2] * 2, "chosen_ids": [[0] * 3, [0] * 4], "rejected_ids": [[0] * 1, [0] * 6]}
    both = Examples(columns, "pair", (8, 14))
    dpo, simpo = (
        work(method(name), Recipe(steps=3, batch=2), both, ROWS, SHAPE, ALONE).passes for name in ("dpo", "simpo")
    )
    assert dpo.products - simpo.products == 2 * 2 * 1050 * (5 + 8)
    assert simpo.products == 3 * (2 * 2 * 1050 + 2 * 50) * 2 * (5 + 8)


def test_completions_are_drawn_in_batches_and_again():
    """Two prompts, twice four completions of up to 4 tokens; half of the groups are drawn again, of these half …"""
    found = Examples({"ids": [[0] * 5, [0] * 9]}, "prompt", (1, 1))
    recipe = Recipe().where(steps=1, batch=8, generations=4, max_new_tokens=4, redraws=2)
    for name, groups in (("online-grpo", 2), ("online-dapo", 2 * (1 + 1 / 2 + 1 / 4))):
        drawing = work(method(name), recipe, found, ROWS, SHAPE, ALONE).drawing
        assert (drawing.completions, drawing.prompt, drawing.batch) == (4 * groups, 7, 4)
        assert drawing.prompts.products == 2 * 1050 * 7 * 4 * groups
        assert drawing.longest == longest([1, 3, 4, 4], 4)


def test_the_mean_longest():
    assert longest([2, 8], 1) == 5
    assert longest([2, 8], 2) == (2 + 3 * 8) / 4
    assert longest([7] * 5, 9) == pytest.approx(7)


def test_seconds_are_shared_by_processes():
    drawing = Drawing(completions=12, batch=4, prompts=Flops(40, 0, 0, 99), prompt=7, longest=10)
    speed = Speed(blocks=10, head=2, token=0.5, source="")
    todo = Work(Flops(600, 50, 0, 8), drawing)
    assert speed.seconds(todo, 1) == (65 + 4, 3 * 10 * 0.5 + 4)
    assert speed.seconds(todo, 2) == (34.5, 9.5)
    assert speed.seconds(Work(todo.passes), 1) == (69, 0)


def test_a_card_by_its_data_sheet():
    """A token waits for the launches of small blocks, or for 7e9 weights of two bytes and what is cached."""
    small = of_table("h100", SHAPE, 2, context=10, kept=100)
    assert (small.blocks, small.token) == (0.28 * 989e12, 2 * 1e-3)
    assert "28% of h100's data sheet: a table's value, not measured" in small.source
    large = of_table("a100", Shape(30, 6e9, 1e9, 8, 0), 2, context=1e5, kept=6e5)
    assert large.token == pytest.approx((14e9 + 6e10) / 2e12)


def test_blocks_and_head_apart():
    """Two blocks more take 4 s: 20 FLOP at 5 a second; the other takes 2 of 3 s, and the head's 9 FLOP the third."""
    done = {1: Flops(10, 0, 0, 9), 3: Flops(28, 2, 0, 9)}
    assert speed._apart(done, {1: 3.0, 3: 7.0}) == (5, 9)
    assert speed._apart(done, {1: 3.0, 3: 3.0}) == (13, 13)
    assert speed._apart(done, {1: 2.0, 3: 6.0}) == (5, 39 / 6)


@pytest.mark.parametrize(("short", "long", "each"), [(4.0, 12.0, 1.0), (3.0, 3.1, 3.1 / 12), (3.0, 2.4, 0.2)])
def test_a_token_by_what_more_of_them_take_if_noise_does_not_hide_that(short, long, each):
    assert speed._more(short, long) == pytest.approx(each)


def test_the_speed_of_a_tiny_base(tmp_path, monkeypatch):
    """Above 0, in blocks, head and sampling; the model measured on has the base's blocks, but three of them."""
    monkeypatch.setattr(speed, "_SECONDS", 0)
    monkeypatch.setattr(speed, "_TOKENS", (64, 64))
    base = skeleton(str(saved_base(tmp_path)))
    shape = shape_of(base.model, 0)
    layer = base.model.model.layers[0]
    assert shape.weights == shape.blocks * sum(p.numel() for p in layer.parameters() if p.dim() > 1)
    drawing = Drawing(completions=4, batch=2, prompts=Flops(), prompt=5, longest=6)
    recipe = Recipe(rank=4, targets=("q_proj", "v_proj"))
    found = measured(base, recipe, torch.float32, 20, drawing)
    assert min(found.blocks, found.head) > 0
    assert found.token > 0
    assert "measured here" in found.source
