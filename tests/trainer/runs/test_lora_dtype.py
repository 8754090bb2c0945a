"""Adapter products in bfloat16 from float32 weights: the bits of autocast, and what is learned that way."""

import pytest
import torch

from inspector.probes.base import load_base
from tests.trainer import small
from tests.trainer.small import equal, first_step, rollouts, tiny
from trainer.runs import build

pytestmark = pytest.mark.filterwarnings("ignore")
NORM = 1e-4
"""Of the update, relative to the weights it is added to."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


@pytest.fixture
def bfloat16(monkeypatch):
    monkeypatch.setattr(small, "load_base", lambda name, device, _dtype: load_base(name, device, "bfloat16"))


@pytest.mark.parametrize("name", ["sft", "dft", "dpo", "kto", "offline-grpo"])
def test_a_step_has_the_bits_of_autocast(base, tmp_path, bfloat16, monkeypatch, name):
    """TRL casts activations to float32 for the adapter and back; every product is in bfloat16 there too."""
    file = rollouts(tmp_path)
    ours = first_step(base, name, file, tmp_path, dtype="bfloat16")
    arguments = build._arguments
    monkeypatch.setattr(build, "_arguments", lambda *given: arguments(*given) | {"bf16": True})
    theirs = first_step(base, name, file, tmp_path, dtype="bfloat16", lora_compute="float32")
    assert ours[0] == theirs[0]
    assert equal(ours[1], theirs[1])
    assert all(g.dtype == torch.float32 and g.any() for g in ours[1].values())
