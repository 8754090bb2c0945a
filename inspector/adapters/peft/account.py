"""The account of a PEFT file: a verdict for every tensor, and the parts of every module."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from inspector.adapters.peft import experts, modules, saved
from inspector.adapters.peft.modules import PRUNED, PeftFile
from inspector.adapters.peft.tensors import NEED_BASE, Sorted, with_biases
from inspector.adapters.tensors.account import TWICE, UNKNOWN, USED, Verdict
from inspector.adapters.tensors.assemble import Part
from inspector.study.module_id import ModuleId


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
    on_parameters = experts.Parameters(found.groups, file)
    for id_, group in found.groups.items():
        read = partial(modules.make, file=file) if id_ not in on_parameters else on_parameters.make
        made = TWICE if group.twice else read(group)
        if isinstance(made, Verdict):
            verdicts |= {header.key: made for header in (*group.slots.values(), *group.twice)}
            if made not in {PRUNED, UNKNOWN}:
                excluded.append(experts.owner(group.path) if id_ in on_parameters else id_)
        elif any(part.module.id in parts for part in made.parts):
            verdicts |= {header.key: TWICE for header in group.slots.values()}
        else:
            verdicts |= {header.key: made.aside.get(slot, USED) for slot, header in group.slots.items()}
            parts |= {part.module.id: part for part in made.parts}
    for key, verdict in found.others.items():
        if verdict in NEED_BASE:
            whole = saved.make(file.weights.headers[key], verdict, file)
            if isinstance(whole, Part) and whole.module.id not in parts:
                parts[whole.module.id] = whole
                verdicts[key] = USED
            else:
                verdicts[key] = TWICE if isinstance(whole, Part) else whole
    return Account(list(parts.values()), with_biases(verdicts), tuple(dict.fromkeys(excluded)))
