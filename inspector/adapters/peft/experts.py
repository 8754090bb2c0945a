"""LoRA on bare parameters (`target_parameters`): the stacked experts of a mixture, one module per expert.

A (E·r, d_A) holds the experts one after the other, B (d_B, r·E) has them as its fastest axis. Which of the two is the
input changed in PEFT 0.18, and the file does not say which parameter a tensor belongs to: the base's shapes do.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from inspector.adapters.account import MISFIT, Verdict
from inspector.adapters.assemble import Part
from inspector.adapters.grouping import Made, Slots, dtypes, fault
from inspector.adapters.model import LoraModule
from inspector.adapters.peft.base import Base
from inspector.adapters.peft.modules import PeftFile
from inspector.adapters.peft.tensors import A, B, Group
from inspector.names import ModuleId, canonical, strip_wrappers

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from inspector.adapters.factors import Pair
    from inspector.adapters.peft.config import PeftConfig

_WRAPPED = re.compile(r"(\.base_layer)+$")
_NEED_BASE = Verdict(
    "ignored", "target_parameters: only the base's shapes tell experts, inputs and outputs apart (--base)", "warning"
)
_UNCLEAR = Verdict(
    "ignored", "target_parameters: more than one parameter or orientation fits the base's shapes", "warning"
)
_UNFIT = Verdict("ignored", "target_parameters: no parameter of the base has these shapes", "warning")
# How checkpoints keep what transformers stacks: Qwen-type, and Mixtral's own names.
_SPLIT = {
    "gate_up_proj": (("gate_proj", "up_proj"), ("w1", "w3")),
    "down_proj": (("down_proj",), ("w2",)),
}


class _Stacked(NamedTuple):
    """A parameter of the base: its name, E experts of (rows, columns) as stored; E = 0 for a plain matrix."""

    name: str
    experts: int
    rows: int
    columns: int


class _Reading(NamedTuple):
    """How a pair fits a parameter; `swapped`: B·A is the transpose of what is stored, as PEFT before 0.18 has it."""

    parameter: _Stacked
    r: int
    swapped: bool


def on_parameters(path: str, config: PeftConfig) -> bool:
    """Whether the LoRA at this path is on a parameter: PEFT nests the wrappers of several of one module."""
    return path.endswith(".base_layer") or bool(_targets(path, config))


def owner(path: str) -> ModuleId:
    """The module whose parameters they are."""
    return canonical(_WRAPPED.sub("", path))


def make(group: Group, file: PeftFile) -> Made | Verdict:
    """The parts of all experts, or why there are none."""
    slots = group.slots
    if wrong := fault(slots, (B, A)):
        return wrong
    outer, names = strip_wrappers(_WRAPPED.sub("", group.path)), _targets(group.path, file.config)
    reading = _reading(outer, names, slots, file)
    if isinstance(reading, Verdict):
        return reading
    return Made(_experts(outer, slots, reading, file) if reading.parameter.experts else [_matrix(outer, slots, file)])


def _reading(outer: str, names: list[str], slots: Slots, file: PeftFile) -> _Reading | Verdict:
    """The one way the pair fits one of the parameters."""
    a, b = slots[A].shape, slots[B].shape
    if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
        return MISFIT
    if file.base is None:
        if names == ["weight"] and a[0] == file.scaling.configured(f"{outer}.weight"):
            return _Reading(_Stacked("weight", 0, b[0], a[1]), a[0], swapped=False)
        return _NEED_BASE
    stacks = [found for name in names if (found := _stacked(outer, name, a[0], file.base))]
    readings = [reading for stack in stacks for reading in _readings(stack, a, b)]
    return readings[0] if len(readings) == 1 else _UNCLEAR if readings else _UNFIT


def _targets(path: str, config: PeftConfig) -> list[str]:
    """The names of the parameters that may be meant at this module: `gate_up_proj`, or `weight`."""
    if not config.target_parameters:
        return []
    outer = strip_wrappers(_WRAPPED.sub("", path))
    split = [name.rpartition(".") for name in config.target_parameters]
    return [name for owner, _, name in split if not owner or f".{outer}".endswith(f".{owner}")]


def _stacked(outer: str, name: str, most: int, base: Base) -> _Stacked | None:
    """The base's parameter, also where its checkpoint keeps the experts apart."""
    own = base.weights.shape(base.parameter(outer, name))
    if own is not None:
        return _Stacked(name, 0, *own) if len(own) == 2 else _Stacked(name, *own) if len(own) == 3 else None
    for place in (outer, outer.replace("mlp.experts", "block_sparse_moe.experts")):
        for parts in _SPLIT.get(name, ()):
            first = [base.weights.shape(base.parameter(f"{place}.0.{part}")) for part in parts]
            if all(shape is not None and len(shape) == 2 for shape in first):
                keys = (base.parameter(f"{place}.{e}.{parts[0]}") for e in range(most + 1))
                experts = next((e for e, key in enumerate(keys) if base.weights.key(key) is None), 0)
                return _Stacked(name, experts, sum(s[0] for s in first if s), first[0][1] if first[0] else 0)
    return None


