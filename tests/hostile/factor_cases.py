"""Right files of wrong tensors: types, shapes and values no LoRA has, and module paths that collide."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.hostile import valid
from tests.hostile.case import WEIGHTS, Case, code_beside_right_ones
from tests.makers import lora_tensors, write_adapter

M = "base_model.model.model.layers.0.self_attn.k_proj"
A, B = f"{M}.lora_A.weight", f"{M}.lora_B.weight"
F8 = torch.float8_e4m3fn


def _one(tensors: Mapping[str, Tensor], folder: Path, **config: Any) -> None:
    """Beside two right modules."""
    write_adapter(folder, valid.factors(), alpha=valid.ALPHA, extra={k: v.contiguous() for k, v in tensors.items()})
    if config:
        write_adapter(folder, valid.factors(), alpha=valid.ALPHA, extra=tensors, **config)


def _alone(tensors: Mapping[str, Tensor], folder: Path) -> None:
    write_adapter(folder, valid.factors(), alpha=valid.ALPHA)
    save_file(dict(tensors), folder / WEIGHTS)


def pair(
    *, b: Any = (12, 2), a: Any = (2, 8), dtype: torch.dtype = torch.float32, fill: float = 1.0
) -> dict[str, Tensor]:
    return {B: torch.full(b, fill, dtype=dtype), A: torch.full(a, fill, dtype=dtype)}


def left_out() -> Iterator[tuple[str, dict[str, Tensor], str]]:
    """Modules that cannot be used: the others are, and these are told. Name, tensors, what must be said."""
    for dtype in torch.int8, torch.int64, torch.bool, torch.uint8, torch.complex64:
        yield str(dtype), pair(dtype=dtype), "not a float"
    yield "1-D factors", pair(b=(24,), a=(16,)), "1-D or zero-size"
    yield "0-D factors", pair(b=(), a=()), "1-D or zero-size"
    yield "zero-size factors", pair(b=(12, 0), a=(0, 8)), "1-D or zero-size"
    yield "no rows", pair(b=(0, 2), a=(2, 0)), "1-D or zero-size"
    yield "B·A that does not multiply", pair(b=(12, 3)), "does not multiply"
    yield "both factors the same way round", pair(b=(2, 12)), "does not multiply"
    yield "5-D factors", pair(b=(12, 2, 1, 1, 1), a=(3, 8, 1, 1, 1)), "does not multiply"
    yield "MergedLinear left over", pair(b=(24, 2, 1), a=(4, 8)), "does not multiply"
    yield "only A", {A: torch.ones(2, 8)}, "only A or only B"
    yield "only B", {B: torch.ones(12, 2)}, "only A or only B"
    yield "A twice", pair() | {f"{M}.lora_A.default.weight": torch.ones(2, 8)}, "claim the same module|2 adapters"
    other = M.replace("base_model.model.model.", "base_model.model.base_model.model.model.")
    same = {f"{other}.lora_A.weight": torch.ones(2, 8), f"{other}.lora_B.weight": torch.ones(12, 2)}
    yield "two paths of one module", pair() | same, "claim the same module"
    yield "AdaLoRA's E alone", {f"{M}.lora_E": torch.ones(2, 1)}, "not understood"
    hada = {f"{M}.hada_w1_a": torch.ones(4, 2), f"{M}.hada_w1_b": torch.ones(2, 4)}
    yield "half a LoHa", hada, "only A or only B"


def cases() -> Iterator[Case]:
    for name, tensors, says in left_out():
        code, norm = (2, None) if name == "A twice" else (code_beside_right_ones(says), valid.norm())
        yield Case(f"factors: {name}", partial(_one, tensors), code, says, norm)
        if name != "A twice":
            yield Case(f"factors: {name}, alone", partial(_alone, tensors), 2, "no LoRA pair")
    for name, fill in {"NaN": float("nan"), "Inf": float("inf"), "minus Inf": float("-inf")}.items():
        yield Case(f"factors: {name}", partial(_one, pair(fill=fill)), 3, "NaN or Inf in", valid.norm())
        yield Case(f"factors: {name} alone", partial(_alone, pair(fill=fill)), 3, "NaN or Inf in")
    huge = pair(fill=1e308, dtype=torch.float64)
    yield Case("factors: of 1e308", partial(_one, huge), 3, "NaN or Inf in", valid.norm())
    large = pair(fill=3e38)
    yield Case("factors: of 3e38", partial(_one, large), 0, "‖ΔW‖")
    yield Case("factors: of 1e-320", partial(_one, pair(fill=1e-320, dtype=torch.float64)), 0, "‖ΔW‖", valid.norm())
    yield Case(
        "factors: F8", partial(_alone, {k: v.to(F8) for k, v in pair(fill=0.5).items()}), 0, "F8", 2 * 0.5 * 96**0.5
    )
    tall = {B: torch.ones(12, 40) / 8, A: torch.ones(40, 8) / 8}
    yield Case("factors: rank above the width", partial(_alone, tall), 0, "40", 0.1 * 40 / 64 * 96**0.5)
    zero = {k: torch.zeros_like(v) if "lora_B" in k else v for k, v in lora_tensors(valid.factors()).items()}
    yield Case("factors: every B zero", partial(_alone, zero), 3, "exactly zero in every module", 0.0)
    wide = {A: torch.ones(1, 200_000), B: torch.ones(1, 1)} | {
        f"base_model.model.model.layers.{n}.x.lora_{half}.weight": torch.ones(*shape)
        for n in range(300)
        for half, shape in {"A": (1, 2), "B": (2, 1)}.items()
    }
    yield Case("factors: one layer far wider than all", partial(_alone, wide), 0, "‖ΔW‖")
    deep = {A: torch.ones(20_000, 1), B: torch.ones(1, 20_000)} | {k: v for k, v in wide.items() if ".x." in k}
    yield Case("factors: a rank far above all", partial(_alone, deep), 0, "20000")
    far = {f"base_model.model.model.layers.{10**n}.self_attn.q_proj.lora_{half}.weight": torch.ones(2, 2)
           for n in (5, 9, 40) for half in "AB"}  # fmt: skip
    yield Case("factors: layers of any number", partial(_alone, far), 0, "‖ΔW‖")
    nowhere = {
        f"{path}lora_{half}.weight": torch.ones(2, 2) for path in ("", ".", "..", "base_model.model.") for half in "AB"
    }
    yield Case("factors: no path", partial(_alone, nowhere), 0, "not understood|claim")
