"""Adapter products in bfloat16 from float32 weights: the bits of autocast, and what is learned that way."""

import pytest
import torch

from inspector.base_model.base import load_base
from tests.trainer import small
from tests.trainer.small import equal, first_step, made, rollouts, tiny
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


def learned(base, place, *settings):
    """Every module's ΔW = (α/r)·B·A after 200 steps from B = 0, and the weights it is added to."""
    dtype, compute = settings
    trainer = made(
        base, "sft", rollouts(place), place, dtype=dtype, lora_compute=compute, shift=0.0, steps=200, lr=1e-6, batch=4,
        micro_batch=4, save_steps=1000, schedule="constant_with_warmup", warmup=0.01,
    )  # fmt: skip
    trainer.train()
    state = {name: p.detach().double() for name, p in trainer.model.named_parameters()}
    modules = [name.removesuffix("lora_A.default.weight") for name in state if "lora_A" in name]
    update = torch.cat([2 * (state[f"{m}lora_B.default.weight"] @ state[f"{m}lora_A.default.weight"]).flatten()
                        for m in modules])  # fmt: skip
    return update, torch.cat([state[f"{m}base_layer.weight"].flatten() for m in modules])


def test_an_update_of_a_ten_thousandth_is_learned_the_same(base, tmp_path, monkeypatch):
    """In bfloat16 as with products in float32; both as in float32 throughout, up to the base's rounding."""

    def rounded(name, device, _dtype):
        found = load_base(name, device, "bfloat16")
        if whole:
            found.model.float()
        return found

    monkeypatch.setattr(small, "load_base", rounded)
    whole = True
    exact, weights = learned(base, tmp_path, "float32", "base")
    whole = False
    ours, _ = learned(base, tmp_path, "bfloat16", "base")
    products, _ = learned(base, tmp_path, "bfloat16", "float32")
    assert 0.5 * NORM < exact.norm() / weights.norm() < 2 * NORM
    assert cosine(ours, products) > 1 - 1e-4
    assert cosine(ours, exact) > 0.98
    for other in (products, exact):
        assert ours.norm() == pytest.approx(other.norm(), rel=0.02)


def cosine(one, other):
    return torch.nn.functional.cosine_similarity(one, other, dim=0)
