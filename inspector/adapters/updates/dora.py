"""DoRA in any format: the whole update where the base is given and fits, else its direction part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from inspector.adapters.model import Direction, Scale
from inspector.adapters.options import ReadOptions
from inspector.adapters.peft.base import Base, dora
from inspector.adapters.tensors.account import USED, Verdict
from inspector.adapters.tensors.assemble import Part
from inspector.adapters.tensors.grouping import Made, Slots, Understood
from inspector.adapters.updates.low_rank import Dense
from inspector.study.adapter_info import HealthIssue

if TYPE_CHECKING:
    from torch import Tensor

NAME = "DoRA magnitudes"
NO_BASE = Verdict("ignored", f"{NAME}: they need the base weights (--base)")
NO_SCALE = Verdict("ignored", f"{NAME}: they need the scale of B·A as well (--alpha)")
MISFIT = Verdict("unknown", f"{NAME} that are not one per output", "warning")


class Magnitudes(NamedTuple):
    """The magnitudes m of a module: how many, and how they are read, one per output in the base's order."""

    numel: int
    read: Callable[[], Tensor]


def with_magnitudes(part: Part, m: Magnitudes, base: Base | None, rank: int) -> tuple[Part, Verdict]:
    """The part of ΔW = m∘V/‖V‖_row − W₀, V = W₀ + s·BA, at this rank, and USED; else `part` as it is, and why."""
    module = part.module
    if m.numel != module.d_out:
        return part, MISFIT
    if (s := module.scale.value) is None:
        return part, NO_SCALE
    part = replace(part, direction=Direction(part.load, s, m.read))
    if base is None:
        return part, NO_BASE
    if why := base.fault(module.path, module.d_out, module.d_in):
        return part, Verdict("ignored", f"{NAME}: {why}")

    direct = part.load

    def delta() -> Tensor:
        W = base.matrix(module.path, module.d_out, module.d_in)
        return dora(W, m.read(), s, direct())

    scale = Scale(1.0, f"DoRA: m∘V/‖V‖ − W₀, V = W₀ + {s:g}·BA")
    whole = replace(module, rank=min(rank, module.d_out, module.d_in), scale=scale)
    update = Dense(delta, rank)
    return replace(part, module=whole, load=update, left_out=update.left_out), USED


def dora_made(part: Part, slots: Slots, slot: str, read: Callable[[str], Tensor], read_options: ReadOptions) -> Made:
    """A module with magnitudes in this slot, which `read` gives in the base's order of rows."""
    header = slots[slot]
    # LyCORIS may norm over outputs, one magnitude per input: (1, d_in), which is another formula.
    numel = header.numel if len(header.shape) < 2 or header.shape[0] != 1 else -1
    base = Base(read_options.base) if read_options.base is not None else None
    part, verdict = with_magnitudes(part, Magnitudes(numel, lambda: read(header.key)), base, read_options.rank)
    return Made([part], {} if verdict is USED else {slot: verdict})


def dora_notes(verdicts: Mapping[str, Verdict]) -> list[HealthIssue]:
    """What the reader of the numbers should know where magnitudes are not used, and why they are not."""
    unused = [verdict for verdict in verdicts.values() if verdict is not USED and verdict.reason.startswith(NAME)]
    if NO_BASE in unused:
        return [direction_only("ΔW needs the base (--base)")]
    return [direction_only(f"ΔW cannot be formed ({v.reason.removeprefix(f'{NAME}: ')})") for v in unused[:1]]


def direction_only(why: str) -> HealthIssue:
    """Said of a DoRA whose ΔW is not what is measured."""
    return HealthIssue("warning", f"DoRA: {why}; only the direction part s·B·A is analysed")


def depends_on(found: Understood, read_options: ReadOptions) -> str:
    """What ΔW depends on beside the files: the base and the rank kept of dense updates, where there are such."""
    dense = any(isinstance(part.load, Dense) for part in found.parts)
    base = read_options.base.name if read_options.base is not None else ""
    return f"{base} at rank {read_options.rank}" if dense else ""
