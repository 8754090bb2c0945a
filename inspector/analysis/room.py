"""Whether a study fits in memory, told before the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inspector.adapters.model import Adapter
from inspector.common.errors import InspectorError
from inspector.common.memory import available
from inspector.common.text import count, in_bytes
from inspector.study.metrics import DEFINITIONS, Definition, held_for
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings

_CHEAPEST = ("cosine", "norm")
_FLOAT = 8


def refuse_beyond_memory(adapters: Sequence[Adapter], modules: Sequence[ModuleId], settings: Settings) -> None:
    """Raise InspectorError if the numbers of all pairs cannot be held, with what to leave out."""
    free = available()
    if free is None or (takes := bytes_of_pairs(adapters, modules, settings)) <= free:
        return
    of = f"of {', '.join(settings.metrics)}" if settings.metrics else "of all metrics"
    what = (
        f"The numbers {of} of {count(len(adapters), 'adapter')} take {in_bytes(takes)}, and {in_bytes(free)} are free"
    )
    cheaper = replace(settings, metrics=_CHEAPEST, scopes=("global", "layer"))
    less = bytes_of_pairs(adapters, modules, cheaper)
    if less <= free:
        raise InspectorError(f"{what}. --metric {','.join(_CHEAPEST)} takes {in_bytes(less)}.")
    raise InspectorError(f"{what}. Name fewer adapters, or modules such as --modules q_proj.")


def bytes_of_pairs(adapters: Sequence[Adapter], modules: Sequence[ModuleId], settings: Settings) -> int:
    """What the blocks of all pairs take at modules, layers and the whole, and the products of the largest module."""
    held, n = held_for(settings.metrics), len(adapters)
    layers = 1 + len({module.layer for module in modules if module.layer is not None})
    numbers, products_alone = 0, True
    for d in (d for d in DEFINITIONS.values() if d.metric in held and not d.probe):
        if d.subject not in {"pair", "ordered"} or (d.one_side and d.side not in settings.sides):
            continue
        depth = settings.k if d.indexed else 1
        products_alone &= d.measure is None or d.of_products
        numbers += depth * (layers + len(modules) * _at_modules(d, settings))
    width = sum(max((min(m.rank, m.d_out, m.d_in) for m in a.modules.values()), default=0) for a in adapters)
    products = n * n if products_alone else 5 * width**2  # both Gram matrices, both turned, and their pairs
    return _FLOAT * (numbers * n * n + products)


def _at_modules(d: Definition, settings: Settings) -> bool:
    """Whether a metric has a block of the modules: what is measured there, and what is made there if asked for."""
    return d.measure is not None or (d.aggregate == "stacked" and "module" in settings.scopes)
