"""Small PEFT adapters written to disk, for everyone's tests; and one the size of a real adapter."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

Factors = Mapping[str, tuple[Tensor, Tensor]]

TINY = {
    f"model.layers.{layer}.self_attn.{projection}": shape
    for layer in range(3)
    for projection, shape in {"q_proj": (24, 16), "v_proj": (8, 16)}.items()
}
"""Module path -> (d_out, d_in) of a three-layer toy."""


def random_factors(
    modules: Mapping[str, tuple[int, int]] = TINY, r: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32
) -> dict[str, tuple[Tensor, Tensor]]:
    """Module path -> (B (d_out, r), A (r, d_in)), Gaussian."""
    generator = torch.Generator().manual_seed(seed)
    return {
        path: (
            (torch.randn(d_out, r, generator=generator) / 10).to(dtype),
            (torch.randn(r, d_in, generator=generator) / d_in**0.5).to(dtype),
        )
        for path, (d_out, d_in) in modules.items()
    }


def lora_tensors(factors: Factors, prefix: str = "base_model.model.") -> dict[str, Tensor]:
    """The tensors PEFT would save for these factors, under its key names."""
    tensors = {}
    for path, (B, A) in factors.items():
        tensors[f"{prefix}{path}.lora_A.weight"] = A.contiguous()
        tensors[f"{prefix}{path}.lora_B.weight"] = B.contiguous()
    return tensors


def write_config(folder: Path, **config: Any) -> Path:
    """An `adapter_config.json` with the fields every PEFT LoRA config has; `config` adds or replaces."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"peft_type": "LORA", "base_model_name_or_path": "tiny/base", "task_type": "CAUSAL_LM"} | config
    (folder / "adapter_config.json").write_text(json.dumps(fields, indent=2, sort_keys=True))
    return folder


def write_adapter(
    folder: Path,
    factors: Factors,
    *,
    alpha: float = 16,
    r: int | None = None,
    base: str | None = "tiny/base",
    prefix: str = "base_model.model.",
    extra: Mapping[str, Tensor] | None = None,
    **config: Any,
) -> Path:
    """A PEFT folder with these factors by module path; `extra` tensors go in under their own keys.

    Other keywords enter the config as they are; r is that of the first module unless given.
    """
    rank = r if r is not None else next(iter(factors.values()))[1].shape[0]
    targets = sorted({path.rpartition(".")[2] for path in factors})
    fields = {"r": rank, "lora_alpha": alpha, "target_modules": targets, "base_model_name_or_path": base} | config
    write_config(folder, **fields)
    tensors = lora_tensors(factors, prefix) | dict(extra or {})
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


def write_random(folder: Path, seed: int = 0, *, r: int = 4, **config: Any) -> Path:
    """A three-layer toy adapter with random factors."""
    return write_adapter(folder, random_factors(r=r, seed=seed), **config)


def qwen3_4b_like(
    folder: Path,
    seed: int,
    *,
    r: int = 32,
    layers: int = 36,
    hidden: int = 2560,
    q: int = 4096,
    kv: int = 1024,
    dtype: torch.dtype = torch.bfloat16,
) -> Path:
    """An attention adapter of Qwen3-4B's shapes: A near one shared start, B with a falling spectrum."""
    shapes = {"q_proj": (q, hidden), "k_proj": (kv, hidden), "v_proj": (kv, hidden), "o_proj": (hidden, q)}
    start, own = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    fall = torch.logspace(0, -2, r)
    factors = {}
    for layer in range(layers):
        for projection, (d_out, d_in) in shapes.items():
            # kaiming_uniform(a=√5), PEFT's start of A, is uniform within ±1/√d_in.
            A0 = (2 * torch.rand(r, d_in, generator=start) - 1) / d_in**0.5
            A = A0 + 0.1 * torch.randn(r, d_in, generator=own) / d_in**0.5
            B = 1e-2 * torch.randn(d_out, r, generator=own) * fall
            factors[f"model.layers.{layer}.self_attn.{projection}"] = (B.to(dtype), A.to(dtype))
    return write_adapter(folder, factors, alpha=2 * r, base="Qwen/Qwen3-4B-Instruct-2507")
