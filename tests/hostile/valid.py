"""One small, valid adapter of every format: what cases and fuzzers damage."""

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.hostile.case import CONFIG, WEIGHTS
from tests.makers import lora_tensors, random_factors, write_adapter

SHAPES = {"model.layers.0.self_attn.q_proj": (12, 8), "model.layers.1.mlp.up_proj": (6, 8)}
R, ALPHA = 2, 4


def factors() -> dict[str, tuple[Tensor, Tensor]]:
    """Module path -> (B, A)."""
    return random_factors(SHAPES, r=R)


def norm(scale: float = ALPHA / R) -> float:
    """‖ΔW‖ of all modules together, in float64."""
    return scale * sum(float((B.double() @ A.double()).norm()) ** 2 for B, A in factors().values()) ** 0.5


def peft(folder: Path) -> Path:
    return write_adapter(folder, factors(), alpha=ALPHA)


def mlx(folder: Path, name: str = "adapters.safetensors") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{path}.lora_a": A.T.contiguous() for path, (_, A) in factors().items()}
    tensors |= {f"{path}.lora_b": B.T.contiguous() for path, (B, _) in factors().items()}
    if name.endswith(".npz"):
        np.savez(folder / name, **{key: value.numpy() for key, value in tensors.items()})
    else:
        save_file(tensors, folder / name)
    config = {"model": "tiny/base", "num_layers": 2, "lora_parameters": {"rank": R, "scale": ALPHA / R}}
    (folder / CONFIG).write_text(json.dumps(config))
    return folder / name


def kohya_tensors() -> dict[str, Tensor]:
    tensors = {}
    for n, (B, A) in enumerate(factors().values()):
        module = f"lora_unet_down_blocks_{n}_attentions_0_proj_in"
        tensors |= {f"{module}.lora_up.weight": B, f"{module}.lora_down.weight": A}
        tensors[f"{module}.alpha"] = torch.tensor(float(ALPHA))
    return tensors


def kohya(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(kohya_tensors(), folder / "style.safetensors", metadata={"ss_sd_model_name": "tiny"})
    return folder / "style.safetensors"


def lokr_tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"lokr_w1": (3, 2), "lokr_w2_a": (4, 2), "lokr_w2_b": (2, 4)}
    tensors = {f"lycoris_mid_block_proj_in.{slot}": torch.randn(s, generator=generator) for slot, s in shapes.items()}
    hada = {"hada_w1_a": (6, 2), "hada_w1_b": (2, 5), "hada_w2_a": (6, 2), "hada_w2_b": (2, 5)}
    tensors |= {f"lycoris_mid_block_proj_out.{slot}": torch.randn(s, generator=generator) for slot, s in hada.items()}
    return tensors | {f"lycoris_mid_block_proj_{end}.alpha": torch.tensor(2.0) for end in ("in", "out")}


def lycoris(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(lokr_tensors(), folder / "style.safetensors")
    return folder / "style.safetensors"


def diffusers(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for n, (B, A) in enumerate(factors().values()):
        path = f"unet.down_blocks.{n}.attentions.0.proj_in"
        tensors |= {f"{path}.lora.up.weight": B, f"{path}.lora.down.weight": A}
    about = {"lora_adapter_metadata": json.dumps({"unet.r": R, "unet.lora_alpha": ALPHA})}
    save_file(tensors, folder / "pytorch_lora_weights.safetensors", metadata=about)
    return folder / "pytorch_lora_weights.safetensors"


def gguf_lora(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "adapter.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(ALPHA))
    for n, (name, (B, A)) in enumerate(zip(("attn_q", "ffn_up"), factors().values(), strict=True)):
        writer.add_tensor(f"blk.{n}.{name}.weight.lora_a", A.numpy())
        writer.add_tensor(f"blk.{n}.{name}.weight.lora_b", B.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def torchtune(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for n, (name, (B, A)) in enumerate(zip(("attn.v_proj", "mlp.w3"), factors().values(), strict=True)):
        tensors |= {f"layers.{n}.{name}.lora_a.weight": A, f"layers.{n}.{name}.lora_b.weight": B}
    torch.save(tensors, folder / "adapter_model.pt")
    (folder / CONFIG).write_text(json.dumps({"r": R, "lora_alpha": ALPHA, "peft_type": "LORA"}))
    return folder / "adapter_model.pt"


def peft_pickle(folder: Path) -> Path:
    peft(folder)
    (folder / WEIGHTS).unlink()
    torch.save(lora_tensors(factors()), folder / "adapter_model.bin")
    return folder


def model(folder: Path, seed: int = 0, extra: str = "") -> Path:
    """A whole model of two matrices and a norm."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    tensors = {f"{path}.weight": torch.randn(shape, generator=generator) for path, shape in SHAPES.items()}
    if extra:
        tensors[f"{extra}.weight"] = torch.full((2, 2), float(seed))
    save_file(tensors | {"model.norm.weight": torch.ones(8)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    return folder
