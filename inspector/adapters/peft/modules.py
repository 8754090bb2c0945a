"""The update of one module of a PEFT file, from its tensors by what they are for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.model import LoraModule
from inspector.adapters.peft.base import Base, started
from inspector.adapters.peft.config import PeftConfig
from inspector.adapters.peft.scale import Scaling
from inspector.adapters.peft.tensors import EMBEDDING_A, EMBEDDING_B, MAGNITUDE, A, B, E, Group
from inspector.adapters.tensors.account import MISFIT, UNKNOWN, USED, Verdict
from inspector.adapters.tensors.assemble import Part
from inspector.adapters.tensors.base_experts import FUSED
from inspector.adapters.tensors.grouping import Made, Slots, dtypes, fault
from inspector.adapters.tensors.slots import HADA, LOKR
from inspector.adapters.tensors.stacked import ALONG_RANK, STACKED, is_stack, stacked
from inspector.adapters.updates import factors
from inspector.adapters.updates.dora import Magnitudes, with_magnitudes
from inspector.adapters.updates.factors import Pair
from inspector.adapters.updates.lycoris import Update, bounded
from inspector.adapters.updates.lycoris import update as lycoris_update

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.adapters.files.weights import Weights

PRUNED = Verdict("ignored", "AdaLoRA left the module no rank: its ΔW is zero")
_LYCORIS = frozenset({*HADA, *LOKR})
STARTS = frozenset({"pissa", "olora"})
"""The base-changing inits that W₀ alone tells."""


@dataclass(frozen=True, slots=True)
class PeftFile:
    """What the modules of one file are read with."""

    config: PeftConfig
    weights: Weights
    scaling: Scaling
    base: Base | None
    rank: int
    """What is kept of dense updates."""
    recent: Callable[[str], Tensor]
    """A tensor by its key, the last few kept: those that many modules share are not read for each of them."""


def make(group: Group, file: PeftFile) -> Made | Verdict:
    """The part of a module, or why there is none; nothing is read."""
    path, slots = group.path, group.slots
    if {A, B} <= slots.keys() and is_stack(slots[A].shape, slots[B].shape) and file.config.peft_type == "LORA":
        return fault(slots, (B, A)) or _stacked(path, slots, file)
    if A in slots and path.split(".")[-2:-1] == ["experts"]:
        experts, rest = divmod(slots[A].shape[0] if slots[A].shape else 0, file.scaling.configured(path))
        if experts > 1 and not rest:
            return ALONG_RANK
    update = bounded(_update(slots, file), slots)
    if isinstance(update, Verdict):
        return update
    if file.config.peft_type == "ADALORA":
        scale = file.scaling.adalora(update.rank)
    else:
        scale = file.scaling.of(path, update.r or file.scaling.configured(path))
    kind = dtypes(slots, list(slots))
    shape = update.d_out, update.d_in
    module = LoraModule(group.id, *shape, update.rank, scale, kind, path, update.kernel, EMBEDDING_A in slots)
    part = Part(module, update.factors, sum(header.numel for header in slots.values()))
    if MAGNITUDE in slots:
        return _dora(part, slots[MAGNITUDE], file)
    if file.config.init in STARTS and file.base is not None:
        return _started(part, file.config.init, file.base)
    return Made([part])


def _update(slots: Slots, file: PeftFile) -> Update | Verdict:
    if not _LYCORIS.isdisjoint(slots):
        if {"lokr_w1", "lokr_w2"} <= slots.keys() and len(slots["lokr_w2"].shape) == 3:
            return _conv1d_lokr(slots, file)
        return lycoris_update(slots, file.weights.tensor, file.rank)
    if EMBEDDING_A in slots or EMBEDDING_B in slots:
        return _plain(slots, EMBEDDING_B, EMBEDDING_A, file)
    if A not in slots and B not in slots:
        return UNKNOWN
    if E in slots or file.config.peft_type == "ADALORA":
        return _adalora(slots, file)
    return _plain(slots, B, A, file)


def _plain(slots: Slots, out: str, into: str, file: PeftFile) -> Update | Verdict:
    """LoRA of a linear map, an embedding or a convolution: B (d_out, r[, 1…]), A (r, d_in[, k…])."""
    if wrong := fault(slots, (out, into)):
        return wrong
    b, a = slots[out].shape, slots[into].shape
    d_out, d_in = b[0], prod(a[1:])
    stored = partial(_stored, file.weights.tensor, slots[out].key, slots[into].key)
    if prod(b[2:]) == 1 and b[1] == a[0] and len(a) in {len(b), 2}:
        return Update("LoRA", d_out, d_in, a[0], a[0], stored, None, a[2:])
    groups = a[0] // b[1]
    fits = prod(b[2:]) == 1 and groups * b[1] == a[0]
    if fits and len(a) == len(b) > 2 and d_out % groups == 0:
        # A grouped convolution: each group of outputs reads its own share of the r channels.
        return Update("LoRA", d_out, d_in, a[0], a[0], lambda: factors.blocks(*stored(), [True] * groups), None, a[2:])
    enabled = list(file.config.enabled)
    if fits and len(a) == 2 and sum(enabled) == groups and d_out % groups == 0:
        rows = d_out // groups * len(enabled)
        return Update("LoRA", rows, d_in, a[0], b[1], lambda: factors.blocks(*stored(), enabled))
    return STACKED if 3 in {len(a), len(b)} and b[2:] != (1,) else MISFIT


def _stacked(path: str, slots: Slots, file: PeftFile) -> Made:
    """Experts in a third axis, a parameter of the base where the name is one."""
    named = path.endswith(FUSED) or any(f".{path}".endswith(f".{name}") for name in file.config.target_parameters)
    scale = file.scaling.of(path, slots[A].shape[1])
    return stacked(path, slots, (A, B), scale, file.recent, is_parameter=named)


def _stored(read: Callable[[str], Tensor], out: str, into: str) -> Pair:
    return read(out).flatten(1), read(into).flatten(1)


def _adalora(slots: Slots, file: PeftFile) -> Update | Verdict:
    if {A, B, E} <= slots.keys() and slots[A].shape[:1] == (0,) == slots[E].shape[:1]:
        return PRUNED
    if wrong := fault(slots, (B, A, E)):
        return wrong
    b, a, e = (slots[name].shape for name in (B, A, E))
    if len(b) != 2 or len(a) != 2 or not b[1] == a[0] == e[0] or e[1:] != (1,):
        return MISFIT
    read = file.weights.tensor
    load = lambda: factors.adalora(*(read(slots[name].key) for name in (B, A, E)))  # noqa: E731
    return Update("AdaLoRA", b[0], a[1], a[0], a[0], load)


def _conv1d_lokr(slots: Slots, file: PeftFile) -> Update | Verdict:
    """A whole w2 (b, d, k) of a Conv1d: PEFT's `make_kron` adds no axis to w1 there, which is another product.

    torch.kron of (a, c) and (b, d, k) is (b, a·d, c·k), and PEFT reshapes it to the weight [peft.tuners.lokr.layer].
    """
    import torch

    if wrong := fault(slots, ("lokr_w1", "lokr_w2")):
        return wrong
    one, two = slots["lokr_w1"], slots["lokr_w2"]
    d_out, d_in = one.shape[0] * two.shape[0], prod(one.shape[1:]) * prod(two.shape[1:])

    def load() -> Pair:
        w1, w2 = (file.weights.tensor(header.key).double() for header in (one, two))
        return factors.whole(torch.kron(w1, w2).reshape(d_out, d_in))

    return Update("LoKr", d_out, d_in, min(d_out, d_in), None, load, None, two.shape[2:])


def _dora(part: Part, magnitudes: TensorHeader, file: PeftFile) -> Made:
    """The whole update where the base is there and fits, else the direction part s·B·A."""
    m = Magnitudes(magnitudes.numel, lambda: file.weights.tensor(magnitudes.key))
    part, verdict = with_magnitudes(part, m, file.base, file.rank)
    return Made([part], {} if verdict is USED else {MAGNITUDE: verdict})


def _started(part: Part, init: str, base: Base) -> Made | Verdict:
    """The update since an init that took s·B₀A₀ out of the base."""
    module = part.module
    s = module.scale.value
    if not s or (init == "olora" and base.stored_in_out(module.path)):
        return MISFIT
    if why := base.fault(module.path, module.d_out, module.d_in):
        return Verdict("ignored", f"{init} changed the base weights: {why}", "warning")

    def load() -> Pair:
        W = base.matrix(module.path, module.d_out, module.d_in)
        return started(init, W, s, part.load())

    rank = module.rank + min(module.rank, module.d_out, module.d_in)
    return Made([replace(part, module=replace(module, rank=rank), load=load)])
