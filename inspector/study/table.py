"""A study as a tidy table, one number a row, and back: the contract of every export."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from inspector.common.arrays import Floats
from inspector.common.columns import Coded, Codes, coded
from inspector.study.aggregate import fill_diagonals
from inspector.study.metrics import DEFINITIONS, Definition
from inspector.study.study import SCOPES, Scope, Study

COLUMNS = ("metric", "a", "b", "scope", "layer", "module", "k", "value")
NUMBERS = ("k", "value")
"""The columns whose rows hold as many values as there are numbers; the others are words of a few."""

_ROOM, _SPARSEST = 2 * 10**7, 200
"""How many numbers blocks may have for any table, and for each row of it."""


class Row(NamedTuple):
    """One number. `b` is empty for one-adapter metrics, `a` too for levels of no adapter; `k` is 1-based, or α."""

    metric: str
    a: str
    b: str
    scope: Scope
    layer: int | None
    module: str
    k: float | None
    value: float | None


def rows(study: Study, metrics: Sequence[str] = (), scopes: Sequence[Scope] = SCOPES) -> Iterator[Row]:
    """Every number of the study (of these metrics and scopes), a symmetric pair once, n/a and infinite as None."""
    for metric, definition in DEFINITIONS.items():
        if metrics and metric not in metrics:
            continue
        for scope in (scope for scope in SCOPES if scope in scopes):
            values = study.block(metric, scope)
            if values is None:
                continue
            for a, b, at in subjects(study, definition.subject):
                known = _measurable(study, scope, at)
                for place, module in enumerate(study.places(scope)):
                    if known[place] or definition.probe:
                        for k, value in _numbers(study, values[(*at, place)], definition):
                            yield Row(metric, a, b, scope, module.layer, module.path, k, value)


def _numbers(study: Study, values: Floats, definition: Definition) -> Iterator[tuple[float | None, float | None]]:
    """(k, value) of one place: up to the last known k, or the one value, n/a as None.

    What a probe was not asked for has no row.
    """
    if definition.probe and np.isnan(values).all():
        return
    if definition.index == "alpha":
        yield from ((a, _finite(v)) for a, v in zip(study.alphas, values.tolist(), strict=True) if not np.isnan(v))
        return
    if not definition.indexed:
        yield None, _finite(float(values))
        return
    known = np.flatnonzero(~np.isnan(values))
    count = int(known[-1]) + 1 if known.size else 0
    for k, value in enumerate(values[:count].tolist(), 1):
        yield k, _finite(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def subjects(study: Study, subject: str) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """The names and the leading indices of a metric's numbers."""
    names = study.names
    if subject == "none":
        yield "", "", ()
    elif subject == "adapter":
        for i, a in enumerate(names):
            yield a, "", (i,)
    else:
        for i, a in enumerate(names):
            for j, b in enumerate(names):
                if i < j or (subject == "ordered" and i != j):
                    yield a, b, (i, j)


def needs_pair(study: Study, metric: str) -> bool:
    """Whether a metric is of two adapters and the study of one."""
    return not any(subjects(study, DEFINITIONS[metric].subject))


def _measurable(study: Study, scope: Scope, at: tuple[int, ...]) -> Sequence[bool]:
    """Per place: whether any adapter of the subject adapts it. Elsewhere there is no row at all."""
    here: list[bool] = np.any(study.present[list(at)] if at else study.present, axis=0).tolist()
    if scope == "module":
        return here
    if scope == "global":
        return [any(here)]
    of_layer = {module.layer for module, has in zip(study.modules, here, strict=True) if has}
    return [layer in of_layer for layer in study.layers]


def blocks(study: Study, words: Mapping[str, Coded], ks: Floats, values: Floats) -> dict[tuple[str, Scope], Floats]:
    """The study's blocks from the columns of its table, k NaN where there is none; `study` says which adapters.

    Raises KeyError or ValueError where a row names a metric, adapter or place that is not there.
    """
    if {ks.shape, values.shape, *(column.codes.shape for column in words.values())} != {(len(values),)}:
        raise ValueError("columns of different lengths")
    codes = {name: i for i, name in enumerate(study.names)} | {"": -1}
    a, b = words["a"].through(codes), words["b"].through(codes)
    k = _counted(study, words["metric"], ks)
    blocks_, places = words["metric"].beside(words["scope"]), words["layer"].beside(words["module"])
    depth: dict[str, int] = {}
    for code, (metric, _) in enumerate(blocks_.words):
        depth[metric] = max(depth.get(metric, 1), int(k[blocks_.codes == code].max()))
    out: dict[tuple[str, Scope], Floats] = {}
    room = _ROOM + _SPARSEST * len(values)
    for code, (metric, scope) in enumerate(blocks_.words):
        if scope not in SCOPES:
            raise ValueError(f"no scope {scope!r:.40}")
        chosen = np.flatnonzero(blocks_.codes == code)
        place_at = {(m.layer, m.path): p for p, m in enumerate(study.places(scope))}
        place = Coded(places.words, places.codes[chosen]).through(place_at)
        if DEFINITIONS[metric].indexed and not k[chosen].all():
            raise ValueError(f"{metric} needs k")
        last = len(study.alphas) if DEFINITIONS[metric].index == "alpha" else depth[metric]
        shape = _shape(DEFINITIONS[metric], len(study.names), len(place_at), last)
        room -= math.prod(shape)
        if room < 0:
            raise ValueError("it would unfold into far more numbers than it has rows")
        rows_ = a[chosen], b[chosen], place, k[chosen] - 1, values[chosen]
        out[metric, scope] = _filled(DEFINITIONS[metric], shape, rows_)
    fill_diagonals(out)
    return out


def _counted(study: Study, metrics: Coded, ks: Floats) -> Codes:
    """Each row's k, from 1; of a curve the number of its α; 0 where there is none."""
    given = np.where(np.isnan(ks), 0, ks)
    curves = [code for code, metric in enumerate(metrics.words) if DEFINITIONS[metric].index == "alpha"]
    on_curve = np.isin(metrics.codes, curves) & ~np.isnan(ks)
    if on_curve.any():
        given[on_curve] = coded(ks[on_curve].tolist()).through({alpha: at for at, alpha in enumerate(study.alphas, 1)})
    k = given.astype(np.intp)
    if (k != given).any() or (k < 0).any():
        raise ValueError("k counts from 1")
    return k


def _shape(definition: Definition, n: int, places: int, depth: int) -> tuple[int, ...]:
    leading = {"adapter": (n,), "none": ()}.get(definition.subject, (n, n))
    return (*leading, places, *((depth,) if definition.indexed else ()))


def _filled(definition: Definition, shape: tuple[int, ...], rows: tuple[Any, Any, Any, Any, Floats]) -> Floats:
    """One dense block from the index columns (a, b, place, k) and the values of its rows."""
    a, b, place, k, values = rows
    block = np.full(shape, np.nan)
    tail = (place, k) if definition.indexed else (place,)
    if definition.subject == "none":
        block[tail] = values
    elif definition.subject == "adapter":
        block[(a, *tail)] = values
    else:
        block[(a, b, *tail)] = values
        if definition.subject == "pair":
            block[(b, a, *tail)] = values
    return block
