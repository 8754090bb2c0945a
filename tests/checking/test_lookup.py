"""A base is asked for a module in one place: what the reader finds, `check --base` finds, against the loaded model."""

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.options import ReadOptions
from inspector.adapters.peft.base import Base
from inspector.checking.checks import checked
from inspector.checking.fit import fit
from tests.adapters.peft.merged import read, stored
from tests.adapters.peft.mixtures import (
    SIZES,
    E,
    deepseek,
    gpt_oss,
    granite,
    llama4,
    mixtral,
    on_stacks,
    qwen2_moe,
    qwen3_moe,
)
from tests.adapters.peft.models import llama, saved, trained
from tests.makers import random_factors, write_adapter, write_config

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning", "ignore::UserWarning"
)


@pytest.mark.parametrize("make", [qwen3_moe, qwen2_moe, mixtral, deepseek, gpt_oss, llama4])
def test_an_experts_weight_is_that_of_the_loaded_model_under_each_of_its_names(tmp_path, make):
    base = Base(stored(make(), tmp_path / "base"))
    turned, in_turns = make in {gpt_oss, llama4}, make is gpt_oss
    stacks = {name: p.detach() for name, p in make().named_parameters() if p.dim() == 3}
    assert stacks
    for name, stack in stacks.items():
        holder, _, last = name.rpartition(".")
        for e in range(E):
            W = stack[e].T if turned else stack[e]
            wanted = {last: W}
            if last == "gate_up_proj":
                gate, up = (W[::2], W[1::2]) if in_turns else W.chunk(2)
                wanted |= {"gate_proj": gate, "up_proj": up, "w1": gate, "w3": up}
            for own, want in wanted.items():
                weight = base.find(f"{holder}.{e}.{own}")
                assert weight is not None
                assert weight.shape == want.shape
                assert torch.equal(weight.read(base.weights), want)
        assert base.find(f"{holder}.{E}.{last}") is None


@pytest.mark.parametrize(
    ("make", "holder"),
    [
        (granite, "block_sparse_moe.experts"),
        (qwen3_moe, "mlp.experts"),
        (mixtral, "mlp.experts"),
        (llama4, "feed_forward.experts"),
    ],
)
def test_fused_experts_fit_the_base(tmp_path, make, holder):
    base = stored(make(), tmp_path / "base")
    found = checked(read(saved(trained(make(), on_stacks(holder)), tmp_path / "a"), base), base)
    assert found.holds
    assert found.fit.weights.keys() == found.precision.modules.keys() == found.adapter.modules.keys()
    assert found.precision.whole.cosine > 0.99


@pytest.mark.parametrize("prefix", ["model.", "model.language_model."])
def test_a_head_that_is_tied_to_the_embedding_fits(tmp_path, prefix):
    model = LlamaForCausalLM(LlamaConfig(**SIZES, intermediate_size=24, tie_word_embeddings=True)).double()
    base = stored(model, tmp_path / "base")
    tensors = load_file(tmp_path / "base" / "model.safetensors")
    assert "lm_head.weight" not in tensors
    renamed = {f"{prefix}{key.removeprefix('model.')}": W for key, W in tensors.items()}
    save_file(renamed, tmp_path / "base" / "model.safetensors")
    adapter = read(saved(trained(llama(), LoraConfig(r=2, target_modules=["lm_head"])), tmp_path / "a"), base)
    found = checked(adapter, base)
    assert [(f.severity, f.text) for f in found.findings if f.severity == "error"] == []
    (weight,) = found.fit.weights.values()
    assert torch.equal(weight.read(base), tensors["model.embed_tokens.weight"])


def mxfp4(folder, E=3, H=64, F=32):
    """A base whose experts are as gpt-oss publishes them: FP4 pairs in blocks of 32, and a scale a block."""
    folder.mkdir()
    tensors = {"model.layers.0.self_attn.q_proj.weight": torch.zeros(64, 64)}
    for name, (d_out, d_in) in {"gate_up_proj": (2 * F, H), "down_proj": (H, F)}.items():
        place = f"model.layers.0.mlp.experts.{name}"
        tensors[f"{place}_blocks"] = torch.zeros(E, d_out, d_in // 32, 16, dtype=torch.uint8)
        tensors[f"{place}_scales"] = torch.zeros(E, d_out, d_in // 32, dtype=torch.uint8)
    save_file(tensors, folder / "model.safetensors")
    return BaseWeights("tiny/mxfp4", lambda: folder)


def test_experts_on_an_mxfp4_base_are_read_and_said_to_be_quantised_there(tmp_path):
    base = mxfp4(tmp_path / "base")
    generator = torch.Generator().manual_seed(0)
    sizes = {"experts.base_layer": (128 // 2, 64), "experts": (64, 32)}
    tensors = {}
    for place, (d_out, d_in) in sizes.items():
        A, B = torch.randn(6, d_in, generator=generator), torch.randn(d_out, 6, generator=generator)
        key = f"base_model.model.model.layers.0.mlp.{place}"
        tensors |= {f"{key}.lora_A.weight": A, f"{key}.lora_B.weight": B}
    names = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    write_config(tmp_path / "a", r=2, lora_alpha=4, target_parameters=names, peft_version="0.21.2")
    save_file(tensors, tmp_path / "a" / "adapter_model.safetensors")
    adapter = read_adapter(tmp_path / "a", "a", "a", ReadOptions(base))
    assert {(m.d_out, m.d_in, m.rank) for m in adapter.modules.values()} == {(64, 64, 2), (64, 32, 2)}
    found = checked(adapter, base)
    assert found.holds
    assert set(found.fit.quantised) == adapter.modules.keys()
    assert [f.text.partition(",")[0] for f in found.fit.findings()] == ["quantised in the base"]


@pytest.mark.parametrize("codes", ["qweight", "weight_packed", "codes"])
def test_codes_under_any_name_are_quantised_and_not_missing(tmp_path, codes):
    q = "model.layers.0.self_attn.q_proj"
    (tmp_path / "base").mkdir()
    save_file({f"{q}.{codes}": torch.zeros(2, 2, dtype=torch.int32)}, tmp_path / "base" / "model.safetensors")
    folder = write_adapter(tmp_path / "a", random_factors({q: (8, 8), q.replace("q_proj", "x_proj"): (8, 8)}))
    adapter = read_adapter(folder, "a", "a")
    found = fit(adapter, BaseWeights("b", lambda: tmp_path / "base"))
    assert [str(id_) for id_ in found.quantised] == ["0.self_attn.q_proj"]
    assert [str(id_) for id_ in found.missing] == ["0.self_attn.x_proj"]


def test_layers_of_a_replicated_model_are_those_of_the_base(tmp_path):
    base = stored(llama(), tmp_path / "base")
    config = LoraConfig(r=2, target_modules=["q_proj"], layer_replication=[(0, 2), (1, 2)])
    found = checked(read(saved(trained(llama(), config), tmp_path / "a"), base), base)
    assert len(found.adapter.modules) == 3
    assert found.holds
    assert [id_.layer for id_ in found.fit.weights] == [0, 1, 2]
