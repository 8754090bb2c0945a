"""Module paths of many families and wrappers, and the id each comes to."""

import pytest

from inspector.study.module_id import ModuleId, in_order, strip_wrappers
from tests.shown import shown


@pytest.mark.parametrize(
    ("path", "layer", "below"),
    [
        ("model.layers.3.self_attn.q_proj", 3, "self_attn.q_proj"),
        ("base_model.model.model.layers.3.self_attn.q_proj", 3, "self_attn.q_proj"),
        ("base_model.model.base_model.model.model.layers.3.mlp.up_proj", 3, "mlp.up_proj"),
        ("module.base_model.model._orig_mod.model.layers.3.mlp.up_proj", 3, "mlp.up_proj"),
        ("_fsdp_wrapped_module.base_model.model.model._fsdp_wrapped_module.layers.3.mlp.up_proj", 3, "mlp.up_proj"),
        ("model.layers.3._checkpoint_wrapped_module.mlp.up_proj", 3, "mlp.up_proj"),
        ("model.language_model.layers.3.self_attn.q_proj", 3, "self_attn.q_proj"),
        ("language_model.model.layers.3.self_attn.q_proj", 3, "self_attn.q_proj"),
        ("transformer.h.11.attn.c_attn", 11, "attn.c_attn"),
        ("h.0.mlp.c_proj", 0, "mlp.c_proj"),
        ("gpt_neox.layers.0.attention.query_key_value", 0, "attention.query_key_value"),
        ("bert.encoder.layer.5.attention.self.query", 5, "encoder.attention.self.query"),
        ("model.decoder.layers.5.self_attn.q_proj", 5, "decoder.self_attn.q_proj"),
        ("encoder.block.2.layer.0.SelfAttention.q", 2, "encoder.layer.0.SelfAttention.q"),
        ("model.layers.7.mlp.experts.3.down_proj", 7, "mlp.experts.3.down_proj"),
        ("model.embed_tokens", None, "model.embed_tokens"),
        ("lm_head", None, "lm_head"),
        ("model.visual.blocks.4.attn.qkv", None, "model.visual.blocks.4.attn.qkv"),
        (
            "vision_tower.vision_model.encoder.layers.4.mlp.fc1",
            None,
            "vision_tower.vision_model.encoder.layers.4.mlp.fc1",
        ),
        ("model.mtp.layers.0.self_attn.q_proj", None, "model.mtp.layers.0.self_attn.q_proj"),
        ("audio_tower.layers.4.fc1", None, "audio_tower.layers.4.fc1"),
        ("", None, ""),
    ],
)
def test_ids(path, layer, below):
    assert shown(path) == ModuleId(layer, below)


def test_odd_and_long_paths_are_fit_to_show_and_stay_apart():
    paths = [f"model.layers.3.{'x' * 5000}{end}" for end in "ab"]
    paths += [f"model.layers.3.od{mark}d.q_proj" for mark in ("", "\u200b", "\u202e", "\n", "\xa0")]
    paths += [f"layers.{'9' * 5000}.q_proj", f"layers.{'9' * 5001}.q_proj"]
    ids = [shown(path) for path in paths]
    assert len(set(ids)) == len(paths)
    assert [id_.layer for id_ in ids] == [3] * 7 + [None] * 2
    assert all(id_.path.isprintable() and len(id_.path) < 320 for id_ in ids)
    assert ids[2].path == "odd.q_proj"
    assert [shown(f"base_model.model.{path}") for path in paths] == ids


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("self_attn.q_proj", "q_proj"),
        ("attn1.to_out.0", "to_out.0"),
        ("mlp.0.0", "mlp.0.0"),
        ("0", "0"),
        ("0.1", "0.1"),
        ("lm_head", "lm_head"),
        ("", ""),
    ],
)
def test_a_number_alone_names_no_projection(path, shown):
    assert ModuleId(None, path).projection == shown


def test_wrapper_names_inside_other_names_stay():
    assert strip_wrappers("model.my_module.layers.0.q") == "model.my_module.layers.0.q"
    assert strip_wrappers("module.module.layers.0.q") == "layers.0.q"


def test_ids_as_text():
    assert str(ModuleId(3, "self_attn.q_proj")) == "3.self_attn.q_proj"
    assert str(ModuleId(None, "lm_head")) == "lm_head"
    assert ModuleId(3, "self_attn.q_proj").projection == "q_proj"
    assert ModuleId(None, "lm_head").projection == "lm_head"


def test_order_is_by_layer_then_path_and_the_rest_last():
    ids = [ModuleId(None, "lm_head"), ModuleId(10, "a"), ModuleId(2, "b"), ModuleId(2, "a")]
    assert in_order(set(ids)) == (ids[3], ids[2], ids[1], ids[0])
