"""kohya's, LyCORIS's and diffusers' files: halves, alphas and shapes that do not fit, products that explode."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.hostile import valid
from tests.hostile.case import ESCAPES, Case, code_beside_right_ones

UNET = "lora_unet_mid_block_attentions_0_proj_in"
UP, DOWN = f"{UNET}.lora_up.weight", f"{UNET}.lora_down.weight"


def _with(tensors: Mapping[str, Tensor], folder: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """Beside two right modules."""
    folder.mkdir(exist_ok=True)
    all_ = valid.kohya_tensors() | {key: value.contiguous() for key, value in tensors.items()}
    save_file(all_, folder / "x.safetensors", metadata=dict(metadata or {}))
    return folder / "x.safetensors"


def lora(up: tuple[int, ...] = (12, 2), down: tuple[int, ...] = (2, 8), alpha: Any = None) -> dict[str, Tensor]:
    tensors = {UP: torch.ones(up), DOWN: torch.ones(down)}
    return tensors if alpha is None else tensors | {f"{UNET}.alpha": alpha}


def lycoris(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
    return {f"lycoris_mid_block_x.{slot}": torch.ones(shape) for slot, shape in shapes.items()}


def left_out() -> Iterator[tuple[str, dict[str, Tensor], str]]:
    """Modules that cannot be used: name, tensors, what must be said."""
    yield "up alone", {UP: torch.ones(12, 2)}, "only A or only B"
    yield "down alone", {DOWN: torch.ones(2, 8)}, "only A or only B"
    yield "alpha alone", {f"{UNET}.alpha": torch.tensor(1.0)}, "."
    yield "up and down that do not multiply", lora(down=(3, 8)), "does not multiply"
    yield "up a kernel", lora(up=(12, 2, 3, 3)), "does not multiply"
    yield "alpha a matrix", lora(alpha=torch.ones(3, 3)), "alpha is not a finite number"
    yield "alpha empty", lora(alpha=torch.ones(0)), "alpha is not a finite number"
    yield "alpha NaN", lora(alpha=torch.tensor(float("nan"))), "alpha is not a finite number"
    yield "alpha Inf", lora(alpha=torch.tensor(float("inf"))), "alpha is not a finite number"
    yield "alpha complex", lora(alpha=torch.tensor(1j)), "alpha is not a finite number"
    yield (
        "mid of another rank",
        lora(down=(2, 8, 1, 1)) | {f"{UNET}.lora_mid.weight": torch.ones(3, 3, 3, 3)},
        "does not multiply",
    )
    yield "mid 1-D", lora(down=(2, 8, 1, 1)) | {f"{UNET}.lora_mid.weight": torch.ones(3)}, "1-D or zero-size"
    yield "half a LoHa", lycoris(hada_w1_a=(4, 2), hada_w1_b=(2, 4)), "only A or only B"
    fit = {"hada_w1_a": (4, 2), "hada_w1_b": (2, 4)}
    yield "LoHa of two shapes", lycoris(**fit, hada_w2_a=(5, 2), hada_w2_b=(2, 4)), "does not multiply"
    yield (
        "LoHa cores of other ranks",
        lycoris(**fit, hada_w2_a=(4, 2), hada_w2_b=(2, 4), hada_t1=(9, 9, 1, 1)),
        "does not multiply",
    )
    yield "LoKr of one side", lycoris(lokr_w1=(3, 3)), "only A or only B"
    yield (
        "LoKr that does not multiply",
        lycoris(lokr_w1=(3, 3), lokr_w2_a=(4, 2), lokr_w2_b=(3, 4)),
        "does not multiply",
    )
    yield "LoKr of 10^12", lycoris(lokr_w1=(1000, 1000), lokr_w2=(1000, 1000)), "would not fit into memory"
    long = lycoris(lokr_w1_a=(10**6, 1), lokr_w1_b=(1, 1), lokr_w2_a=(10**6, 1), lokr_w2_b=(1, 1))
    yield "LoKr of 10^12 rows", long, "would not fit into memory"
    yield "diff 1-D", lycoris(diff=(5,)), "no matrix"
    yield "diff empty", lycoris(diff=(0, 5)), "1-D or zero-size"
    yield "LoRA beside LoHa", lora() | {f"{UNET}.hada_w1_a": torch.ones(4, 2)}, "only A or only B"


def explode() -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Small factors of a huge product, which is never multiplied out."""
    thin = {"lora_up.weight": (10**6, 1), "lora_down.weight": (1, 10**6)}
    yield "LoRA of 10^12", lycoris(**thin)
    yield (
        "LoHa of 10^12",
        lycoris(hada_w1_a=(10**5, 1), hada_w1_b=(1, 10**5), hada_w2_a=(10**5, 1), hada_w2_b=(1, 10**5)),
    )


def _diffusers(metadata: str, folder: Path) -> Path:
    path = valid.diffusers(folder)
    from safetensors.torch import load_file

    save_file(load_file(path), path, metadata={"lora_adapter_metadata": metadata})
    return path


def _colliding(folder: Path) -> Path:
    """Two names of one module: dots and underscores."""
    path = "unet.mid_block.attentions.0.proj_in"
    both = {f"{path}.lora.up.weight": torch.ones(12, 2), f"{path}.lora.down.weight": torch.ones(2, 8)}
    both |= {f"{path}.lora_A.weight": torch.ones(2, 8), f"{path}.lora_B.weight": torch.ones(12, 2)}
    folder.mkdir(exist_ok=True)
    save_file(both, folder / "x.safetensors")
    return folder / "x.safetensors"


def cases() -> Iterator[Case]:
    for name, tensors, says in left_out():
        yield Case(f"kohya: {name}", partial(_with, tensors), code_beside_right_ones(says), says, valid.norm())
    for name, tensors in explode():
        yield Case(f"kohya: {name}", partial(_with, tensors), 0, "‖ΔW‖")
    about = {"ss_sd_model_name": ESCAPES, "ss_network_args": "[" * 10**5}
    yield Case("kohya: metadata of escapes", partial(_with, {}, metadata=about), 0, r"\[red\]name", valid.norm())
    words = {f"lora_unet_{'x_' * 2000}{half}.lora_{half}.weight": torch.ones(2, 2) for half in ("up", "down")}
    yield Case("kohya: names of 2,000 words", partial(_with, words), 3, ".", valid.norm())
    odd = {
        "no JSON": "{",
        "a list": "[1]",
        "nested deeply": "[" * 10**5,
        "escapes": json.dumps({ESCAPES: ESCAPES}),
        "alpha a string": json.dumps({"unet.r": 2, "unet.lora_alpha": "x"}),
        "alpha NaN": '{"unet.r": 2, "unet.lora_alpha": NaN}',
        "r a list": json.dumps({"unet.r": [2], "unet.lora_alpha": 4}),
        "alpha_pattern catastrophic": json.dumps(
            {"unet.r": 2, "unet.lora_alpha": 4, "unet.alpha_pattern": {"(a+)+$": 1}}
        ),
    }
    for name, metadata in odd.items():
        yield Case(f"diffusers: metadata {name}", partial(_diffusers, metadata), 0, "‖ΔW‖")
    yield Case("diffusers: two names of one module", _colliding, 2, "claim the same module")
