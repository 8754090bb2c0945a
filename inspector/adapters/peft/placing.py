"""Where a module of any format is in the model of a base that is given: experts under the base's own names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.adapters.model import LoraModule, Parameter
from inspector.errors import InspectorError
from inspector.text import plain

if TYPE_CHECKING:
    from inspector.adapters.peft.base import Base

_LAYER = re.compile(r".*?\.\d{1,6}\.", re.DOTALL)
"""What stands before the part of a path that is within its layer: a base's file may have another prefix."""
_UNSAID = frozenset({"llama4", "llama4_text"})
"""The models that have stacks in×out in memory and do not tell PEFT so."""


def placed(module: LoraModule, base: Base | None) -> LoraModule:
    """The module, an expert by the base's name for it, or as a part of the stack that the base has.

    Raises InspectorError where a path may not have the base's dots, and no base tells them.
    """
    if not module.spelt:
        return _spelt(module, base)
    if base is None or module.parameter is not None:
        return module
    weight = base.find(module.path)
    if weight is None or len(weight.pieces) != 1 or ".experts." not in module.path:
        return module
    piece = weight.pieces[0]
    own = _LAYER.sub("", piece.header.key.removesuffix(".weight").removesuffix("_blocks"), count=1)
    before = _LAYER.match(module.path)
    stack = f"{before[0] if before else ''}{own}"
    if piece.expert is None:
        return replace(module, path=stack)
    whole = piece._replace(rows=slice(None)).shape[0]
    rows = piece.rows.indices(whole)
    turned = base.weights.config.get("model_type") in _UNSAID
    parameter = Parameter(stack, turned, None if rows == (0, whole, 1) else rows, whole)
    path = f"{stack.rpartition('.')[0]}.{piece.expert}.{module.path.rpartition('.')[2]}"
    return replace(module, path=path, parameter=parameter)


def _spelt(module: LoraModule, base: Base | None) -> LoraModule:
    """The module by the base's own name: PEFT passes over one that is not in the model, without a word."""
    name = plain(module.path, 120)
    if base is None:
        raise InspectorError(f"Underscores in {name} may stand for dots: the model's folder as --base tells which.")
    if (weight := base.find(module.path)) is None or len(weight.pieces) != 1:
        raise InspectorError(f"The base {plain(base.weights.name, 80)} has no module {name}: is it the adapter's base?")
    return replace(module, path=weight.pieces[0].header.key.removesuffix(".weight"), spelt=True)
