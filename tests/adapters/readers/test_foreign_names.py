"""Other formats' names of modules in Hugging Face's, worked by hand; and the heads that a config counts."""

import json

import gguf
import pytest

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.readers.foreign_names import from_diffusers, from_gguf, from_kohya, from_torchtune, is_kohya
from inspector.adapters.readers.rope import head_counts

ATTENTION = [f"self_attn.{name}_proj" for name in "qkvo"]
DENSE = [*ATTENTION, *(f"mlp.{name}_proj" for name in ("gate", "up", "down"))]
MIXTURE = [*ATTENTION, "mlp.gate", *(f"mlp.experts.{name}_proj" for name in ("gate", "up", "down"))]
ONE_SHARED = ["mlp.shared_expert_gate", *(f"mlp.shared_expert.{name}_proj" for name in ("gate", "up", "down"))]
SHARED = [f"mlp.shared_experts.{name}_proj" for name in ("gate", "up", "down")]
FAMILIES = {
    "llama": DENSE,
    "qwen3moe": MIXTURE,
    "qwen2moe": [*MIXTURE, *ONE_SHARED],
    **dict.fromkeys(("deepseek2", "glm4moe", "dots1"), (*MIXTURE, *SHARED)),
    "phi3": ["self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"],
    "gpt-oss": [*ATTENTION, "mlp.router", "mlp.experts.down_proj"],
}
GPT2 = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]


@pytest.mark.parametrize(
    ("architecture", "paths"),
    [(name, [f"model.layers.12.{end}" for end in ends]) for name, ends in FAMILIES.items()]
    + [("llama", ["model.embed_tokens", "lm_head"]), ("gpt2", [f"transformer.h.12.{end}" for end in GPT2])],
)
def test_llama_cpps_names_are_those_of_its_conversion_backwards(architecture, paths):
    arch = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    conversion = gguf.get_tensor_name_map(arch, 13)
    assert [from_gguf(conversion.get_name(path), architecture) for path in paths] == paths


@pytest.mark.parametrize("name", ["blk.3.ssm_in", "blk.1234567.attn_q", "v.blk.3.attn_q", "attn_q"])
def test_names_that_are_not_known(name):
    assert from_gguf(name, "llama") is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("layers.12.attn.q_proj", "model.layers.12.self_attn.q_proj"),
        ("layers.0.attn.k_proj", "model.layers.0.self_attn.k_proj"),
        ("layers.0.attn.v_proj", "model.layers.0.self_attn.v_proj"),
        ("layers.0.attn.output_proj", "model.layers.0.self_attn.o_proj"),
        ("layers.0.mlp.w1", "model.layers.0.mlp.gate_proj"),
        ("layers.0.mlp.w2", "model.layers.0.mlp.down_proj"),
        ("layers.0.mlp.w3", "model.layers.0.mlp.up_proj"),
        ("output", "lm_head"),
        ("tok_embeddings", "model.embed_tokens"),
        ("layers.0.mlp.w4", None),
        ("layers.1234567.mlp.w1", None),
        ("decoder.layers.0.mlp.w1", None),
    ],
)
def test_torchtune(name, path):
    assert from_torchtune(name) == path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("input_blocks_1_1_proj_in", "down_blocks.0.attentions.0.proj_in"),
        ("input_blocks_2_0_out_layers_3", "down_blocks.0.resnets.1.conv2"),
        ("input_blocks_4_0_in_layers_2", "down_blocks.1.resnets.0.conv1"),
        ("input_blocks_6_0_op", "down_blocks.1.downsamplers.0.conv"),
        ("middle_block_0_in_layers_2", "mid_block.resnets.0.conv1"),
        ("middle_block_3_in_layers_2", "middle_block.3.in_layers.2"),
        ("output_blocks_0_0_emb_layers_1", "up_blocks.0.resnets.0.time_emb_proj"),
        ("output_blocks_3_1_proj_out", "up_blocks.1.attentions.0.proj_out"),
        ("output_blocks_2_1_conv", "up_blocks.0.upsamplers.0.conv"),
        ("time_embed_0", "time_embedding.linear_1"),
        ("time_embed_2", "time_embedding.linear_2"),
        ("label_emb_0_0", "add_embedding.linear_1"),
        ("time_embed_1", "time_embed.1"),
    ],
)
def test_stabilitys_blocks(name, path):
    assert from_kohya(f"lora_unet_{name}") == (f"unet.{path}", True)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", "text_encoder.text_model.encoder.layers.0.mlp.fc1"),
        ("lora_te1_text_projection", "text_encoder.text_projection"),
        ("lora_te2_text_projection", "text_encoder_2.text_projection"),
        ("lora_te3_encoder_block_0_layer_1_SelfAttention_q", "text_encoder_3.encoder.block.0.layer.1.SelfAttention.q"),
        ("lora_transformer_proj_out", "transformer.proj_out"),
        ("lycoris_conv_in", "unet.conv_in"),
        ("conv_in", "conv_in"),
    ],
)
def test_towers(name, path):
    assert from_kohya(name) == (path, True)
    other, sure = from_kohya(f"my_{name}")
    assert (other.replace(".", "_"), sure) == (f"my_{name}", False), "of another script"


