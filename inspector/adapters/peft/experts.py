"""LoRA on bare parameters (`target_parameters`): the stacked experts of a mixture, one module per expert.

A (E·r, d_A) holds the experts one after the other, B (d_B, r·E) has them as its fastest axis. Which of the two is the
input depends on PEFT's version and the model's class, and the file does not say which parameter a tensor belongs to:
the base's shapes do. Where they are square, the other stacks of the file tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from inspector.adapters.model import LoraModule, Parameter
from inspector.adapters.peft.modules import PeftFile
from inspector.adapters.peft.tensors import A, B, Group
from inspector.adapters.tensors.account import MISFIT, Verdict
from inspector.adapters.tensors.assemble import Part
from inspector.adapters.tensors.base_experts import FUSED
from inspector.adapters.tensors.grouping import Made, Slots, dtypes, fault
from inspector.adapters.tensors.layout import stored_in_out
from inspector.adapters.tensors.stacked import STACKED, is_stack
from inspector.study.module_id import ModuleId, canonical, strip_wrappers

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from inspector.adapters.updates.factors import Pair

_WRAPPED = re.compile(r"(\.base_layer)+$")
_NEED_BASE = Verdict(
    "ignored", "target_parameters: only the base's shapes tell experts, inputs and outputs apart (--base)", "warning"
)
_UNCLEAR = Verdict(
    "ignored", "target_parameters: more than one parameter or orientation fits the base's shapes", "warning"
)
_UNFIT = Verdict("ignored", "target_parameters: no parameter of the base has these shapes", "warning")
_SINCE = (0, 20)
"""From here on A is on the side of the input, but for classes that store in×out and do not say so [#3165]."""
_STACKS = ("gate_up_proj", "down_proj")
"""The parameters that are meant where a config does not say."""


class _Sides(NamedTuple):
    """A LoRA of `rows` = E·r: how wide A and B are, and E where a third axis shows it."""

    rows: int
    A: int
    B: int
    experts: int | None


class _Reading(NamedTuple):
    """How a LoRA fits a parameter of E experts (0: a plain matrix) whose operator is d_out×d_in.

    `transposed`: A's side is the output, and B·A the transpose of the operator. `straight`: the base stores out×in.
    """

    name: str
    experts: int
    d_out: int
    d_in: int
    r: int
    transposed: bool
    straight: bool = True


class Parameters:
    """The LoRAs of a file that are on parameters, and what they are read as."""

    def __init__(self, groups: Mapping[ModuleId, Group], file: PeftFile) -> None:
        self._file = file
        for name in file.config.target_parameters:
            file.scaling.expect(name)
        nested = {_outer(group.path) for group in groups.values() if _WRAPPED.search(group.path)}
        own = [group for group in groups.values() if _outer(group.path) in nested or self._is_on_parameter(group)]
        self._readings = {group.id: self._all_readings(group) for group in own}
        self._ways = {found[0].transposed for found in self._readings.values() if len(found) == 1 and found[0].experts}

    def __contains__(self, id_: ModuleId) -> bool:
        return id_ in self._readings

    def make(self, group: Group) -> Made | Verdict:
        """The parts of all experts, or why there are none."""
        outer, readings = _outer(group.path), self._readings[group.id]
        if wrong := fault(group.slots, (B, A)):
            return wrong
        if _sides(group.slots) is None:
            return STACKED if any(len(group.slots[name].shape) > 2 for name in (A, B)) else MISFIT
        if not readings and self._file.base is None:
            for name in self._names(outer):
                self._file.scaling.expect(f"{outer}.{name}")
            return _NEED_BASE
        left = readings if len(readings) < 2 else [found for found in readings if self._is_this_way(found)]
        if len(left) != 1:
            return _UNCLEAR if readings else _UNFIT
        return Made(_parts(outer, group.slots, left[0], self._file))

    def _is_on_parameter(self, group: Group) -> bool:
        """Whether it is by its name, or by another rank than a module here would have.

        The holder of the experts is not a linear map; a bare `target_parameters: ["down_proj"]` may mean any module.
        """
        path, names, base = group.path, self._file.config.target_parameters, self._file.base
        if path.rpartition(".")[2] == "experts" or any(_owner(name) and _ends(path, _owner(name)) for name in names):
            return True
        bare = any(not _owner(name) for name in names) and (base is None or base.find(path) is None)
        return bare and A in group.slots and group.slots[A].shape[:1] != (self._file.scaling.configured(path),)

    def _names(self, outer: str) -> list[str]:
        """The parameters that may be meant at this module: `gate_up_proj`, or `weight`."""
        names = self._file.config.target_parameters or _STACKS
        meant = (name.rpartition(".")[2] for name in names if not _owner(name) or _ends(outer, _owner(name)))
        return list(dict.fromkeys(meant))

    def _all_readings(self, group: Group) -> list[_Reading]:
        """Every way the LoRA fits one of the parameters: one, none, or several where the matrices are square."""
        outer, sides, file = _outer(group.path), _sides(group.slots), self._file
        names = self._names(outer)
        if sides is None:
            return []
        if file.base is not None:
            return [found for name in names for found in _fits(outer, name, sides, file)]
        plain = names == ["weight"] and sides.rows == file.scaling.configured(f"{outer}.weight")
        return [_matrix("weight", sides, stored_in_out(outer, ""))] if plain and not sides.experts else []

    def _is_this_way(self, found: _Reading) -> bool:
        """Whether the other stacks of the file are so; where there are none, whether today's PEFT has it so."""
        if self._ways:
            return self._ways == {found.transposed}
        return found.straight and self._file.config.version >= _SINCE and not found.transposed


def _outer(path: str) -> str:
    """The module whose parameters they are: PEFT nests the wrappers of several."""
    return strip_wrappers(_WRAPPED.sub("", path))


def owner(path: str) -> ModuleId:
    """The id of that module."""
    return canonical(_outer(path))


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def _ends(path: str, end: str) -> bool:
    return f".{path}".endswith(f".{end}")


def _sides(slots: Slots) -> _Sides | None:
    """None of factors that do not multiply."""
    a, b = (slots[name].shape if name in slots else () for name in (A, B))
    if is_stack(a, b) and a[0] == b[0]:
        return _Sides(a[0] * a[1], a[2], b[1], a[0])
    return _Sides(a[0], a[1], b[0], None) if len(a) == len(b) == 2 and a[0] == b[1] else None


def _fits(outer: str, name: str, sides: _Sides, file: PeftFile) -> list[_Reading]:
    """The ways a LoRA fits this parameter of the base, also where its checkpoint keeps the experts apart."""
    base = file.base
    if base is None:
        return []
    stack = base.stack(outer, name)
    if stack is None:
        shape = base.weights.shape(base.parameter(outer, name))
        fits = shape == (sides.B, sides.A) and not sides.experts
        return [_matrix(name, sides, base.stored_in_out(outer))] if fits else []
    experts, weight = stack
    if not experts or sides.rows % experts or sides.experts not in {None, experts}:
        return []
    d_out, d_in = weight.shape
    ways = {False: (d_out, d_in), True: (d_in, d_out)}
    straight = not weight.pieces[0].turned
    r = sides.rows // experts
    fitting = [transposed for transposed, way in ways.items() if way == (sides.B, sides.A)]
    return [_Reading(name, experts, d_out, d_in, r, transposed, straight) for transposed in fitting]


def _matrix(name: str, sides: _Sides, transposed: bool) -> _Reading:
    """A plain matrix: B·A is what is stored, which is the operator's transpose where the base stores in×out."""
    d_out, d_in = (sides.A, sides.B) if transposed else (sides.B, sides.A)
    return _Reading(name, 0, d_out, d_in, sides.rows, transposed)


def _parts(outer: str, slots: Slots, found: _Reading, file: PeftFile) -> list[Part]:
    """One part per expert, or the one of a plain matrix, as an operator (d_out, d_in)."""
    name = f"{outer}.{found.name}"
    scale = file.scaling.of(name, found.r)
    size = (slots[A].numel + slots[B].numel) // max(found.experts, 1)
    parameter = Parameter(name, found.transposed and file.config.version >= _SINCE)
    in_turns = file.base is not None and file.base.weights.in_turns and found.name == FUSED
    parts = []
    for e in range(max(found.experts, 1)):
        path = f"{outer}.{e}.{found.name}" if found.experts else outer if found.name == "weight" else name
        shape, kind = (found.d_out, found.d_in, found.r), dtypes(slots, (A, B))
        module = LoraModule(canonical(path), *shape, scale, kind, path, in_turns=in_turns, parameter=parameter)
        load = partial(_expert, file.recent, slots, e, max(found.experts, 1), transposed=found.transposed)
        parts.append(Part(module, load, size))
    return parts


def _expert(read: Callable[[str], Tensor], slots: Slots, e: int, experts: int, *, transposed: bool) -> Pair:
    """B and A of one expert; of (B·A)ᵀ = Aᵀ·Bᵀ where it is transposed."""
    B_all, A_all = read(slots[B].key), read(slots[A].key)
    if B_all.dim() == 3:
        one_B, one_A = B_all[e], A_all[e]
    else:
        one_B = B_all.reshape(B_all.shape[0], -1, experts)[:, :, e]
        one_A = A_all.reshape(experts, -1, A_all.shape[1])[e]
    pair = (one_A.T, one_B.T) if transposed else (one_B, one_A)
    return pair[0].clone(), pair[1].clone()
