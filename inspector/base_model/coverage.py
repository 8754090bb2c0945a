"""What of an adapter does not run with it, or only in part of a text, in words."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.adapters.model import Adapter
from inspector.common.errors import InspectorError
from inspector.common.text import plain

TOLD = 1e-6
"""The share of ‖ΔW‖² from which a part left out is told: below it is rounding."""


def not_run(adapter: Adapter, energy_left_out: float) -> str:
    """One sentence about tensors that do not run and about the part a low rank leaves out; empty where all runs.

    `energy_left_out`: the share of ‖ΔW‖²_F that the factors do not hold, NaN where it is not known.
    """
    parts = []
    if lost := [tensor for tensor in adapter.tensors if tensor.role != "used"]:
        parts.append(f"without {len(lost)} of its tensors ({plain(lost[0].key, 60)}: {lost[0].reason})")
    if energy_left_out > TOLD:
        parts.append(
            f"by the low-rank part of its dense updates, which leaves out {100 * energy_left_out:.2g} % of ‖ΔW‖²"
        )
    return f"{plain(adapter.info.name)} runs {' and '.join(parts)}" if parts else ""


def largest_left_out(adapter: Adapter) -> float:
    """The largest share any module leaves out; 0 for adapters that are factors themselves."""
    if not adapter.depends_on:
        return 0.0
    return max((adapter.left_out(id_) for id_ in adapter.modules), default=0.0)


def refuse_on_paths(activated: Sequence[str]) -> None:
    """Raise InspectorError if there is one: no path leads from what holds in part of a text to what holds in all."""
    if activated:
        raise InspectorError(
            f"{plain(activated[0])} is an activated LoRA: ΔW holds from its invocation tokens on alone, and no path of "
            "weights leads to it. Leave it out, or name other pairs."
        )
