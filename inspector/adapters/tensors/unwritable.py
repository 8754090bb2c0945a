"""What of an adapter cannot be written as LoRA factors: one rule for everything that writes an adapter."""

from __future__ import annotations

from inspector.adapters.model import Adapter, TensorRecord
from inspector.adapters.peft.modules import PRUNED
from inspector.adapters.peft.saved import COPY
from inspector.adapters.peft.tensors import SAMPLER
from inspector.adapters.tensors.eight_bit import INFERENCE
from inspector.adapters.tensors.slots import ASIDE

_NO_LOSS = frozenset(verdict.reason for verdict in (ASIDE["scalar"], COPY, INFERENCE, PRUNED, SAMPLER))
"""Why a tensor may be unused though nothing of the update is missing."""
_ROUNDING = 1e-10
"""A share of ‖ΔW‖² that arithmetic alone leaves out."""


def lost(adapter: Adapter) -> list[TensorRecord]:
    """The unused tensors that are, or may be, part of the update: of ΔW, of a bias, or not understood."""
    return [t for t in adapter.tensors if t.role != "used" and t.reason not in _NO_LOSS]


def unneeded(adapter: Adapter) -> list[TensorRecord]:
    """The unused tensors without which the update is whole."""
    return [t for t in adapter.tensors if t.role != "used" and t.reason in _NO_LOSS]


def energy_lost(adapter: Adapter) -> float:
    """The largest share of a module's ‖ΔW‖² that its factors leave out; 0 where that is rounding."""
    share = max((adapter.left_out(module) for module in adapter.modules), default=0.0)
    return share if share > _ROUNDING else 0.0
