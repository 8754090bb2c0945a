"""Which modules of a model a config puts an update on, by PEFT's own rules, and which of them a file lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from inspector.adapters.peft.config import PeftConfig
from inspector.adapters.peft.patterns import Patterns
from inspector.common.text import some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import Names


def untouched(config: PeftConfig, paths: Iterable[str]) -> list[HealthIssue]:
    """Targets and layers of the config that no tensor of the file belongs to: a typo, or a file that lacks its end.

    A target is a name in a list, and a regex where it stands alone.
    """
    paths = list(paths)
    found = []
    there = {part for path in paths for part in path.split(".")}
    if gone := [layer for layer in sorted(config.layers) if str(layer) not in there]:
        found.append(HealthIssue("warning", f"layers_to_transform without a tensor in the file: {some(gone)}"))
    names = [target for target in config.targets if target != "all-linear"]
    targets = Patterns(dict.fromkeys([*names, *map(re.escape, names)], 1.0))
    for path in paths:
        targets.hits(path)
    idle = set(targets.idle())
    if missing := [target for target in names if {target, re.escape(target)} <= idle]:
        found.append(HealthIssue("warning", f"target_modules without a tensor in the file: {some(missing)}"))
    return found


def lacks(config: PeftConfig, there: Names) -> Callable[[str], bool]:
    """Whether the config names the module at a path of the base and it is not `there`, in the file.

    Of modules named by a list, `layers_to_transform` may choose some
    [peft.tuners.tuners_utils.check_target_module_exists].
    """
    targets, excluded = Patterns(dict.fromkeys(config.selects, 1.0)), Patterns(dict.fromkeys(config.excludes, 1.0))
    stacks = Patterns(dict.fromkeys(config.layers_pattern, 1.0))

    def chosen(path: str) -> bool:
        names = path.split(".")
        numbered = [i for i, name in enumerate(names) if i and name.isdecimal()]
        found = (i for i in numbered if not config.layers_pattern or stacks.hits(".".join(names[:i])))
        layer = next(found, None)
        return layer is not None and int(names[layer]) in config.layers

    def answer(path: str) -> bool:
        if config.layer_replication or there.find(path) is not None or excluded.hits(path) or not targets.hits(path):
            return False
        return not config.layers or path in config.targets or chosen(path)

    return answer
