"""diffusers' LoRA files against the weights its own loader fuses, and older key layouts."""

import json
import warnings

import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict

from inspector.adapters.formats import read_adapter
from inspector.study.module_id import ModuleId
from tests.adapters.peft.models import assert_same, our_deltas
from tests.adapters.readers.image_models import TARGETS, flat, randomised, save, text_encoder, unet, weights
from tests.shown import shown

pytestmark = pytest.mark.filterwarnings("ignore")  # what diffusers and transformers say to each other


def read(path):
    return read_adapter(path, "a", str(path))


def texts(adapter, severity):
    return [f.text for f in adapter.info.findings if f.severity == severity]


def pipeline_file(folder, *, metadata=True, targets=TARGETS, **config):
    """What StableDiffusionPipeline.save_lora_weights writes, and the ΔW of fuse_lora."""
    diffusers = pytest.importorskip("diffusers")
    from diffusers.training_utils import _collate_lora_metadata
    from diffusers.utils import convert_state_dict_to_diffusers

    model, text = unet(), text_encoder()
    before = weights(model), weights(text)
    config = {"r": 4, "lora_alpha": 6} | config
    model.add_adapter(LoraConfig(target_modules=targets, **config))
    text.add_adapter(LoraConfig(target_modules=["q_proj", "fc1"], r=config["r"], lora_alpha=2))
    randomised(model, 1), randomised(text, 2)
    diffusers.StableDiffusionPipeline.save_lora_weights(
        folder,
        unet_lora_layers=convert_state_dict_to_diffusers(get_peft_model_state_dict(model)),
        text_encoder_lora_layers=convert_state_dict_to_diffusers(get_peft_model_state_dict(text)),
        **(_collate_lora_metadata({"unet": model, "text_encoder": text}) if metadata else {}),
    )
    deltas = {}
    for tower, net, old in ("unet", model, before[0]), ("text_encoder", text, before[1]):
        for path, layer in net.named_modules():
            if hasattr(layer, "get_delta_weight"):
                deltas[shown(f"{tower}.{path}")] = layer.get_delta_weight("default").detach().flatten(1)
                assert old[path].shape == layer.weight.shape
    return folder / "pytorch_lora_weights.safetensors", deltas


def test_what_the_pipeline_saves(tmp_path):
    path, theirs = pipeline_file(tmp_path / "style", rank_pattern={"conv1": 2}, alpha_pattern={"to_v": 9})
    adapter = read(path)
    assert_same(our_deltas(adapter), theirs)
    assert adapter.info.format == "diffusers LoRA"
    assert adapter.modules[ModuleId(None, "mid_block.attentions.0.proj_in")].scale.origin == "α/r = 6/4"
    assert ModuleId(None, "text_encoder.encoder.layers.1.mlp.fc1") in adapter.modules
    assert adapter.info.health == "ok"
    assert {t.role for t in adapter.tensors} == {"used"}


def test_without_metadata_alpha_is_the_rank(tmp_path):
    path, theirs = pipeline_file(tmp_path, metadata=False)
    ours = our_deltas(read(path))
    scale = {True: 4 / 2, False: 4 / 6}
    assert_same(ours, {m: d * scale[m.path.startswith("text")] for m, d in theirs.items()})


def test_one_model_alone_saves_without_its_name(tmp_path):
    model = unet()
    model.add_adapter(LoraConfig(r=4, lora_alpha=6, target_modules=["to_q"]))
    randomised(model, 3).save_lora_adapter(tmp_path)
    before = weights(model)
    model.fuse_lora()
    after = weights(model)
    theirs = {path: after[path] - before[path] for path in before}
    ours = our_deltas(read(tmp_path / "pytorch_lora_weights.safetensors"))
    expected = flat({path.removesuffix(".base_layer"): d for path, d in theirs.items()}, "unet")
    assert ours.keys() == expected.keys()
    for module, delta in ours.items():
        torch.testing.assert_close(delta, expected[module], rtol=0, atol=1e-12)


def test_what_the_pipeline_fuses(tmp_path):
    """Through diffusers' own loader, from the file: attention alone, as it ignores the rest of mixed key layouts."""
    pytest.importorskip("diffusers")
    path, _ = pipeline_file(tmp_path, targets=["to_q", "to_k", "to_v", "to_out.0"])
    model = unet()
    before = weights(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.load_lora_adapter(tmp_path, prefix="unet", weight_name=path.name)
    model.fuse_lora()
    deltas = {
        p.removesuffix(".base_layer"): w - before[p.replace(".base_layer", "")]
        for p, w in weights(model).items()
        if p.removesuffix(".base_layer") in before
    }
    ours = {m: d for m, d in our_deltas(read(path)).items() if not m.path.startswith("text")}
    theirs = flat(deltas, "unet")
    assert ours.keys() == theirs.keys()
    for module, delta in ours.items():
        torch.testing.assert_close(delta, theirs[module], rtol=0, atol=1e-9)


OLD = {
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora": "attn1.to_q",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora": "attn1.to_out.0",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora": "attn2.to_k",
    "text_encoder.text_model.encoder.layers.0.self_attn.to_out_lora": "self_attn.out_proj",
    "text_encoder.text_model.encoder.layers.0.self_attn.v_proj.lora_linear_layer": "self_attn.v_proj",
}


def test_older_keys(tmp_path):
    tensors = {f"{key}.{side}.weight": torch.ones(s) for key in OLD for side, s in (("up", (6, 2)), ("down", (2, 8)))}
    adapter = read(save(tmp_path / "x.safetensors", tensors))
    ends = {str(m) for m in adapter.modules}
    assert len(ends) == len(OLD)
    assert all(any(module.endswith(end) for module in ends) for end in OLD.values())
    assert adapter.info.scale == "1 (no alpha: 1)"


def test_alphas_beside_the_factors(tmp_path):
    name = "diffusion_model.double_blocks.0.img_attn.qkv"
    tensors = {f"{name}.lora_A.weight": torch.ones(4, 8), f"{name}.lora_B.weight": torch.ones(24, 4)}
    adapter = read(save(tmp_path / "x.safetensors", tensors | {f"{name}.alpha": torch.tensor(2.0)}))
    assert adapter.info.scale == "0.5 (α/r = 2/4)"
    assert [str(m) for m in adapter.modules] == ["0.double_blocks.img_attn.qkv"]


@pytest.mark.parametrize("text", ["{", "[1]", json.dumps({"unet.r": "x", "unet.lora_alpha": None})])
def test_metadata_that_is_no_config(tmp_path, text):
    name = "unet.mid_block.attentions.0.proj_in"
    tensors = {f"{name}.lora_A.weight": torch.ones(4, 8), f"{name}.lora_B.weight": torch.ones(8, 4)}
    adapter = read(save(tmp_path / "x.safetensors", tensors, lora_adapter_metadata=text))
    assert len(adapter.modules) == 1
    assert not adapter.info.scaled


def test_a_language_model_below_transformer_is_pefts(tmp_path):
    name = "transformer.h.0.attn.c_attn"
    tensors = {f"{name}.lora_A.weight": torch.ones(4, 8), f"{name}.lora_B.weight": torch.ones(24, 4)}
    assert read(save(tmp_path / "x.safetensors", tensors)).info.format == "PEFT LoRA"
