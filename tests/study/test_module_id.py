"""Module paths of many families and wrappers, and the id each comes to."""

import pytest

from inspector.study.module_id import ModuleId, Names, generic, in_order, module_ids, same_base, split, strip_wrappers
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


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ({"a.layers.0.q": 5, "b.layers.0.q": 3}, ["0.q", "0.b.layers.q"]),
        ({"b.layers.0.q": 3, "a.layers.0.q": 5}, ["0.b.layers.q", "0.q"]),
        ({"a.layers.0.q": 3, "b.layers.0.q": 3}, ["0.a.layers.q", "0.b.layers.q"]),
        ({"a.layers.0.q": 1, "b.layers.0.q": 2, "c.layers.0.q": 3}, ["0.a.layers.q", "0.b.layers.q", "0.q"]),
        ({"a.layers.0.q": 1, "b.h.0.q": 3, "c.blocks.0.q": 3}, ["0.a.layers.q", "0.b.h.q", "0.c.blocks.q"]),
        ({"a.layers.0.q": 4, "b.layers.0.q": 3, "b.layers.1.q": 3}, ["0.a.layers.q", "0.q", "1.q"]),
        ({"x.a.layers.0.q": 5, "x.b.layers.0.q": 3}, ["0.q", "0.b.layers.q"]),
        ({"double_blocks.0.q": 5, "single_blocks.0.q": 3}, ["0.double_blocks.q", "0.single_blocks.q"]),
        ({"a.up_blocks.0.q": 5, "b.mm_blocks.0.q": 5, "c.mm_blocks.0.q": 3},
         ["a.up_blocks.0.q", "0.b.mm_blocks.q", "0.c.mm_blocks.q"]),
        ({"model.encoder.layers.0.q": 5, "model.decoder.layers.0.q": 3}, ["0.encoder.q", "0.decoder.q"]),
        ({"transformer.blocks.0.q": 5, "layers.0.q": 3}, ["0.q", "0.layers.q"]),
        ({"layers.0.q": 5, "module.layers.0.q": 3}, ["layers.0.q", "layers.0.q"]),
        ({"layers.1234567.q": 5, "layers.123456.q": 5, "layers.0": 3}, ["layers.1234567.q", "123456.q", "layers.0"]),
    ],
)  # fmt: skip
def test_stacks_that_would_be_called_alike(sizes, shown):
    """The largest alone goes without a name, by all weights of its layers; others have theirs as far as it differs."""
    found = module_ids(sizes)
    assert list(found) == list(sizes)
    assert [str(id_) for id_ in found.values()] == shown


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("language_model.model.layers.0.q", "model.language_model.layers.0.q"),
        ("model.layers.0.q", "model.language_model.layers.0.q"),
        ("model_language_model_layers_0_q", "model.language_model.layers.0.q"),
        ("model.lm_head", "lm_head"),
        ("a.model.layers.1.k", "a.layers.1.k"),
        ("layers.1.k", None),
        ("c.layers.1.k", None),
        ("layers.2.q", None),
        ("layers.3.v", "layers.3.v"),
        ("model.layers.3.v", "layers.3.v"),
        ("model.a.layers.3.v", "a.layers.3.v"),
        ("layers.4.v", None),
    ],
)
def test_a_path_under_another_name(path, found):
    """Of several that it could be the one that names the same places; of a tower's no other's."""
    paths = ["model.language_model.layers.0.q", "vision.layers.0.q", "lm_head", "a.layers.1.k", "b.layers.1.k"]
    assert Names([*paths, "a.layers.3.v", "layers.3.v", "vision.layers.4.v"]).find(path) == found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a/Base", "c/base", True), ("a/b/", "b", True), ("a/b", "a/c", False), ("", "x", True), ("x", "", True),
        ("b/x", "b", False),
    ],
)  # fmt: skip
def test_names_of_one_base(one, other, same):
    assert same_base(one, other) == same


def test_a_path_is_cut_before_its_first_number():
    assert split("model.layers.3.mlp.experts.4.up_proj") == (("model",), "layers.3.mlp.experts.4.up_proj")
    assert split("visual.proj") == (("visual",), "proj")
    assert split("lm_head") == ((), "lm_head")
    assert split("3.x") == (("3",), "x")
    assert generic("a.3.b.44.c") == "a.N.b.N.c"
