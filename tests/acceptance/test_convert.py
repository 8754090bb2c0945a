"""`inspector convert`: any format -> a PEFT folder with the same ΔW, bit for bit, that PEFT itself loads."""

import json
import warnings

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.options import ReadOptions
from inspector.adapters.sources import Local
from inspector.base_model.base import base_weights
from inspector.common.errors import InspectorError
from inspector.workflows.convert import convert
from inspector.workflows.merge_preview import merge_preview
from tests.acceptance.command import inspector
from tests.adapters.peft.models import assert_same, gpt2, llama, our_deltas, peft_deltas, reloaded, saved, trained
from tests.adapters.readers import test_gguf as gguf
from tests.adapters.readers import test_mlx as mlx
from tests.adapters.readers import test_torchtune as torchtune
from tests.makers import random_factors, write_adapter, write_random

# What PEFT 0.21 and transformers 5 say to each other.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def read(path):
    (place,) = expand(Local(path))
    return read_adapter(place.path, "a", str(path), ReadOptions(allow_pickle=True))


def assert_bits(source, dest):
    """The same modules with the same factors, scales and types."""
    assert source.modules.keys() == dest.modules.keys()
    assert source.modules
    for id_, module in source.modules.items():
        assert dest.modules[id_].scale.value == module.scale.value
        for theirs, ours in zip(source.load(id_), dest.load(id_), strict=True):
            assert theirs.dtype == ours.dtype
            torch.testing.assert_close(ours[: len(theirs), : theirs.shape[1]], theirs, rtol=0, atol=0)
    theirs, ours = our_deltas(source), our_deltas(dest)
    assert all(torch.equal(ours[id_], theirs[id_]) for id_ in theirs)


def write_mlx(path):
    mlx.write(path)
    return path


def write_gguf(path):
    gguf.write(gguf.config(path) / "lora.gguf", random_factors(gguf.SHAPES, r=4))
    return path / "lora.gguf"


def write_torchtune(path):
    torchtune.checkpoint(path)
    return path


def write_kohya(path):
    path.mkdir()
    names = ("lora_unet_mid_block_attentions_0_proj_in", "lora_unet_conv_in")
    tensors = {
        f"{names[0]}.lora_up.weight": torch.randn(8, 3).half(),
        f"{names[0]}.lora_down.weight": torch.randn(3, 6),
    }
    tensors |= {f"{names[1]}.lora_up.weight": torch.randn(8, 3, 1, 1), f"{names[0]}.alpha": torch.tensor(0.7)}
    tensors |= {f"{names[1]}.lora_down.weight": torch.randn(3, 4, 3, 3)}
    save_file(tensors, path / "style.safetensors")
    return path / "style.safetensors"


@pytest.mark.parametrize("make", [write_mlx, write_gguf, write_torchtune, write_kohya, write_random])
def test_the_same_update_bit_for_bit(tmp_path, make):
    source = make(tmp_path / "source")
    done = inspector("convert", source, tmp_path / "out", "--allow-pickle")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"Wrote {tmp_path / 'out'}: " in done.stderr
    assert_bits(read(source), read(tmp_path / "out"))
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
    }


