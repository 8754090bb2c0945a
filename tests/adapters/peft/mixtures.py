"""Tiny mixtures of experts of every layout transformers has, and what PEFT makes of an adapter on them."""

import json

import torch
from peft import LoraConfig, PeftModel, load_peft_weights, set_peft_model_state_dict
from transformers import (
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    GptOssConfig,
    GptOssForCausalLM,
    GraniteMoeConfig,
    GraniteMoeForCausalLM,
    Llama4ForCausalLM,
    Llama4TextConfig,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    Qwen3NextConfig,
    Qwen3NextForCausalLM,
)

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 50,
    "pad_token_id": 0,
}
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
E = 3
"""Experts of a layer."""


def _made(model, config, **sizes):
    torch.manual_seed(0)
    return model(config(**SIZES | sizes)).double()


def qwen3_moe(intermediate=12):
    sizes = {"num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": intermediate, "head_dim": 8}
    return _made(Qwen3MoeForCausalLM, Qwen3MoeConfig, intermediate_size=24, decoder_sparse_step=1, **sizes)


def qwen2_moe():
    sizes = {"num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
    more = {"intermediate_size": 24, "shared_expert_intermediate_size": 10, "decoder_sparse_step": 1}
    return _made(Qwen2MoeForCausalLM, Qwen2MoeConfig, **sizes, **more)


def qwen3_next():
    sizes = {"num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "head_dim": 8}
    linear = {f"linear_{name}": 2 for name in ("num_value_heads", "num_key_heads")} | {
        f"linear_{name}_head_dim": 8 for name in ("key", "value")
    }
    more = {"intermediate_size": 24, "shared_expert_intermediate_size": 10, "num_hidden_layers": 4}
    return _made(Qwen3NextForCausalLM, Qwen3NextConfig, **sizes, **linear, **more)


def mixtral():
    return _made(MixtralForCausalLM, MixtralConfig, intermediate_size=12, num_local_experts=E)


def granite():
    """Its files call the stacks `input_linear.weight` and `output_linear.weight`."""
    return _made(GraniteMoeForCausalLM, GraniteMoeConfig, intermediate_size=12, num_local_experts=E)


def deepseek():
    """Its first layer is dense, the others have a shared expert."""
    heads = {"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8, "q_lora_rank": 8, "kv_lora_rank": 8}
    experts = {"n_routed_experts": E, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
    more = {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 1, "intermediate_size": 24}
    sizes = {"num_hidden_layers": 3, "num_key_value_heads": 2}
    return _made(DeepseekV3ForCausalLM, DeepseekV3Config, **heads, **experts, **more, **sizes)


def gpt_oss():
    """Stacks stored in×out, gates and up projections in turns, down projections square as the real one's are."""
    return _made(GptOssForCausalLM, GptOssConfig, intermediate_size=16, num_local_experts=E, head_dim=8)


def llama4():
    """Stacks in×out whose class does not say so: PEFT has A on the side of the output."""
    sizes = {"intermediate_size": 12, "intermediate_size_mlp": 24, "num_local_experts": E, "head_dim": 8}
    return _made(Llama4ForCausalLM, Llama4TextConfig, num_experts_per_tok=1, **sizes)


def on_stacks(holder="mlp.experts", **more):
    names = [f"{holder}.gate_up_proj", f"{holder}.down_proj"]
    return LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj"], target_parameters=names, **more)


def loaded_deltas(model, folder):
    """Parameter -> its change when PEFT loads the folder and merges it; every tensor must have found its place."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    wrapped = PeftModel.from_pretrained(model, folder)
    found = set_peft_model_state_dict(wrapped, load_peft_weights(folder))
    assert not found.unexpected_keys
    assert not [key for key in found.missing_keys if "lora_" in key]
    after = wrapped.merge_and_unload().named_parameters()
    changes = {name: p.detach() - before[name] for name, p in after}
    return {name: change for name, change in changes.items() if float(change.abs().max()) > 0}


def assert_same_deltas(ours, theirs, atol=1e-6):
    assert ours.keys() == theirs.keys()
    assert ours
    for name, delta in ours.items():
        torch.testing.assert_close(delta, theirs[name], rtol=1e-6, atol=atol)


def edit_config(folder, **changes):
    """Changes fields of the folder's config; None drops one."""
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return folder
