"""What does not run with an adapter is said."""

from dataclasses import replace

import pytest

from inspector.adapters.model import TensorRecord
from inspector.base_model.coverage import largest_left_out, not_run
from tests.memory import random_adapter


@pytest.fixture
def adapter():
    return random_adapter("one", 1)


def test_a_whole_adapter_needs_no_word(adapter):
    assert not_run(adapter, 0.0) == not_run(adapter, float("nan")) == not_run(adapter, 1e-6) == ""
    assert not_run(adapter, 1.1e-6).endswith("leaves out 0.00011 % of ‖ΔW‖²")


def test_tensors_and_energy_left_out_are_told(adapter):
    tensors = (
        TensorRecord("a", (1,), "F32", "used"),
        TensorRecord("lm_head.weight", (2, 2), "F32", "ignored", "saved along"),
    )
    told = not_run(replace(adapter, tensors=tensors), 0.123)
    assert told == (
        "one runs without 1 of its tensors (lm_head.weight: saved along) and by the low-rank part of its dense updates,"
        " which leaves out 12 % of ‖ΔW‖²"
    )


def test_factors_leave_nothing_out_and_are_not_loaded_for_it(adapter):
    def never(_id):
        raise AssertionError

    assert largest_left_out(replace(adapter, left_out=never)) == 0
    dense = replace(adapter, depends_on="base", left_out=lambda id_: 0.1 * (id_.layer or 0))
    assert largest_left_out(dense) == pytest.approx(0.2)
