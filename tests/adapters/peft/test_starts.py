"""Starts that changed the base: what the base alone tells, and what it does not."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from inspector.adapters.formats import read_adapter
from inspector.adapters.health.summary import account
from tests.adapters.peft.merged import compare, merged_minus, read, stored, texts, weights
from tests.adapters.peft.models import llama, our_deltas, saved, trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore::UserWarning",
    "ignore:The following alpha_pattern keys did not match:RuntimeWarning",
)


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_inits_that_the_base_alone_tells(tmp_path, init):
    base = stored(llama().float(), tmp_path / "base")
    before = weights(llama().float())
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj", "down_proj"], init_lora_weights=init)
    model = get_peft_model(llama().float(), config)
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(before, model), rtol=1e-4, atol=1e-5)
    assert {m.rank for m in adapter.modules.values()} == {8}
    assert adapter.info.scale == "1.5 (α/r = 6/4)"
    assert texts(adapter, "info")[0].startswith(f"{init}: ΔW = s·(BA − B₀A₀) with B₀A₀ from the base")
    alone = read_adapter(tmp_path / "adapter", "adapter", "adapter")
    assert "give the base with --base" in texts(alone, "error")[0]
    assert not texts(alone, "info")
    assert (alone.info.modules, alone.info.scale, alone.info.scales) == (0, "", ())
    told = dict(account(alone.info))["format"]
    assert told.endswith(f"no usable module · {alone.info.parameters:,} parameters in the file")


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_untrained_starts_have_no_update(tmp_path, init):
    base = stored(llama().float(), tmp_path / "base")
    model = get_peft_model(llama().float(), LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=init))
    for delta in our_deltas(read(saved(model, tmp_path / "adapter"), base)).values():
        assert float(delta.norm()) < 1e-6


@pytest.mark.parametrize("init", ["pissa_niter_4", "corda", "lora_ga"])
def test_inits_that_the_base_does_not_tell(tmp_path, init):
    base = stored(llama().float(), tmp_path / "base")
    folder = saved(trained(llama(), LoraConfig(r=4, target_modules=["q_proj"])), tmp_path / "adapter")
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"init_lora_weights": true', f'"init_lora_weights": "{init}"'))
    adapter = read(folder, base)
    assert adapter.modules == {}
    assert f"init_lora_weights '{init}' changed the base weights" in texts(adapter, "error")[0]
    assert "--base" not in texts(adapter, "error")[0]
