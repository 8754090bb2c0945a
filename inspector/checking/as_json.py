"""The checks as JSON, for scripts: every key is there in every answer, null where it was not measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from inspector.adapters.health.rules import base_note
from inspector.adapters.opening import Failure
from inspector.checking.checks import Checked
from inspector.checking.precision import Merged
from inspector.checking.together import Together
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId

VERSION = 1


def report(
    found: Sequence[Checked], side_by_side: Together | None, failures: Sequence[Failure], *, base: str, tensors: bool
) -> dict[str, Any]:
    """Everything; `tensors` lists each with its class."""
    return {
        "version": VERSION,
        "base": base or None,
        "adapters": [_adapter(one, tensors=tensors) for one in found],
        "together": None if side_by_side is None else _together(side_by_side),
        "failures": [{"source": f.source, "message": f.message, "skipped": f.skipped} for f in failures],
    }


def _adapter(one: Checked, *, tensors: bool) -> dict[str, Any]:
    info, health = one.adapter.info, one.values
    scales = Counter((m.scale.value, m.scale.origin) for m in one.adapter.modules.values())
    listed = {
        "tensor_list": [
            {"key": t.key, "shape": t.shape, "dtype": t.dtype, "class": t.role, "reason": t.reason or None}
            for t in one.adapter.tensors
        ]
    }
    return {
        "name": info.name,
        "source": info.source,
        "holds": one.holds,
        "format": info.format,
        "base": info.base or None,
        "base_note": base_note(info.base) or None,
        "dtype": info.dtype,
        "parameters": info.parameters,
        "modules": info.modules,
        "ranks": info.ranks,
        "targets": info.targets,
        "tensors": {
            "total": info.tensors,
            "used": info.tensors - info.ignored - info.unknown,
            "ignored": info.ignored,
            "unknown": info.unknown,
        },
        **(listed if tensors else {}),
        "scales": [{"scale": _number(s), "origin": origin, "modules": n} for (s, origin), n in scales.most_common()],
        "norm": _number(one.number("norm")),
        "effective_rank": _number(one.number("effective_rank")),
        "energy_left_out": _number(one.number("energy_left_out")),
        "excluded": _ids(info.excluded),
        "dead": None if health is None else _ids(health.dead),
        "nonfinite": None if health is None else _ids(health.nonfinite),
        "outliers": None if health is None else {str(id_): _number(x) for id_, x in health.outliers.items()},
        "one_direction": None if health is None else _ids(health.collapsed),
        "not_in_base": None if one.fit is None else _ids(one.fit.missing),
        "other_shape_in_base": None if one.fit is None else {str(i): s for i, s in one.fit.misshapen.items()},
        "not_in_file": None if one.fit is None else _ids(one.fit.absent),
        "quantised_in_base": None if one.fit is None else _ids(one.fit.quantised),
        "bf16_merge": None if one.precision is None else _merge(one),
        "findings": _findings(one.findings),
    }


def _merge(one: Checked) -> dict[str, Any] | None:
    if one.precision is None or not one.precision.modules:
        return None
    modules = {str(id_): _merged(found) for id_, found in one.precision.modules.items()}
    return _merged(one.precision.whole) | {"modules": modules}


def _merged(found: Merged) -> dict[str, float | None]:
    names = ("cosine", "energy_lost", "norm_ratio")
    return {name: _number(getattr(found, name)) for name in names}


def _together(found: Together) -> dict[str, Any]:
    return {
        "bases": [{"base": base or None, "adapters": names} for base, names in found.bases.items()],
        "families": [{"adapters": f, "example": e} for f, e in zip(found.families, found.examples, strict=True)],
        "modules": found.modules,
        "common_modules": found.common,
        "other_shapes": _ids(found.misshapen),
        "aliases": found.aliases,
        "cut": found.cut,
        "findings": _findings(found.findings()),
    }


def _findings(found: Iterable[HealthIssue]) -> list[dict[str, str]]:
    return [{"severity": finding.severity, "text": finding.text} for finding in found]


def _ids(ids: Iterable[ModuleId]) -> list[str]:
    return [str(id_) for id_ in ids]


def _number(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
