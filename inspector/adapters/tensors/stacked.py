"""Experts stacked in a third axis: A (E, r, d_in) and B (E, d_out, r), where a side that all share has E = 1.

mlx-lm, GGUF and several trainers write a mixture's experts so; ΔW_e = s·B_e·A_e.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from inspector.adapters.model import LoraModule, Parameter, Scale
from inspector.adapters.tensors.account import Verdict
from inspector.adapters.tensors.assemble import Part
from inspector.adapters.tensors.grouping import Made, dtypes
from inspector.study.module_id import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from inspector.adapters.tensors.grouping import Slots
    from inspector.adapters.updates.factors import Pair

_MOST = 2**12
"""Experts of a layer: the largest mixtures have some hundreds."""
STACKED = Verdict("unknown", "experts stacked in a third axis, in a layout that is not read", "error")
ALONG_RANK = Verdict(
    "unknown", "experts stacked along the rank under another key than PEFT's: B's order of them is not known", "error"
)
_NO_FACTOR = Verdict("unknown", "beside the factors of stacked experts: not read", "warning")


def expert_path(path: str, e: int) -> str:
    """The place of one expert of a stack: `mlp.experts.down_proj` -> `mlp.experts.3.down_proj`."""
    holder, _, name = path.rpartition(".")
    if holder.endswith("switch_mlp"):  # mlx-lm's name for it
        holder = f"{holder.removesuffix('switch_mlp')}experts"
    return f"{holder}.{e}.{name}"


def is_stack(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether factors of these shapes are those of stacked experts, and not of a convolution with B (d_out, r, 1)."""
    if len(a) != 3 or len(b) != 3 or (b[1] == a[0] and b[2] == 1) or max(a[0], b[0]) > _MOST:
        return False
    return a[1] == b[2] and (a[0] == b[0] or 1 in {a[0], b[0]})


def stacked(
    path: str,
    slots: Slots,
    names: tuple[str, str],
    scale: Scale,
    read: Callable[[str], Tensor],
    *,
    is_parameter: bool = False,
) -> Made:
    """One part an expert, of the factors A and B in the slots of these names; `is_parameter`: the base stacks them."""
    a, b = (slots[name] for name in names)
    experts = max(a.shape[0], b.shape[0])
    parameter = Parameter(path) if is_parameter else None
    kind, size = dtypes(slots, names), (a.numel + b.numel) // experts
    parts = []
    for e in range(experts):
        place = expert_path(path, e)
        shape = b.shape[1], a.shape[2], a.shape[1]
        module = LoraModule(canonical(place), *shape, scale, kind, place, parameter=parameter)
        parts.append(Part(module, partial(_expert, read, a.key, b.key, e), size))
    return Made(parts, dict.fromkeys(slots.keys() - set(names), _NO_FACTOR))


def _expert(read: Callable[[str], Tensor], a: str, b: str, e: int) -> Pair:
    B, A = read(b), read(a)
    return B[e if len(B) > 1 else 0].clone(), A[e if len(A) > 1 else 0].clone()
