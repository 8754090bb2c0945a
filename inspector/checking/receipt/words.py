"""Modules in words: layers, projections, or names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from inspector.common.text import count, some
from inspector.study.module_id import ModuleId, in_order


def where(lacking: Sequence[ModuleId], every: Sequence[ModuleId]) -> str:
    """`layers 12-20`, `q_proj in all layers`, or the modules."""
    gone, of_layer, of_path = set(lacking), defaultdict(list), defaultdict(list)
    for id_ in every:
        of_layer[id_.layer].append(id_)
        of_path[id_.path].append(id_)
    layers = [layer for layer, ids in of_layer.items() if layer is not None and gone.issuperset(ids)]
    rest = gone - {id_ for layer in layers for id_ in of_layer[layer]}
    if layers and not rest and len(layers) < len(of_layer):
        return f"{'layer' if len(layers) == 1 else 'layers'} {_spans(sorted(layers))}"
    paths = [path for path, ids in of_path.items() if gone.issuperset(ids)]
    if paths and len(gone) == sum(len(of_path[path]) for path in paths):
        return f"{some(paths)} in all layers"
    return f"{count(len(gone), 'module')} ({some(in_order(gone))})"


def _spans(numbers: Sequence[int]) -> str:
    """`3, 12-20`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(f"{span[0]}-{span[-1]}" if len(span) > 1 else f"{span[0]}" for span in spans)
