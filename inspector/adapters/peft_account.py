"""The account of a PEFT file: a verdict for every tensor, and the parts of every module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from inspector.adapters import peft_experts, peft_modules, peft_saved
from inspector.adapters.account import TWICE, UNKNOWN, USED, Verdict
from inspector.adapters.assemble import Part
from inspector.adapters.peft_modules import PRUNED, PeftFile
from inspector.adapters.peft_tensors import NEED_BASE, Sorted
from inspector.names import ModuleId


class Account(NamedTuple):
    """What the file comes to."""

    parts: list[Part]
    verdicts: Mapping[str, Verdict]
    excluded: tuple[ModuleId, ...]


def account(found: Sorted, file: PeftFile) -> Account:
    """Parts from the groups first, then from absolute values of modules that have no other update."""
    verdicts = dict(found.others)
    parts: dict[ModuleId, Part] = {}
    excluded: list[ModuleId] = []
    for id_, group in found.groups.items():
        on_parameters = peft_experts.on_parameters(group.path, file.config)
        make = peft_experts.make if on_parameters else peft_modules.make
        made = TWICE if group.twice else make(group.path, group.slots, file)
        if isinstance(made, Verdict):
            verdicts |= {header.key: made for header in (*group.slots.values(), *group.twice)}
            if made not in {PRUNED, UNKNOWN}:
                excluded.append(peft_experts.owner(group.path) if on_parameters else id_)
        elif any(part.module.id in parts for part in made.parts):
            verdicts |= {header.key: TWICE for header in group.slots.values()}
        else:
            verdicts |= {header.key: made.aside.get(slot, USED) for slot, header in group.slots.items()}
            parts |= {part.module.id: part for part in made.parts}
    for key, verdict in found.others.items():
        if verdict in NEED_BASE:
            saved = peft_saved.make(file.weights.headers[key], verdict, file)
            if isinstance(saved, Part) and saved.module.id not in parts:
                parts[saved.module.id] = saved
                verdicts[key] = USED
            else:
                verdicts[key] = TWICE if isinstance(saved, Part) else saved
    return Account(list(parts.values()), verdicts, tuple(dict.fromkeys(excluded)))
