"""What a GPU would be asked for grows with the shapes of the modules, not with their number."""

import pytest

from inspector.analysis.analyse import analyse
from inspector.study.study import Settings
from tests.launches import Launches, as_on_a_gpu
from tests.memory import random_adapter

SHAPES = {"self_attn.q_proj": (24, 16), "self_attn.v_proj": (8, 16), "mlp.up_proj": (40, 16)}


def counted(adapters):
    with Launches() as seen:
        study = analyse(adapters, Settings(k=3, sides=("left", "right")))
    assert study.block("cosine", "global").shape == (len(adapters), len(adapters), 1)
    return seen


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    monkeypatch.setattr("inspector.geometry.plan.plan", as_on_a_gpu)


def made(layers, r):
    return [random_adapter(name, seed, layers=layers, shapes=SHAPES, r=r) for seed, name in enumerate("abc")]


@pytest.mark.parametrize("r", [4, 9], ids=["by Cholesky", "by QR, for ranks above the shape"])
def test_operators_and_copies_are_those_of_three_shapes(r):
    """At r = 9 every module of 8 rows is rank-deficient; twins have angles of 0, which are computed from vectors."""
    few, many = (counted([*(those := made(layers, r)), those[0]]) for layers in (2, 30))
    assert many.operators == few.operators
    assert many.copies == few.copies
    assert few.operators.total() <= 3 * 900
    assert few.copies.total() <= 3 * 8
