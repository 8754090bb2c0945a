"""8-bit floats whose scale stands in a tensor beside them: multiplied in, and a factor without its own is not a float.

W = scale·W₈ with one scale for a tensor, one for each row or one for each block of 128×128, under the names of
ComfyUI (`scale_weight`), compressed-tensors (`weight_scale`) and DeepSeek (`weight_scale_inv`, multiplied as well).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.adapters.files.headers import FLOATS, TensorHeader
from inspector.adapters.files.weights import Weights
from inspector.adapters.tensors.account import USED, Verdict

if TYPE_CHECKING:
    from torch import Tensor

INFERENCE = Verdict("ignored", "of 8-bit inference, a mark or the scale of a layer's input: no part of ΔW")
_BESIDE = re.compile(
    r"(?P<of>.+?)(?:\.weight)?(?:(?P<scale>\.scale_weight|[._](?:weight_)?scale(?:_inv)?)"
    r"|(?P<other>\.scale_input|\.input_scale|\.comfy_quant))",
    re.DOTALL,
)
_MARK = "scaled_fp8"
_EIGHT_BIT = frozenset({"F8_E4M3", "F8_E5M2", "I8", "U8"})
_BLOCK = 128


def multiplied(weights: Weights) -> Weights:
    """The weights with every 8-bit tensor times the scale beside it, which is not a tensor of its own any more."""
    scales: dict[str, TensorHeader] = {}
    aside: dict[str, Verdict] = {_MARK: INFERENCE} if _MARK in weights.headers else {}
    for key, header in weights.headers.items():
        if (found := _BESIDE.fullmatch(key)) and (owner := _owner(found["of"], weights.headers)):
            aside[key] = USED if found["scale"] else INFERENCE
            if found["scale"]:
                scales[owner] = header
    if not aside:
        return weights
    left = {key: header for key, header in weights.headers.items() if key not in aside}
    headers = {key: _readable(h, scales.get(key)) if h.dtype in _EIGHT_BIT else h for key, h in left.items()}

    def tensor(key: str) -> Tensor:
        found = weights.tensor(key)
        return found if key not in scales else found.double() * _spread(weights.tensor(scales[key].key), found.shape)

    return replace(weights, headers=headers, tensor=tensor, aside=aside)


def _owner(name: str, headers: Mapping[str, TensorHeader]) -> str:
    """The key of the 8-bit tensor of this name, or nothing."""
    keys = (key for key in (f"{name}.weight", name) if key in headers and headers[key].dtype in _EIGHT_BIT)
    return next(keys, "")


def _readable(header: TensorHeader, scale: TensorHeader | None) -> TensorHeader:
    """The header, of a type that is not a float if the scale is missing or does not fit."""
    fits = scale is not None and scale.dtype in FLOATS and _way(scale.shape, header.shape)
    return header if fits else header._replace(dtype=f"{header.dtype} without its scale")


def _way(scale: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """How a scale spreads over a tensor: `one`, `rows`, `blocks`, or nothing if it does not."""
    if all(n == 1 for n in scale):
        return "one"
    if len(shape) > 1 and scale[0] == shape[0] and all(n == 1 for n in scale[1:]):
        return "rows"
    return "blocks" if len(shape) == 2 and scale == tuple(-(-n // _BLOCK) for n in shape) else ""


def _spread(scale: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The scale, to be multiplied with a float64 tensor of this shape."""
    way = _way(tuple(scale.shape), tuple(shape))
    if way == "one":
        return scale.reshape(())
    if way == "rows":
        return scale.reshape(-1, *(1 for _ in shape[1:]))
    return scale.repeat_interleave(_BLOCK, 0).repeat_interleave(_BLOCK, 1)[: shape[0], : shape[1]]