@pytest.mark.parametrize(
    ("names", "kohyas"),
    [
        (["lora_unet_x", "lora_te_x", "lora_te2_x", "lora_transformer_x", "lycoris_x"], True),
        (["lora_unet_", "my_lora_unet_x", "lora_te22_x", "unet_x"], False),
    ],
)
def test_what_kohya_calls_a_module(names, kohyas):
    assert {is_kohya(name) for name in names} == {kohyas}


@pytest.mark.parametrize(
    ("path", "today"),
    [
        ("unet.a.attn1.processor.to_q_lora", "unet.a.attn1.to_q"),
        ("unet.a.attn1.processor.to_out_lora", "unet.a.attn1.to_out.0"),
        ("text_encoder.a.self_attn.to_v_lora", "text_encoder.a.self_attn.v_proj"),
        ("text_encoder.a.self_attn.to_out_lora", "text_encoder.a.self_attn.out_proj"),
        ("unet.a.processors.to_q", "unet.a.processors.to_q"),
        ("unet.a.to_q_lora.x", "unet.a.to_q_lora.x"),
    ],
)
def test_older_diffusers(path, today):
    assert from_diffusers(path) == today


@pytest.mark.parametrize(
    ("config", "counts"),
    [
        ({"num_attention_heads": 4, "num_key_value_heads": 2}, {"q_proj": 4, "k_proj": 2}),
        ({"num_attention_heads": 4.0}, {"q_proj": 4, "k_proj": 4}),
        ({"num_attention_heads": 4, "num_key_value_heads": 0}, {"q_proj": 4, "k_proj": 4}),
        ({"num_attention_heads": 1, "num_key_value_heads": 1}, {"q_proj": 1, "k_proj": 1}),
        (
            {"num_attention_heads": 9, "text_config": {"num_attention_heads": 6, "num_key_value_heads": 3}},
            {"q_proj": 6, "k_proj": 3},
        ),
        ({"num_attention_heads": 4, "text_config": "none"}, {"q_proj": 4, "k_proj": 4}),
        ({"num_attention_heads": 4.5}, {}),
        ({"num_attention_heads": 0}, {}),
        ({"num_attention_heads": -4}, {}),
        ({"num_attention_heads": "4"}, {}),
        ({"num_key_value_heads": 2}, {}),
    ],
)
def test_heads_of_a_config(tmp_path, config, counts):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert head_counts(tmp_path, DEFAULTS) == counts


@pytest.mark.parametrize(("beside", "heads"), [('{"num_attention_heads": 2}', 2), ("{}", 8), ("{", 8), (None, 8)])
def test_the_config_beside_the_adapter_comes_before_the_bases(tmp_path, beside, heads):
    for name, text in (("a", beside), ("base", '{"num_attention_heads": 8}')):
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "config.json").write_text(text)
    read_options = ReadOptions(BaseWeights("base", lambda: tmp_path / "base"))
    assert head_counts(tmp_path / "a", read_options) == {"q_proj": heads, "k_proj": heads}
