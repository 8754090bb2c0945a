"""VeRA: ΔW = (λ_b∘B)·(λ_d∘A) with one random A (r, most in) and B (most out, r) that all modules share.

The file holds A and B where PEFT saved the projections, its default, but not how much of A's width a module reads:
the base's shapes tell [peft.tuners.vera.layer].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.adapters.files.headers import FLOATS
from inspector.adapters.model import LoraModule, Scale
from inspector.adapters.peft.account import Account
from inspector.adapters.peft.tensors import LAMBDA_B, LAMBDA_D, VERA_A, VERA_B, Group, Sorted
from inspector.adapters.tensors.account import MISFIT, USED, Verdict
from inspector.adapters.tensors.assemble import Part
from inspector.adapters.tensors.grouping import Slots, dtypes
from inspector.adapters.updates.factors import Pair
from inspector.study.module_id import ModuleId

if TYPE_CHECKING:
    from inspector.adapters.peft.modules import PeftFile

_SCALE = Scale(1.0, "VeRA: in λ_b and λ_d")
_NO_PROJECTIONS = Verdict(
    "ignored", "VeRA without its projections: they are drawn from a random seed (save_projection=True saves them)"
)
_NEED_BASE = Verdict("ignored", "VeRA: only the base's shapes tell the width of a module's input (--base)", "warning")


def account(found: Sorted, file: PeftFile) -> Account:
    """The parts of all modules, and a verdict for every tensor."""
    shared = {
        slot: header for g in found.groups.values() for slot, header in g.slots.items() if slot in {VERA_A, VERA_B}
    }
    verdicts = dict(found.others)
    parts: list[Part] = []
    excluded: list[ModuleId] = []
    for id_, group in found.groups.items():
        if shared.keys() & group.slots.keys():
            continue
        made = MISFIT if group.twice else _make(group, shared, file)
        verdict = made if isinstance(made, Verdict) else USED
        verdicts |= {header.key: verdict for header in (*group.slots.values(), *group.twice)}
        if isinstance(made, Verdict):
            excluded.append(id_)
        else:
            parts.append(made)
    unused = _NEED_BASE if file.base is None else MISFIT
    verdicts |= {header.key: USED if parts else unused for header in shared.values()}
    # What else stands in the projections' own group belongs to no module.
    rest = (h.key for g in found.groups.values() for h in (*g.slots.values(), *g.twice) if h.key not in verdicts)
    return Account(parts, verdicts | dict.fromkeys(rest, MISFIT), tuple(excluded))


def _make(group: Group, shared: Slots, file: PeftFile) -> Part | Verdict:
    if not shared:
        return _NO_PROJECTIONS
    slots = {**group.slots, **shared}
    shapes = [slots[name].shape for name in (LAMBDA_B, LAMBDA_D, VERA_B, VERA_A) if name in slots]
    if [len(shape) for shape in shapes] != [1, 1, 2, 2] or any(h.dtype not in FLOATS for h in slots.values()):
        return MISFIT
    (d_out,), (r,), (most_out, columns), (rows, most_in) = shapes
    if file.base is None:
        return _NEED_BASE
    stored = file.base.weights.shape(file.base.parameter(group.path)) or ()
    d_in = stored[1 if stored[0] == d_out else 0] if len(stored) == 2 and d_out in stored else 0
    if not (columns == rows == r > 0 and 0 < d_out <= most_out and 0 < d_in <= most_in):
        return MISFIT
    read = file.recent

    def load() -> Pair:
        b, d, B, A = (read(slots[name].key).double() for name in (LAMBDA_B, LAMBDA_D, VERA_B, VERA_A))
        return b[:, None] * B[:d_out], d[:, None] * A[:, :d_in]

    kind = dtypes(slots, list(slots))
    module = LoraModule(group.id, d_out, d_in, r, _SCALE, kind, group.path)
    return Part(module, load, d_out + r)
