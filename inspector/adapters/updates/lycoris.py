"""The update of one module from the tensors kohya's scripts and LyCORIS write for it, as a product B·A.

With `flat` making (d_out, d_in·k²) of a convolution's ΔW (d_out, d_in, k, k):

    LoRA, LoCon     up · down                          up (d_out, r), down (r, d_in[, k, k])
    … with a mid    up ×₀ mid ×₁ down                  Tucker: mid (r, r, k, k), down (r, d_in, 1, 1)
    LoHa            (w1_a·w1_b) ∘ (w2_a·w2_b)          rank ≤ r²
    LoKr            w1 ⊗ w2, each whole or a·b         the rank of the product of both
    full            diff

[lycoris.functional.{locon,loha,lokr}.diff_weight]. α divides by r, the inner size of the factors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from inspector.adapters.tensors.account import MISFIT, TOO_LARGE, Verdict
from inspector.adapters.tensors.grouping import Slots, fault
from inspector.adapters.tensors.slots import DIFF, DOWN, HADA, LOKR, MID, UP
from inspector.adapters.updates import factors
from inspector.adapters.updates.factors import Pair
from inspector.adapters.updates.low_rank import Dense

if TYPE_CHECKING:
    from torch import Tensor

    Read = Callable[[str], Tensor]

VECTOR = Verdict("ignored", "no matrix (a norm, a bias): no part of ΔW")


class Update(NamedTuple):
    """Its shape, the rank of its factors, and the r that α is divided by (None: no scaling)."""

    method: str
    d_out: int
    d_in: int
    rank: int
    r: int | None
    factors: Callable[[], Pair]
    left_out: Callable[[], float] | None = None
    kernel: tuple[int, ...] = ()


class _Product(NamedTuple):
    """A matrix L (rows, rank) · R (rank, columns); `r` is the size of the factors in the file, None for a whole one."""

    rows: int
    rank: int
    columns: int
    r: int | None
    load: Callable[[], Pair]
    kernel: tuple[int, ...] = ()


def update(slots: Slots, read: Read, rank: int) -> Update | Verdict:
    """The update of a module with these tensors, or why there is none; nothing is read but by `factors`."""
    if DIFF in slots:
        return _full(slots, read, rank)
    if any(slot in HADA for slot in slots):
        return bounded(_loha(slots, read), slots)
    if any(slot in LOKR for slot in slots):
        return bounded(_lokr(slots, read), slots)
    return _lora(slots, read)


def bounded(found: Update | Verdict, slots: Slots) -> Update | Verdict:
    """The update, refused where small tensors would unfold into a huge one."""
    stored = sum(header.numel for header in slots.values())
    if isinstance(found, Update) and factors.unfolds(found.rank, found.d_out, found.d_in, stored):
        return TOO_LARGE
    return found


def _full(slots: Slots, read: Read, rank: int) -> Update | Verdict:
    shape = slots[DIFF].shape
    if len(shape) < 2:
        return VECTOR
    if wrong := fault(slots, (DIFF,)):
        return wrong
    d_out, d_in = shape[0], prod(shape[1:])
    load = Dense(lambda: read(slots[DIFF].key).flatten(1), rank)
    return Update("full", d_out, d_in, min(rank, d_out, d_in), None, load, load.left_out, shape[2:])


def _lora(slots: Slots, read: Read) -> Update | Verdict:
    if wrong := fault(slots, (UP, DOWN)) or fault(slots, {MID} & slots.keys()):
        return wrong
    up, down = slots[UP].shape, slots[DOWN].shape
    if prod(up[2:]) != 1:
        return MISFIT
    if MID not in slots:
        if up[1] != down[0]:
            return MISFIT
        return Update("LoRA", up[0], prod(down[1:]), down[0], down[0], partial(_stored, slots, read), None, down[2:])
    mid = slots[MID].shape
    if len(mid) != 4 or mid[:2] != (up[1], down[0]) or prod(down[2:]) != 1:
        return MISFIT
    return Update(
        "LoCon", up[0], down[1] * prod(mid[2:]), up[1], down[0], partial(_tucker_lora, slots, read), None, mid[2:]
    )


def _stored(slots: Slots, read: Read) -> Pair:
    return read(slots[UP].key).flatten(1), read(slots[DOWN].key).flatten(1)


def _tucker_lora(slots: Slots, read: Read) -> Pair:
    up, mid, down = (read(slots[slot].key) for slot in (UP, MID, DOWN))
    return factors.tucker(mid, up.flatten(1).T, down.flatten(1))


def _loha(slots: Slots, read: Read) -> Update | Verdict:
    if wrong := fault(slots, HADA[:4]) or fault(slots, {*HADA[4:]} & slots.keys()):
        return wrong
    one, two = _pair(slots, read, HADA[0], HADA[1], HADA[4]), _pair(slots, read, HADA[2], HADA[3], HADA[5])
    if one is None or two is None or (one.rows, one.columns) != (two.rows, two.columns):
        return MISFIT
    rank = factors.product_rank(one.rank, two.rank, one.rows, one.columns)
    load = lambda: factors.hadamard(one.load(), two.load())  # noqa: E731
    return Update("LoHa", one.rows, one.columns, rank, one.r, load, None, one.kernel)


def _lokr(slots: Slots, read: Read) -> Update | Verdict:
    sides = [whole if whole in slots else pair for whole, *pair in (LOKR[:3], LOKR[3:6])]
    named = [name for side in sides for name in ([side] if isinstance(side, str) else side)]
    if wrong := fault(slots, named) or fault(slots, {LOKR[6]} & slots.keys()):
        return wrong
    one = _whole(slots, read, LOKR[0]) or _pair(slots, read, LOKR[1], LOKR[2])
    two = _whole(slots, read, LOKR[3]) or _pair(slots, read, LOKR[4], LOKR[5], LOKR[6])
    if one is None or two is None:
        return MISFIT
    d_out, d_in = one.rows * two.rows, one.columns * two.columns
    rank = factors.product_rank(one.rank, two.rank, d_out, d_in)
    load = lambda: factors.kronecker(one.load(), two.load())  # noqa: E731
    return Update("LoKr", d_out, d_in, rank, two.r or one.r, load, None, two.kernel)


def _whole(slots: Slots, read: Read, name: str) -> _Product | None:
    """A matrix as it is, beside an identity on its shorter side."""
    if name not in slots:
        return None
    rows, columns, kernel = slots[name].shape[0], prod(slots[name].shape[1:]), slots[name].shape[2:]
    return _Product(rows, min(rows, columns), columns, None, lambda: factors.whole(read(slots[name].key)), kernel)


def _pair(slots: Slots, read: Read, a: str, b: str, core: str = "") -> _Product | None:
    """a (rows, r)·b (r, columns…); with a core t (i, j, k, k): a (i, rows), b (j, columns). None where they misfit."""
    A, B = slots[a].shape, slots[b].shape
    if core not in slots:
        if len(A) != 2 or A[1] != B[0]:
            return None
        stored = lambda: (read(slots[a].key), read(slots[b].key).flatten(1))  # noqa: E731
        return _Product(A[0], A[1], prod(B[1:]), B[0], stored, B[2:])
    T = slots[core].shape
    if len(A) != 2 or len(B) != 2 or len(T) != 4 or T[:2] != (A[0], B[0]):
        return None
    load = lambda: factors.tucker(*(read(slots[name].key) for name in (core, a, b)))  # noqa: E731
    return _Product(A[1], A[0], B[1] * prod(T[2:]), B[0], load, T[2:])
