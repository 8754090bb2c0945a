"""VeRA, whose files tell no d_in: merged minus base by PEFT itself."""

import pytest
import torch
from peft import VeraConfig
from safetensors.torch import load_file, save_file

from tests.adapters.peft.merged import compare, merged_minus, read, stored, texts, weights
from tests.adapters.peft.models import gpt2, llama, our_deltas, saved, trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore::UserWarning",
    "ignore:The following alpha_pattern keys did not match:RuntimeWarning",
)


@pytest.mark.parametrize("make", [llama, gpt2])
def test_vera(tmp_path, make):
    """down_proj reads more than q_proj: each takes its share of the one projection."""
    base = stored(make(), tmp_path / "base")
    targets = ["c_attn", "c_fc"] if make is gpt2 else ["q_proj", "down_proj"]
    model = trained(make(), VeraConfig(r=5, target_modules=targets))
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(weights(make()), model), {"c_attn", "c_fc"}, rtol=1e-5, atol=1e-6)
    assert {t.role for t in adapter.tensors} == {"used"}
    without = read(tmp_path / "adapter")
    assert without.modules == {}
    assert any("only the base's shapes tell the width" in text for text in texts(without, "warning"))


@pytest.mark.filterwarnings("ignore:Specified to not save vera_A:UserWarning")
def test_vera_without_its_projections(tmp_path):
    base = stored(llama(), tmp_path / "base")
    model = trained(llama(), VeraConfig(r=5, target_modules=["q_proj"], save_projection=False))
    adapter = read(saved(model, tmp_path / "adapter"), base)
    assert adapter.modules == {}
    assert any("drawn from a random seed" in text for text in texts(adapter, "info"))


@pytest.mark.parametrize("damage", ["missing", "integers", "a matrix", "empty"])
@pytest.mark.parametrize("factor", ["vera_lambda_b", "vera_lambda_d"])
def test_a_vector_that_is_none_leaves_its_module_out(tmp_path, factor, damage):
    base = stored(llama(), tmp_path / "base")
    folder = saved(trained(llama(), VeraConfig(r=5, target_modules=["q_proj"])), tmp_path / "adapter")
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    (key,) = (key for key in tensors if "layers.0." in key and key.endswith(factor))
    bad = tensors.pop(key)
    if damage != "missing":
        tensors[key] = {"integers": bad.int(), "a matrix": bad[None], "empty": bad[:0]}[damage]
    save_file(tensors, path)
    adapter = read(folder, base)
    assert [id_.layer for id_ in adapter.modules] == [1]
    assert [id_.layer for id_ in adapter.info.excluded] == [0]


def test_strangers_among_the_projections_of_vera_are_accounted_for(tmp_path):
    base = stored(llama(), tmp_path / "base")
    folder = saved(trained(llama(), VeraConfig(r=5, target_modules=["q_proj"])), tmp_path / "adapter")
    path = folder / "adapter_model.safetensors"
    save_file(load_file(path) | {"base_model.lora_A.weight": torch.zeros(2, 2)}, path)
    adapter = read(folder, base)
    assert len(adapter.modules) == 2
    assert [t.key for t in adapter.tensors if t.role != "used"] == ["base_model.lora_A.weight"]