def _readings(stack: _Stacked, a: tuple[int, ...], b: tuple[int, ...]) -> list[_Reading]:
    """Every way the pair fits: one, none, or two where the matrices are square."""
    if a[0] % max(stack.experts, 1):
        return []
    r = a[0] // max(stack.experts, 1)
    ways = {False: (stack.columns, stack.rows), True: (stack.rows, stack.columns)}
    fits = [_Reading(stack, r, swapped) for swapped, way in ways.items() if (a[1], b[0]) == way]
    return fits if stack.experts else fits[:1]


def _matrix(outer: str, slots: Slots, file: PeftFile) -> Part:
    """An ordinary LoRA: the parameter is the weight of a linear map."""
    (r, d_in), d_out = slots[A].shape, slots[B].shape[0]
    read = file.weights.tensor
    scale = file.scaling.of(f"{outer}.weight", r)
    module = LoraModule(canonical(outer), d_out, d_in, r, scale, dtypes(slots, (A, B)), outer)
    return Part(module, lambda: (read(slots[B].key), read(slots[A].key)), slots[A].numel + slots[B].numel)


def _experts(outer: str, slots: Slots, reading: _Reading, file: PeftFile) -> list[Part]:
    """One part per expert, as an operator (d_out, d_in)."""
    stack = reading.parameter
    flipped = _stored_in_out(stack, file.base)
    d_out, d_in = (stack.columns, stack.rows) if flipped else (stack.rows, stack.columns)
    scale = file.scaling.of(f"{outer}.{stack.name}", reading.r)
    size = (slots[A].numel + slots[B].numel) // stack.experts
    parts = []
    for e in range(stack.experts):
        path = f"{outer}.{e}.{stack.name}"
        module = LoraModule(canonical(path), d_out, d_in, reading.r, scale, dtypes(slots, (A, B)), path)
        load = partial(_expert, file.recent, slots, e, reading.r, transposed=reading.swapped != flipped)
        parts.append(Part(module, load, size))
    return parts


def _expert(read: Callable[[str], Tensor], slots: Slots, e: int, r: int, *, transposed: bool) -> Pair:
    """B and A of one expert; of (B·A)ᵀ = Aᵀ·Bᵀ where it is transposed."""
    B_all, A_all = read(slots[B].key), read(slots[A].key)
    one_B = B_all.reshape(B_all.shape[0], r, -1)[:, :, e]
    one_A = A_all[e * r : (e + 1) * r]
    return (one_A.T.contiguous(), one_B.T.contiguous()) if transposed else (one_B.contiguous(), one_A.contiguous())


def _stored_in_out(stack: _Stacked, base: Base | None) -> bool:
    """Whether the base stores an expert in×out: the model's width is what `down_proj` writes and the others read."""
    shape = base.weights.shape("model.embed_tokens.weight") if base else None
    if shape is None or stack.rows == stack.columns:
        return False
    width = stack.columns if "down" in stack.name else stack.rows
    return width == shape[-1]
