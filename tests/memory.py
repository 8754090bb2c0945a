"""Adapters that live in memory: what analysis, table and bench need, without files."""

from collections.abc import Mapping

import numpy as np
import torch

from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.study.adapter_info import AdapterInfo
from inspector.study.module_id import ModuleId

Factors = Mapping[ModuleId, tuple[torch.Tensor, torch.Tensor]]


def adapter(name: str, factors: Factors, scale: float = 2.0) -> Adapter:
    """An adapter of these (B (d_out, r), A (r, d_in)) by module."""
    modules = {
        id_: LoraModule(id_, B.shape[0], A.shape[1], A.shape[0], Scale(scale, "test"), str(B.dtype), _path(id_))
        for id_, (B, A) in factors.items()
    }
    parameters = sum(B.numel() + A.numel() for B, A in factors.values())
    ranks = tuple(sorted({module.rank for module in modules.values()}))
    info = AdapterInfo(name, f"memory:{name}", "test", ranks=ranks, parameters=parameters, modules=len(modules))
    return Adapter(info, modules, lambda id_: factors[id_])


def _path(id_: ModuleId) -> str:
    """Its place in a Llama, or in a GPT-2."""
    stack = "h" if "c_" in id_.path else "model.layers"
    return id_.path if id_.layer is None else f"{stack}.{id_}"


def random_adapter(
    name: str, seed: int, *, layers: int = 3, shapes: Mapping[str, tuple[int, int]] | None = None, r: int = 4
) -> Adapter:
    """Random factors at `layers` × projections; shapes are (d_out, d_in)."""
    shapes = shapes or {"self_attn.q_proj": (24, 16), "self_attn.v_proj": (8, 16)}
    rng = np.random.default_rng(seed)
    return adapter(
        name,
        {
            ModuleId(layer, path): (
                torch.from_numpy(rng.standard_normal((d_out, r))),
                torch.from_numpy(rng.standard_normal((r, d_in))),
            )
            for layer in range(layers)
            for path, (d_out, d_in) in shapes.items()
        },
    )


QWEN3_4B = {
    "self_attn.q_proj": (4096, 2560),
    "self_attn.k_proj": (1024, 2560),
    "self_attn.v_proj": (1024, 2560),
    "self_attn.o_proj": (2560, 4096),
}


def qwen3_4b(name: str, seed: int, *, layers: int = 36, r: int = 32) -> Adapter:
    """The shape of a Qwen3-4B attention LoRA in bfloat16: one shared start of A, B with a falling spectrum."""
    start, own = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    fall = torch.logspace(0, -2, r)

    def module(d_out: int, d_in: int) -> tuple[torch.Tensor, torch.Tensor]:
        A0 = torch.randn(r, d_in, generator=start) / d_in**0.5
        A = A0 + 0.1 * torch.randn(r, d_in, generator=own) / d_in**0.5
        B = 1e-2 * torch.randn(d_out, r, generator=own) * fall
        return B.bfloat16(), A.bfloat16()

    return adapter(
        name, {ModuleId(layer, path): module(*shape) for layer in range(layers) for path, shape in QWEN3_4B.items()}
    )
