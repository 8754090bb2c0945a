"""DoRA with its base: merged minus base by PEFT itself, against the reader's ΔW."""

import pytest
import torch
from peft import LoraConfig
from torch import nn

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.opening import identity
from tests.adapters.peft.merged import compare, merged_minus, read, stored, texts, trained_dora, weights
from tests.adapters.peft.models import gpt2, llama, our_deltas, saved, trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore::UserWarning",
    "ignore:The following alpha_pattern keys did not match:RuntimeWarning",
)


@pytest.mark.parametrize("rslora", [False, True])
def test_dora(tmp_path, rslora):
    base = stored(llama(), tmp_path / "base")
    targets = ["q_proj", "down_proj", "embed_tokens"]
    config = LoraConfig(r=4, lora_alpha=6, target_modules=targets, use_dora=True, use_rslora=rslora)
    model = trained_dora(llama(), config)
    before = weights(llama())
    adapter = read(saved(model, tmp_path / "dora"), base)
    compare(our_deltas(adapter), merged_minus(before, model), {"embed_tokens"})
    assert {t.role for t in adapter.tensors} == {"used"}
    assert adapter.info.findings == ()
    assert "DoRA" in adapter.info.scale


def test_dora_of_a_model_that_stores_its_weights_transposed(tmp_path):
    """c_proj is square in gpt2: only the kind of model tells which way round it is."""
    base = stored(gpt2(), tmp_path / "base")
    config = LoraConfig(r=4, target_modules=["c_attn", "c_proj"], use_dora=True, fan_in_fan_out=True)
    model = trained_dora(gpt2(), config)
    adapter = read(saved(model, tmp_path / "dora"), base)
    compare(our_deltas(adapter), merged_minus(weights(gpt2()), model), {"c_attn", "c_proj"})


def test_dora_of_a_convolution(tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 6, 3)).double()
    (tmp_path / "base").mkdir()
    save_file({k: v.clone() for k, v in plain.state_dict().items()}, tmp_path / "base" / "model.safetensors")
    before = weights(plain)
    model = trained_dora(plain, LoraConfig(r=2, target_modules=["0"], use_dora=True))
    adapter = read(saved(model, tmp_path / "dora"), BaseWeights("conv", lambda: tmp_path / "base"))
    compare(our_deltas(adapter), merged_minus(before, model))


def test_the_rank_kept_and_what_it_leaves_out(tmp_path):
    base = stored(llama(), tmp_path / "base")
    model = trained_dora(llama(), LoraConfig(r=2, target_modules=["down_proj"], use_dora=True))
    folder = saved(model, tmp_path / "dora")
    whole, part = our_deltas(read(folder, base)), read(folder, base, rank=3)
    for id_, delta in our_deltas(part).items():
        sigma = torch.linalg.svdvals(whole[id_])
        assert part.modules[id_].rank == 3
        left = float((whole[id_] - delta).norm() ** 2 / whole[id_].norm() ** 2)
        assert part.left_out(id_) == pytest.approx(left, abs=1e-12)
        assert left == pytest.approx(float((sigma[3:] ** 2).sum() / (sigma**2).sum()), abs=1e-12)
        assert left > 0
    assert {read(folder, base).left_out(id_) for id_ in whole} == {0.0}


def test_an_update_told_with_the_base_is_known_by_it(tmp_path):
    base = stored(llama(), tmp_path / "base")
    model = trained_dora(llama(), LoraConfig(r=2, target_modules=["down_proj"], use_dora=True))
    folder = saved(model, tmp_path / "dora")
    assert len({identity(read(folder)), identity(read(folder, base)), identity(read(folder, base, rank=3))}) == 3
    lora = saved(trained(llama(), LoraConfig(r=2, target_modules=["down_proj"])), tmp_path / "lora")
    assert identity(read(lora)) == identity(read(lora, base, rank=3))


def test_a_base_that_does_not_fit_leaves_the_direction_part(tmp_path):
    base = stored(gpt2(), tmp_path / "base")
    model = trained_dora(llama(), LoraConfig(r=4, target_modules=["q_proj"], use_dora=True))
    folder = saved(model, tmp_path / "dora")
    adapter = read(folder, base)
    direction = our_deltas(read(folder))
    assert {id_: d.tolist() for id_, d in our_deltas(adapter).items()} == {k: d.tolist() for k, d in direction.items()}
    assert any("only the direction part" in text for text in texts(adapter, "warning"))
    assert any("the base tiny/base has no such module" in text for text in texts(adapter, "info"))
