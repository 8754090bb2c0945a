"""Small models, adapters on them, and what libraries make of the two: PEFT merges, transformers saves, torch casts."""

import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MixtralConfig, Qwen3Config

SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 120}  # fmt: skip
KINDS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**SIZES),
    "tied": lambda: Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=True),
    "gpt2": lambda: GPT2Config(n_embd=64, n_layer=4, n_head=4, vocab_size=120, n_positions=32),
    "mixtral": lambda: MixtralConfig(**SIZES, num_local_experts=4, num_experts_per_tok=2),
}
TARGETS = {"gpt2": ["c_attn", "c_proj"], "mixtral": ["q_proj", "v_proj"]}


def model(kind: str = "llama", *, seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    """A model of random weights."""
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(KINDS[kind]()).to(dtype)


def saved(of: nn.Module, folder: Path, **options: Any) -> Path:
    of.save_pretrained(folder, **options)
    return folder


def loaded(folder: Path, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def adapter(base: Path, folder: Path, *, seed: int = 1, size: float = 0.1, **config: Any) -> Path:
    """A LoRA as PEFT saves it, ‖ΔW‖ a share `size` of ‖W₀‖ in every module as after training."""
    kind = json.loads((base / "config.json").read_text())["model_type"]
    settings = {"r": 8, "lora_alpha": 16, "target_modules": TARGETS.get(kind, ["q_proj", "v_proj", "down_proj"])}
    wrapped = quietly(get_peft_model, loaded(base, torch.float32), LoraConfig(**settings | config))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name and "magnitude" not in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
        if "magnitude" in name:
            parameter.data *= 1 + size * torch.randn(parameter.shape, generator=generator) / 4
    for module in wrapped.modules():
        if hasattr(module, "get_delta_weight") and "default" in getattr(module, "scaling", {}):
            delta = module.get_delta_weight("default").detach()
            weight = getattr(module.get_base_layer(), getattr(module, "parameter_name", "weight")).detach()
            share = size * weight.norm() / delta.norm()
            for factor in (*module.lora_B.values(), *module.lora_embedding_B.values()):
                (factor.weight if hasattr(factor, "weight") else factor).data *= float(share)
    quietly(wrapped.save_pretrained, folder, save_embedding_layers=False)
    return folder


def merged(
    base: Path,
    folder: Path,
    adapters: Sequence[Path] = (),
    *,
    strength: float = 1.0,
    held: torch.dtype = torch.bfloat16,
    stored: torch.dtype | None = None,
    then: Callable[[nn.Module], None] = lambda _model: None,
    **options: Any,
) -> Path:
    """merge_and_unload of the adapters on the base held in a type, `then` changed, saved in a type."""
    whole = loaded(base, held)
    for path in adapters:
        wrapped = quietly(PeftModel.from_pretrained, whole, path)
        if strength != 1:
            for module in wrapped.modules():
                if hasattr(module, "scale_layer"):
                    module.scale_layer(strength)
        whole = quietly(wrapped.merge_and_unload)
    with torch.no_grad():
        then(whole)
    return saved(whole.to(stored or held), folder, **options)


def cast(folder: Path, to: Callable[[torch.Tensor], dict[str, torch.Tensor]]) -> Path:
    """The matrices of layers in the model's file replaced by what `to` makes of each: suffix -> tensor."""
    path = folder / "model.safetensors"
    tensors = {}
    for key, tensor in load_file(path).items():
        inside = tensor.dim() == 2 and "proj" in key
        tensors |= {key.removesuffix(".weight") + s: t for s, t in to(tensor).items()} if inside else {key: tensor}
    save_file(tensors, path, metadata={"format": "pt"})
    return folder


def fp8(W: torch.Tensor) -> dict[str, torch.Tensor]:
    """A scale a row, as compressed-tensors and vLLM have it."""
    scale = W.float().abs().amax(1, keepdim=True) / torch.finfo(torch.float8_e4m3fn).max
    return {".weight": (W.float() / scale).to(torch.float8_e4m3fn), ".weight_scale": scale}


def fp8_bare(W: torch.Tensor) -> dict[str, torch.Tensor]:
    return {".weight": W.to(torch.float8_e4m3fn)}


def int8(W: torch.Tensor) -> dict[str, torch.Tensor]:
    scale = W.float().abs().amax(1, keepdim=True) / 127
    return {".weight": (W.float() / scale).round().to(torch.int8), ".weight_scale": scale}


def int8_rows(W: torch.Tensor) -> dict[str, torch.Tensor]:
    """As bitsandbytes saves LLM.int8()."""
    most = W.float().abs().amax(1)
    return {".weight": (W.float() * 127 / most[:, None]).round().to(torch.int8), ".SCB": most}


def noise(size: float, seed: int = 9, *, only: str = "") -> Callable[[nn.Module], None]:
    """Further training that moves every matrix by a share of its norm."""

    def add(of: nn.Module) -> None:
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in of.named_parameters():
            if parameter.dim() > 1 and only in name:
                change = torch.randn(parameter.shape, generator=generator)
                parameter.add_((size * parameter.float().norm() / change.norm() * change).to(parameter.dtype))

    return add


def without(words: Sequence[str], base: Path) -> Callable[[nn.Module], None]:
    """The modules whose names have one of these words as the base has them."""

    def reset(of: nn.Module) -> None:
        before = loaded(base, next(of.parameters()).dtype).state_dict()
        for name, parameter in of.named_parameters():
            if any(word in name for word in words):
                parameter.copy_(before[name])

    return reset


def quietly(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT on models without a name
        return call(*args, **options)
