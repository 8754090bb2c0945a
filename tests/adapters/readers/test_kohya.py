"""kohya's layout: names back to dots, alphas of every kind, convolutions, Tucker cores; the same LoRA as diffusers'."""

import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn
from transformers import T5Config, T5EncoderModel

from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.readers.foreign_names import from_kohya
from inspector.adapters.sources import Local, name_places
from inspector.study.module_id import ModuleId
from tests.adapters.peft.models import assert_same, our_deltas
from tests.adapters.readers.image_models import TARGETS, kohya_tensors, randomised, save, text_encoder, unet
from tests.shown import shown

pytestmark = pytest.mark.filterwarnings("ignore")  # what diffusers and transformers say to each other
NAME = "lora_unet_mid_block_attentions_0_proj_in"
MODULE = ModuleId(None, "mid_block.attentions.0.proj_in")


def read(path):
    return read_adapter(path, "a", str(path))


def pair(r=4, d_out=8, d_in=6, kernel=(), dtype=torch.float64):
    generator = torch.Generator().manual_seed(r + d_out)
    up = torch.randn(d_out, r, *(1 for _ in kernel), generator=generator, dtype=dtype)
    return up, torch.randn(r, d_in, *kernel, generator=generator, dtype=dtype)


def lora(up, down, **more):
    tensors = {"lora_up.weight": up, "lora_down.weight": down} | more
    return {f"{NAME}.{slot}": t for slot, t in tensors.items() if t is not None}


@pytest.mark.parametrize("alpha", [3.0, None])
def test_a_whole_pipeline(tmp_path, alpha):
    model, text = unet(), text_encoder()
    model.add_adapter(LoraConfig(r=4, lora_alpha=alpha or 4, target_modules=TARGETS))
    text.add_adapter(LoraConfig(r=4, lora_alpha=alpha or 4, target_modules=["q_proj", "fc2"]))
    theirs = {}
    tensors = {}
    for tower, prefix, net in ("unet", "lora_unet", model), ("text_encoder.text_model", "lora_te_text_model", text):
        randomised(net, 5)
        tensors |= kohya_tensors(get_peft_model_state_dict(net), prefix, alpha)
        for path, layer in net.named_modules():
            if hasattr(layer, "get_delta_weight"):
                theirs[shown(f"{tower}.{path}")] = layer.get_delta_weight("default").detach().flatten(1)
    path = save(tmp_path / "style.safetensors", tensors, ss_base_model_version="sd_v1.5", ss_network_dim="4")
    adapter = read(path)
    assert_same(our_deltas(adapter), theirs)
    assert (adapter.info.format, adapter.info.base) == ("kohya LoRA", "sd_v1.5")
    assert adapter.info.scale == ("0.75 (α/r = 3/4)" if alpha else "1 (no alpha: 1)")
    assert adapter.info.health == "ok"
    assert len(adapter.tensors) == len(tensors)


def test_every_module_of_a_u_net_gets_its_dots_back():
    for path, module in unet().named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            assert from_kohya(f"lora_unet_{path.replace('.', '_')}") == (f"unet.{path}", True)


def test_every_module_of_a_text_encoder_gets_its_dots_back():
    small = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 8}
    t5 = T5EncoderModel(T5Config(**small))
    gated = T5EncoderModel(T5Config(**small, feed_forward_proj="gated-gelu"))
    for net, prefix, tower in (
        (text_encoder(), "lora_te1_text_model", "text_encoder.text_model"),
        (text_encoder(), "lora_te2_text_model", "text_encoder_2.text_model"),
        (t5, "lora_te3", "text_encoder_3"),
        (gated, "lora_te3", "text_encoder_3"),
    ):
        linear = [path for path, module in net.named_modules() if isinstance(module, nn.Linear)]
        assert len(linear) > 5
        for path in linear:
            assert from_kohya(f"{prefix}_{path.replace('.', '_')}") == (f"{tower}.{path}", True)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("lora_unet_double_blocks_0_img_attn_qkv", "unet.double_blocks.0.img_attn_qkv"),
        (
            "lora_transformer_single_transformer_blocks_12_attn_to_q",
            "transformer.single_transformer_blocks.12.attn_to_q",
        ),
        ("lycoris_blocks_0_ffn_0", "unet.blocks.0.ffn.0"),
        ("lora_te1_model_layers_3_self_attn_q_proj", "text_encoder.model_layers.3.self_attn_q_proj"),
        ("double_blocks_0_1_x", "double_blocks.0.1.x"),
    ],
)
def test_of_a_model_that_is_not_known_by_its_words_only_numbers_are_told_apart(name, path):
    assert from_kohya(name) == (path, False)


