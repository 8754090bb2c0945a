"""A tiny U-Net and text encoder of a diffusion pipeline, LoRA on them by the libraries, and ΔW as they fuse it."""

import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from inspector.study.module_id import ModuleId
from tests.shown import shown

TARGETS = ["to_q", "to_v", "to_out.0", "proj_in", "ff.net.0.proj", "conv1", "conv_shortcut", "time_emb_proj"]


def unet() -> nn.Module:
    """SDXL's kinds of blocks in small: two down blocks, the second with attention, two residual blocks each."""
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = diffusers.UNet2DConditionModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            block_out_channels=(8, 16),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=12,
            attention_head_dim=4,
            norm_num_groups=4,
        )
    return model.double()


def text_encoder() -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(1)
    config = CLIPTextConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=60,
        bos_token_id=1,
        eos_token_id=2,
    )
    return CLIPTextModel(config).double()


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Module path -> its weight, a copy, of what LoRA may sit on."""
    kinds = (nn.Linear, nn.Conv2d)
    return {n: m.weight.detach().clone() for n, m in model.named_modules() if isinstance(m, kinds)}


def flat(deltas: dict[str, Tensor], tower: str) -> dict[ModuleId, Tensor]:
    """Deltas by canonical id, kernels flattened; those that are zero left out."""
    return {shown(f"{tower}.{path}"): d.flatten(1) for path, d in deltas.items() if bool(d.any())}


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """All LoRA factors random, as if trained."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 4
    return model


def kohya_tensors(tensors: dict[str, Tensor], tower: str, alpha: float | None) -> dict[str, Tensor]:
    """PEFT-named factors of one model as kohya's scripts name them."""
    made = {}
    for key, tensor in tensors.items():
        path, _, side = key.removesuffix(".weight").rpartition(".")
        name = f"{tower}_{path.replace('.', '_')}"
        made[f"{name}.{'lora_down' if side == 'lora_A' else 'lora_up'}.weight"] = tensor.contiguous()
        if alpha is not None:
            made[f"{name}.alpha"] = torch.tensor(alpha)
    return made


def save(path, tensors, **metadata):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: t.contiguous() for key, t in tensors.items()}, path, metadata=metadata or None)
    return path
