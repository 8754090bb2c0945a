"""8-bit numbers whose scale stands in a tensor beside them: multiplied in, and a factor without its own is not a float.

W = scale·W₈ with one scale for a tensor, one for each row, group of a row or block of 128×128, under the names of
ComfyUI (`scale_weight`), compressed-tensors (`weight_scale`), DeepSeek (`weight_scale_inv`, multiplied as well) and
bitsandbytes (`SCB`: 127 times the scale of a row).
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
    r"(?P<of>.+?)(?:\.weight)?(?:(?P<scale>\.scale_weight|[._](?:weight_)?scale(?:_inv)?|\.SCB)"
    r"|(?P<other>\.scale_input|\.input_scale|\.comfy_quant|\.weight_format))",
    re.DOTALL,
)
_MARK = "scaled_fp8"
EIGHT_BIT = frozenset({"F8_E4M3", "F8_E5M2", "I8", "U8"})
_BLOCK, _LEAST_GROUP = 128, 8
_ROW_MAXIMA = ".SCB"


def scales(headers: Mapping[str, TensorHeader]) -> tuple[dict[str, TensorHeader], dict[str, Verdict]]:
    """The scale of each 8-bit tensor that has one, by its key, and the verdicts of what only serves such tensors."""
    found: dict[str, TensorHeader] = {}
    aside: dict[str, Verdict] = {_MARK: INFERENCE} if _MARK in headers else {}
    for key, header in headers.items():
        if (beside := _BESIDE.fullmatch(key)) and (owner := _owner(beside["of"], headers)):
            aside[key] = USED if beside["scale"] else INFERENCE
            if beside["scale"]:
                found[owner] = header
    return found, aside


def multiplied(weights: Weights) -> Weights:
    """The weights with every 8-bit tensor times the scale beside it, which is not a tensor of its own any more."""
    beside, aside = scales(weights.headers)
    if not aside:
        return weights
    left = {key: header for key, header in weights.headers.items() if key not in aside}
    headers = {key: _readable(h, beside.get(key)) if h.dtype in EIGHT_BIT else h for key, h in left.items()}

    def tensor(key: str) -> Tensor:
        found = weights.tensor(key)
        return found if key not in beside else found.double() * spread(weights, beside[key], found.shape)

    return replace(weights, headers=headers, tensor=tensor, aside=aside)


def _owner(name: str, headers: Mapping[str, TensorHeader]) -> str:
    """The key of the 8-bit tensor of this name, or nothing."""
    keys = (key for key in (f"{name}.weight", name) if key in headers and headers[key].dtype in EIGHT_BIT)
    return next(keys, "")


def _readable(header: TensorHeader, scale: TensorHeader | None) -> TensorHeader:
    """The header, of a type that is not a float if the scale is missing or does not fit."""
    return header if fits(scale, header.shape) else header._replace(dtype=f"{header.dtype} without its scale")


def fits(scale: TensorHeader | None, shape: tuple[int, ...]) -> bool:
    """Whether it is a scale that spreads over a tensor of this shape."""
    return scale is not None and scale.dtype in FLOATS and bool(_way(scale.shape, shape))


def _way(scale: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """How a scale spreads over a tensor: `one`, `rows`, `groups` of a row, `blocks`, or nothing if it does not."""
    if all(n == 1 for n in scale):
        return "one"
    if len(shape) > 1 and scale[0] == shape[0] and all(n == 1 for n in scale[1:]):
        return "rows"
    if len(scale) != len(shape) or len(shape) != 2:
        return ""
    if scale[0] == shape[0] and scale[1] and not shape[1] % scale[1] and shape[1] // scale[1] >= _LEAST_GROUP:
        return "groups"
    return "blocks" if scale == tuple(-(-n // _BLOCK) for n in shape) else ""


def spread(weights: Weights, header: TensorHeader, shape: tuple[int, ...]) -> Tensor:
    """The scale of this header, to be multiplied with a float64 tensor of this shape."""
    scale = weights.tensor(header.key)
    if header.key.endswith(_ROW_MAXIMA):
        scale = scale.double() / 127
    way = _way(tuple(scale.shape), tuple(shape))
    if way == "one":
        return scale.reshape(())
    if way == "rows":
        return scale.reshape(-1, *(1 for _ in shape[1:]))
    if way == "groups":
        return scale.repeat_interleave(shape[1] // scale.shape[1], 1)
    return scale.repeat_interleave(_BLOCK, 0).repeat_interleave(_BLOCK, 1)[: shape[0], : shape[1]]