SDXL = {
    "input_blocks_4_1_transformer_blocks_0_attn1_to_q": "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "input_blocks_8_1_proj_out": "down_blocks.2.attentions.1.proj_out",
    "middle_block_1_transformer_blocks_9_attn2_to_out_0": "mid_block.attentions.0.transformer_blocks.9.attn2.to_out.0",
    "output_blocks_5_1_transformer_blocks_1_ff_net_2": "up_blocks.1.attentions.2.transformer_blocks.1.ff.net.2",
    "output_blocks_2_2_conv": "up_blocks.0.upsamplers.0.conv",
    "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
    "input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1",
    "output_blocks_8_0_skip_connection": "up_blocks.2.resnets.2.conv_shortcut",
    "middle_block_2_emb_layers_1": "mid_block.resnets.1.time_emb_proj",
    "label_emb_0_2": "add_embedding.linear_2",
    "input_blocks_0_0": "conv_in",
    "out_2": "conv_out",
}


@pytest.mark.parametrize(("name", "path"), SDXL.items())
def test_stabilitys_names_become_diffusers(name, path):
    assert from_kohya(f"lora_unet_{name}") == (f"unet.{path}", True)


@pytest.mark.parametrize(
    ("alpha", "scale"),
    [
        (torch.tensor(2.0), "0.5 (α/r = 2/4)"),
        (torch.tensor(2.0, dtype=torch.float16), "0.5 (α/r = 2/4)"),
        (torch.tensor([2.0]), "0.5 (α/r = 2/4)"),
        (torch.tensor(0.0), "1 (alpha 0 counts as r: 1)"),
        (None, "1 (no alpha: 1)"),
    ],
)
def test_alphas(tmp_path, alpha, scale):
    up, down = pair()
    adapter = read(save(tmp_path / "x.safetensors", lora(up, down, alpha=alpha)))
    assert adapter.info.scale == scale
    assert_same(our_deltas(adapter), {MODULE: float(scale.split()[0]) * up @ down})


@pytest.mark.parametrize(("stated", "more"), [("2", ", though α/r = 2/4, ss_network_alpha"), ("4", "")])
def test_an_alpha_in_the_header_alone_is_said_and_not_used(tmp_path, stated, more):
    """Loaders read the tensors alone; tools that multiply α in leave the header as it was."""
    up, down = pair()
    save_file(lora(up, down), tmp_path / "x.safetensors", metadata={"ss_network_alpha": stated, "ss_network_dim": "4"})
    adapter = read(tmp_path / "x.safetensors")
    assert adapter.info.scale == f"1 (no alpha: 1{more})"
    assert_same(our_deltas(adapter), {MODULE: up @ down})


@pytest.mark.parametrize("alpha", [torch.tensor(float("nan")), torch.tensor([1.0, 2.0]), torch.tensor(float("inf"))])
def test_an_alpha_that_is_no_number(tmp_path, alpha):
    adapter = read(save(tmp_path / "x.safetensors", lora(*pair(), alpha=alpha)))
    assert (adapter.modules, adapter.info.excluded) == ({}, (MODULE,))


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
def test_convolutions_are_flattened(tmp_path, kernel):
    up, down = pair(kernel=kernel)
    adapter = read(save(tmp_path / "x.safetensors", lora(up, down)))
    theirs = torch.nn.functional.conv2d(down.permute(1, 0, 2, 3), up).permute(1, 0, 2, 3)  # merge of sd-scripts
    assert_same(our_deltas(adapter), {MODULE: theirs.flatten(1)})
    assert adapter.modules[MODULE].d_in == 6 * kernel[0] * kernel[1]


def test_misfits_halves_and_strangers(tmp_path):
    up, down = pair()
    tensors = lora(up, down[:3]) | {"lora_unet_z.alpha": torch.tensor(1.0)}
    others = ("lora_te_text_model_x.lora_up.weight", "lora_te_y.dora_scale", "whatever")
    tensors |= {name: up.clone() for name in others}
    adapter = read(save(tmp_path / "x.safetensors", tensors))
    assert adapter.modules == {}
    reasons = {t.key: t.reason for t in adapter.tensors}
    assert "does not multiply" in reasons[f"{NAME}.lora_up.weight"]
    assert "only A or only B" in reasons["lora_te_text_model_x.lora_up.weight"]
    assert "neither A nor B" in reasons["lora_unet_z.alpha"]
    assert "neither A nor B" in reasons["lora_te_y.dora_scale"]
    assert "no tensor of a LoRA" in reasons["whatever"]


def test_files_of_one_folder_are_named_by_their_stems(tmp_path):
    for n in (2, 10):
        save(tmp_path / f"style-{n}.safetensors", lora(*pair()))
    (tmp_path / "README.md").write_text("x")
    assert name_places(expand(Local(tmp_path))) == ["style-2", "style-10"]
    (one,) = expand(Local(tmp_path / "style-2.safetensors", "mine"))
    assert name_places([one]) == ["mine"]
