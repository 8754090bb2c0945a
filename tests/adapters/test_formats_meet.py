"""One LoRA in several formats, ranks and prefixes is one update: cosine 1 everywhere; what is one-sided is counted."""

import json
from math import prod

import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict

from inspector.adapters.alignment import aligned
from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.options import ReadOptions
from inspector.adapters.sources import Local
from inspector.analysis.analyse import analyse
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from tests.adapters.readers import test_gguf as gguf
from tests.adapters.readers import test_torchtune as torchtune
from tests.adapters.readers.image_models import kohya_tensors, randomised, save, text_encoder, unet
from tests.hostile import valid
from tests.makers import random_factors, write_adapter


def opened(path, name):
    (place,) = expand(Local(path))
    return read_adapter(place.path, name, str(path), ReadOptions(allow_pickle=True))


def padded(factors, rank):
    """The same updates with columns of zeros, in another gauge."""
    made = {}
    for path, (B, A) in factors.items():
        extra = rank - A.shape[0]
        wide = torch.cat([2 * B, torch.zeros(len(B), extra, dtype=B.dtype)], 1)
        made[path] = wide, torch.cat([A / 2, torch.zeros(extra, A.shape[1], dtype=A.dtype)])
    return made


def mlx_of(folder, factors, scale):
    """As mlx-lm would have trained it."""
    tensors = {f"{path}.lora_a": A.T for path, (_, A) in factors.items()}
    save(folder / "adapters.safetensors", tensors | {f"{path}.lora_b": B.T for path, (B, _) in factors.items()})
    settings = {"lora_parameters": {"rank": 4, "scale": scale, "alpha": 16, "dropout": 0.0}}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


def assert_one(study, pairs):
    """Cosine 1 and equal norms within 1e-6, on every module and in all."""
    cosine = study.blocks["cosine", "module"]
    norm = study.blocks["norm", "module"]
    for i, j in pairs:
        assert abs(cosine[i, j] - 1).max() < 1e-6
        assert abs(norm[i] / norm[j] - 1).max() < 1e-6
        assert abs(study.blocks["cosine", "global"][i, j] - 1).max() < 1e-6
        assert study.one_sided(i, j) == 0


def test_a_language_models_lora_in_five_formats(tmp_path):
    factors = random_factors(gguf.SHAPES, r=4)
    write_adapter(tmp_path / "peft", factors, alpha=8, prefix="base_model.model._orig_mod.")
    write_adapter(tmp_path / "wide", padded(factors, 16), alpha=32, prefix="module.base_model.model.")
    mlx_of(tmp_path / "mlx", factors, 2.0)
    gguf.write(gguf.config(tmp_path / "llama") / "lora.gguf", factors)
    gguf.write(tmp_path / "qwen.gguf", factors, architecture="qwen2")
    sources = ["peft", "wide", "mlx", "llama", "qwen.gguf"]
    adapters = [opened(tmp_path / source, source) for source in sources]
    assert len({a.info.format for a in adapters}) == 3
    study = analyse(aligned(adapters), Settings(k=3))
    assert len(study.modules) == len(gguf.SHAPES)
    assert_one(study, [(i, j) for i in range(5) for j in range(5)])


def test_torchtune_and_peft(tmp_path):
    torchtune.checkpoint(tmp_path / "tune", alpha=6)
    factors = random_factors(dict(torchtune.SHAPES.values()), r=4, dtype=torch.float64)
    write_adapter(tmp_path / "peft", factors, alpha=6)
    study = analyse(aligned([opened(tmp_path / name, name) for name in ("tune", "peft")]), Settings(k=3))
    assert_one(study, [(0, 1)])


@pytest.mark.filterwarnings("ignore")  # what diffusers and transformers say to each other
def test_an_image_models_lora_of_kohya_diffusers_and_peft(tmp_path):
    model, text = unet(), text_encoder()
    model.add_adapter(LoraConfig(r=4, lora_alpha=2, target_modules=["to_q", "to_out.0", "conv1", "proj_in"]))
    text.add_adapter(LoraConfig(r=4, lora_alpha=2, target_modules=["v_proj"]))
    parts = {"unet": get_peft_model_state_dict(randomised(model, 1))}
    parts["text_encoder"] = get_peft_model_state_dict(randomised(text, 2))
    dotted = {f"{tower}.{key}": tensor for tower, tensors in parts.items() for key, tensor in tensors.items()}
    dotted |= {f"{key.removesuffix('.lora_A.weight')}.alpha": torch.tensor(2.0) for key in dotted if "lora_A" in key}
    save(tmp_path / "diffusers.safetensors", dotted)
    towers = {"unet": "lora_unet", "text_encoder": "lora_te_text_model"}
    underscored = {
        k: t for tower, tensors in parts.items() for k, t in kohya_tensors(tensors, towers[tower], 2).items()
    }
    save(tmp_path / "kohya.safetensors", underscored)
    within = {f"base_model.model.{key}": tensor for key, tensor in parts["unet"].items()}
    write_adapter(tmp_path / "peft", {}, r=4, alpha=2, extra=within)
    names = ("diffusers.safetensors", "kohya.safetensors", "peft")
    adapters = [opened(tmp_path / name, name) for name in names]
    study = analyse(aligned(adapters), Settings(k=3, modules="common"))
    assert_one(study, [(0, 1)])
    assert study.one_sided(0, 2) == len(parts["text_encoder"]) // 2
    assert abs(study.blocks["cosine", "global"][0, 2] - 1).max() < 1e-6


@pytest.mark.parametrize(("modules", "cosine"), [("union", 0.5**0.5), ("common", 1.0)])
def test_modules_of_one_side_are_zeros_or_left_out_and_counted(tmp_path, modules, cosine):
    B, A = torch.eye(8, 2), torch.eye(2, 8)
    both = {f"model.layers.0.self_attn.{name}_proj": (B.clone(), A.clone()) for name in "qk"}
    write_adapter(tmp_path / "peft", both, alpha=2)
    mlx_of(tmp_path / "mlx", {path: pair for path, pair in both.items() if "q_" in path}, 1.0)
    study = analyse(
        aligned([opened(tmp_path / name, name) for name in ("peft", "mlx")]), Settings(k=2, modules=modules)
    )
    assert study.one_sided(0, 1) == 1
    assert abs(float(study.blocks["cosine", "global"][0, 1, 0]) - cosine) < 1e-9
    assert study.modules == (ModuleId(0, "self_attn.k_proj"), ModuleId(0, "self_attn.q_proj"))


@pytest.mark.parametrize(
    "kind", ["peft", "peft_pickle", "mlx", "kohya", "diffusers", "lycoris", "gguf_lora", "torchtune"]
)
def test_parameters_are_those_of_its_factors(tmp_path, kind):
    adapter = opened(getattr(valid, kind)(tmp_path / "a"), "a")
    factors = [t for t in adapter.tensors if t.role == "used" and not t.key.endswith("alpha")]
    assert len(factors) == (7 if kind == "lycoris" else 4)
    assert adapter.info.parameters == sum(prod(t.shape) for t in factors)
