"""Where a module of any format is in the model of a base that is given: experts under the base's own names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.adapters.model import LoraModule, Parameter
from inspector.common.errors import InspectorError
from inspector.common.text import count, plain

if TYPE_CHECKING:
    from inspector.adapters.peft.base import Base
    from inspector.adapters.peft.factors import Factors

_LAYER = re.compile(r".*?\.\d{1,6}\.", re.DOTALL)
"""What stands before the part of a path that is within its layer: a base's file may have another prefix."""
_UNSAID = frozenset({"llama4", "llama4_text"})
"""The models that have stacks in×out in memory and do not tell PEFT so."""


def placed(module: LoraModule, base: Base | None) -> LoraModule:
    """The module, an expert by the base's name for it, or as a part of the stack that the base has.

    Raises InspectorError where a path of underscores is in no module of the base.
    """
    if not module.spelt and base is not None:
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


def cautions(factors: Mapping[str, Factors], modules: Iterable[LoraModule]) -> Iterator[str]:
    """What is to be known of a folder that was written without a base, of these modules."""
    if stacked := sum(factor.parameter is not None for factor in factors.values()):
        yield f"{count(stacked, 'module')} of experts, stacked as PEFT has them: --base is needed to read them"
    if guessed := [module.path for module in modules if not module.spelt]:
        what = f"{count(len(guessed), 'module')} under names whose underscores may stand for dots, such as"
        yield f"{what} {plain(guessed[0], 80)}: PEFT loads those that the model calls so; --base has its names written"


def _spelt(module: LoraModule, base: Base) -> LoraModule:
    """The module by the base's own name: PEFT passes over one that is not in the model, without a word."""
    if (weight := base.find(module.path)) is None or len(weight.pieces) != 1:
        name = plain(module.path, 120)
        raise InspectorError(f"The base {plain(base.weights.name, 80)} has no module {name}: is it the adapter's base?")
    return replace(module, path=weight.pieces[0].header.key.removesuffix(".weight"), spelt=True)