def test_peft_loads_it(tmp_path):
    """A LoRA of a model by PEFT, its factors as mlx-lm would store them, converted, and loaded by PEFT again."""
    model = trained(llama(), LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj", "down_proj"]))
    factors = {}
    for path, module in model.named_modules():
        if hasattr(module, "lora_A") and "default" in getattr(module, "lora_A", {}):
            name = path.removeprefix("base_model.model.")
            factors[f"{name}.lora_a"] = module.lora_A["default"].weight.detach().T.contiguous()
            factors[f"{name}.lora_b"] = module.lora_B["default"].weight.detach().T.contiguous()
    (tmp_path / "mlx").mkdir()
    save_file(factors, tmp_path / "mlx" / "adapters.safetensors")
    config = {"lora_parameters": {"rank": 4, "scale": 1.5}, "model": "org/base"}
    (tmp_path / "mlx" / "adapter_config.json").write_text(json.dumps(config))
    assert inspector("convert", tmp_path / "mlx", tmp_path / "out").returncode == 0
    again = PeftModel.from_pretrained(llama(), tmp_path / "out")
    theirs, ours = peft_deltas(model), peft_deltas(again)
    assert all(torch.equal(ours[id_], theirs[id_]) for id_ in theirs)
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["base_model_name_or_path"] == "org/base"


@pytest.mark.parametrize("transposed", [True, False])
def test_what_peft_says_of_the_base_is_kept(tmp_path, transposed):
    """gpt2's Conv1D: PEFT loads what was converted without a warning, and ΔW is the same."""
    config = LoraConfig(r=2, lora_alpha=6, target_modules=["c_attn"], fan_in_fan_out=True)
    saved(trained(gpt2(), config), tmp_path / "old")
    told = tmp_path / "old" / "adapter_config.json"
    told.write_text(json.dumps(json.loads(told.read_text()) | {"fan_in_fan_out": transposed}))
    assert inspector("convert", tmp_path / "old", tmp_path / "new").returncode == 0
    assert json.loads((tmp_path / "new" / "adapter_config.json").read_text())["fan_in_fan_out"] is transposed
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        deltas = peft_deltas(reloaded(gpt2(), tmp_path / "new"))
    assert any("fan_in_fan_out" in str(warning.message) for warning in said) is not transposed
    assert_same(deltas, our_deltas(read(tmp_path / "old")))


def test_peft_loads_convolutions_and_embeddings(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv_in, self.embed_tokens = nn.Conv2d(4, 8, 3), nn.Embedding(10, 6)

        def forward(self, x):
            return x

    path = tmp_path / "x.safetensors"
    tensors = {"lora_unet_conv_in.lora_up.weight": torch.randn(8, 2, 1, 1)}
    tensors |= {"lora_unet_conv_in.lora_down.weight": torch.randn(2, 4, 3, 3)}
    tensors |= {"lora_unet_embed_tokens.lora_up.weight": torch.randn(6, 2)}
    tensors |= {"lora_unet_embed_tokens.lora_down.weight": torch.randn(2, 10)}
    save_file(tensors, path)
    done = inspector("convert", path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    keys = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert keys["base_model.model.conv_in.lora_A.weight"].shape == (2, 4, 3, 3)
    assert keys["base_model.model.embed_tokens.lora_embedding_A"].shape == (2, 10)
    net = get_peft_model(Net(), LoraConfig(r=2, target_modules=["conv_in"]))
    net.load_adapter(tmp_path / "out", "ours")
    for name in ("conv_in", "embed_tokens"):
        delta = getattr(net.base_model.model, name).get_delta_weight("ours").flatten(1)
        up, down = (tensors[f"lora_unet_{name}.lora_{side}.weight"].flatten(1) for side in ("up", "down"))
        torch.testing.assert_close(delta if name == "conv_in" else delta.T, up @ down, rtol=1e-6, atol=1e-6)


class Blocks(nn.Module):
    """One transformer whose attention is `img_attn.qkv`, or `img_attn_qkv`: underscores are told by it alone."""

    def __init__(self, *, dotted):
        super().__init__()
        self.double_blocks = nn.ModuleList([nn.Module()])
        owner = self.double_blocks[0]
        if dotted:
            owner.img_attn = owner = nn.Module()
        setattr(owner, "qkv" if dotted else "img_attn_qkv", nn.Linear(8, 24, bias=False))

    def forward(self, x):
        return x


@pytest.mark.parametrize("dotted", [True, False])
def test_underscores_become_the_bases_dots_or_are_said(tmp_path, dotted, capsys):
    net, B, A = Blocks(dotted=dotted), torch.randn(24, 2), torch.randn(2, 8)
    (path,) = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)]
    source, base = tmp_path / "x.safetensors", tmp_path / "base"
    name = f"lora_unet_{path.replace('.', '_')}"
    save_file({f"{name}.lora_up.weight": B, f"{name}.lora_down.weight": A}, source)
    base.mkdir()
    save_file(net.state_dict(), base / "diffusion_pytorch_model.safetensors")
    (base / "config.json").write_text('{"_class_name": "Blocks"}')
    said = "1 module under names whose underscores may stand for dots, such as "
    assert convert(str(source), tmp_path / "guessed") == 0
    assert f"{said}unet.double_blocks.0.img_attn_qkv: " in capsys.readouterr().err
    assert merge_preview([f"{source}:0.5"], rank=None, dest=tmp_path / "sum", out=None, device="cpu") == 0
    assert said in capsys.readouterr().err
    read_options = ReadOptions(base_weights(str(base)))
    assert convert(str(source), tmp_path / "out", read_options) == 0
    assert said not in capsys.readouterr().err
    loaded = PeftModel.from_pretrained(net, tmp_path / "out").base_model.model
    delta = loaded.get_submodule(path).get_delta_weight("default")
    torch.testing.assert_close(delta, B @ A, rtol=1e-6, atol=1e-6)
    save_file({"other.weight": B}, base / "diffusion_pytorch_model.safetensors")
    with pytest.raises(InspectorError, match=r"has no module double_blocks\.0\.img_attn_qkv: is it the adapter's base"):
        convert(str(source), tmp_path / "lost", ReadOptions(base_weights(str(base))))
    assert not (tmp_path / "lost").exists()


def test_what_is_left_out_is_named(tmp_path):
    mlx.write(tmp_path / "mlx", extra={"model.layers.0.self_attn.q_proj.m": torch.ones(24), "stranger": torch.ones(2)})
    done = inspector("convert", tmp_path / "mlx", tmp_path / "out")
    assert done.returncode == 3
    assert "DoRA magnitudes" in done.stderr
    assert "Left out, 1 tensor: no tensor of a LoRA: stranger." in done.stderr
    assert len(read(tmp_path / "out").modules) == 6
    assert "stranger" in (tmp_path / "out" / "README.md").read_text()


def test_what_the_update_is_whole_without_is_no_loss(tmp_path):
    """The same in `merge-preview --write`; a bias is part of what the adapter does."""
    q = "base_model.model.model.layers.0.self_attn.q_proj"
    for name, codes, said in (
        ("lora_monteclora_sampler.weight", 0, "Not needed, 1 tensor: state of training only"),
        ("lora_B.bias", 3, "Left out, 1 tensor: lora_bias: the update of a bias"),
    ):
        source = tmp_path / name / "a"
        write_adapter(source, random_factors(), extra={f"{q}.{name}": torch.ones(24)})
        done = inspector("convert", source, tmp_path / name / "out")
        assert (done.returncode, said in done.stderr) == (codes, True), done.stderr
        done = inspector("merge-preview", source, "--write", tmp_path / name / "sum")
        assert done.returncode == codes, done.stderr


def test_a_dense_update_keeps_its_best_part_and_says_what_it_lost(tmp_path):
    tensors = {"lora_unet_mid_block_attentions_0_proj_in.diff": torch.from_numpy(np.diag([4.0, 3.0, 0.1]))}
    save_file(tensors, tmp_path / "x.safetensors")
    done = inspector("convert", tmp_path / "x.safetensors", tmp_path / "out", "--svd-rank", "2")
    assert done.returncode == 3
    assert "up to 0.04 % of ‖ΔW‖²" in done.stderr
    (delta,) = our_deltas(read(tmp_path / "out")).values()
    torch.testing.assert_close(delta, torch.diag(torch.tensor([4.0, 3.0, 0.0], dtype=torch.float64)))


def test_refusals(tmp_path):
    write_random(tmp_path / "one" / "a")
    write_random(tmp_path / "one" / "b")
    (tmp_path / "there").mkdir()
    for args, text in (
        ((tmp_path / "one" / "a", tmp_path / "there"), "exists already"),
        ((tmp_path / "one", tmp_path / "out"), "holds 2 adapters"),
        ((tmp_path / "there", tmp_path / "out"), "No adapter in"),
        ((tmp_path / "one" / "a", tmp_path / "no" / "out"), "there is no folder"),
    ):
        done = inspector("convert", *args)
        assert (done.returncode, text in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "out").exists()
