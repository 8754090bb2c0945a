"""JSON from anyone as dataclasses: every field of the type it is declared with, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from math import isfinite
from typing import Any, Literal, get_args, get_origin, get_type_hints

_LARGEST = 2**53
"""Integers beyond are not counts, and no JSON reader agrees on them."""


def typed(kind: Any, value: object) -> Any:
    """The value as `kind`: str, int, float, None, a union, Literal, tuple[X, …], dict, a dataclass or a NamedTuple.

    Numbers are finite. Raises ValueError for any other value, and for a field the kind does not have.
    """
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(typed(get_args(kind)[0], item) for item in value)
    literal = get_origin(kind) is Literal and isinstance(value, str) and value in get_args(kind)
    if literal or ((get_origin(kind) or kind) is dict and isinstance(value, dict)):
        return value
    if get_origin(kind) is None and _is_plain(kind, value):
        return float(value) if kind is float and isinstance(value, int) else value
    if is_dataclass(kind) and isinstance(value, Mapping):
        return _built(kind, value)
    if hasattr(kind, "_fields") and isinstance(value, list | tuple) and len(value) == len(kind._fields):
        return _built(kind, dict(zip(kind._fields, value, strict=True)))
    for one in get_args(kind) if get_origin(kind) not in {tuple, Literal, dict} else ():
        if _is_plain(one, value):
            return typed(one, value)
    raise ValueError(f"{value!r:.60} is no {getattr(kind, '__name__', kind)}")


def _is_plain(kind: Any, value: object) -> bool:
    """Whether a value is text, nothing, or a finite number of this kind."""
    if isinstance(value, bool) or kind not in {str, int, float, type(None)}:
        return False
    if isinstance(value, int | float) and kind is not str:
        return (kind is float or isinstance(value, int)) and abs(value) <= _LARGEST and isfinite(value)
    return isinstance(value, kind)


def _built(kind: Any, fields: Mapping[str, object]) -> Any:
    hints = get_type_hints(kind)
    if unknown := fields.keys() - hints.keys():
        raise ValueError(f"{min(unknown)!r:.60} is not a field of it")
    return kind(**{name: typed(hints[name], value) for name, value in fields.items()})
