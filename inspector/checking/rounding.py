"""What servers round weights to, a published rule each: x -> Q(x), in float32.

A rule works on rows of a matrix (rows, d_in) in float32; blocks of 64 and 32 run along rows, and `largest` is max|x|
over the whole matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_FP8_LARGEST = 448.0
_NF4_BLOCK, _GGUF_BLOCK = 64, 32
_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""The 16 values of NormalFloat4 [Dettmers et al. 2023, appendix E]."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which a server holds weights."""

    name: str
    how: str
    """The rule in words, with its source."""
    rounded: Callable[[Tensor, float], Tensor]
    held: bool = False
    """Whether a merge in it first loads W₀ in it: of 16 bits, whose values stay as they are."""


def _cast(kind: str, x: Tensor, _largest: float) -> Tensor:
    import torch

    return x.to(getattr(torch, kind)).float()


def _fp8(x: Tensor, largest: float) -> Tensor:
    import torch

    if not largest:
        return x
    scale = largest / _FP8_LARGEST
    return (x / scale).clamp(-_FP8_LARGEST, _FP8_LARGEST).to(torch.float8_e4m3fn).float() * scale


def _int8(x: Tensor, _largest: float) -> Tensor:
    scale = x.abs().amax(1, keepdim=True) / 127
    return (x / scale.where(scale > 0, 1.0)).round() * scale


def _nf4(x: Tensor, _largest: float) -> Tensor:
    import torch

    values = torch.tensor(_NF4)
    flat = torch.nn.functional.pad(x.flatten(), (0, -x.numel() % _NF4_BLOCK)).view(-1, _NF4_BLOCK)
    scale = flat.abs().amax(1, keepdim=True)
    nearest = torch.bucketize(flat / scale.where(scale > 0, 1.0), (values[1:] + values[:-1]) / 2)
    return (values[nearest] * scale).flatten()[: x.numel()].view_as(x)


def _gguf(kind: str, x: Tensor, largest: float) -> Tensor:
    import torch
    from gguf import GGMLQuantizationType, quants

    if x.shape[1] % _GGUF_BLOCK:  # llama.cpp keeps such tensors in float16
        return _cast("float16", x, largest)
    of = GGMLQuantizationType[kind]
    return torch.from_numpy(quants.dequantize(quants.quantize(x.contiguous().numpy(), of), of)).view_as(x)


BF16 = Rule("bf16", "rounded to bfloat16; W₀ is loaded in it", partial(_cast, "bfloat16"), held=True)
RULES = (
    BF16,
    Rule("fp16", "rounded to float16; W₀ is loaded in it", partial(_cast, "float16"), held=True),
    Rule("fp8", "float8 e4m3, one scale max|W|/448 a matrix [vLLM, quantization fp8]", _fp8),
    Rule("int8", "one scale max|row|/127 an output row [Dettmers et al. 2022, LLM.int8()]", _int8),
    Rule("nf4", "16 normal quantiles, one scale a block of 64 [Dettmers et al. 2023, QLoRA]", _nf4),
    Rule("q8_0", "GGUF Q8_0, one scale a block of 32 [package gguf]", partial(_gguf, "Q8_0")),
    Rule("q4_0", "GGUF Q4_0, one scale a block of 32 [package gguf]", partial(_gguf, "Q4_0")),
)
"""All of them, most precise first within 16, 8 and 4 bits."""
BY_NAME = {rule.name: rule for rule in RULES}


def largest_of(x: Tensor) -> float:
    """max|x|, 0 of nothing."""
    return float(x.abs().max()) if x.numel() else 0.0


def served(rule: Rule, W: Tensor) -> Tensor:
    """Q of a whole matrix, in its own type; worked out on the host, wherever it is."""
    return rule.rounded(W.float().cpu(), largest_of(W)).to(W)
