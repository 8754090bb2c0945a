"""JSON that others wrote, within limits of size and depth, its fields by type; what is wrong is a ForeignError."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from typing import Any

from inspector.common.text import plain
from inspector.common.validate import typed

LARGEST = 64 * 2**20
"""Bytes of one JSON value."""
_DEEPEST = 100
_DIGITS = 300
"""Longer integers have no float64."""
_NEEDED: Any = object()


class ForeignError(ValueError):
    """The text says what is wrong: `no JSON (Expecting value at column 12)`."""


def parse_json(data: bytes | str, odd: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text. `odd` reads NaN, Infinity, 1e999 and what is as large; without it they are refused.

    Raises ForeignError.
    """

    def refused(text: str) -> Any:
        raise ForeignError(f"no JSON ({plain(text, 20)} is not a finite number)")

    other = odd or refused

    def decimal(text: str) -> Any:
        return value if isfinite(value := float(text)) else other(text)

    def whole(text: str) -> Any:
        return int(text) if len(text) <= _DIGITS else other(text)

    if len(data) > LARGEST:
        raise ForeignError(f"no JSON of at most {LARGEST // 2**20} MB")
    try:
        found = json.loads(data, parse_float=decimal, parse_int=whole, parse_constant=other)
    except RecursionError as error:
        raise ForeignError("no JSON (nested too deeply)") from error
    except ForeignError:
        raise
    except UnicodeDecodeError as error:
        raise ForeignError("no UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ForeignError(f"no JSON ({error.msg} at column {error.colno})") from error
    if _too_deep(found):
        raise ForeignError("no JSON (nested too deeply)")
    return found


def field(value: object, kind: Any, *path: str | int, default: Any = _NEEDED) -> Any:
    """What is at `path` in a JSON value, as `typed` reads `kind`; `default` if it, or what leads there, is null.

    What is missing is null. Raises ForeignError for a value of another type, and for null without a default.
    """
    name = ".".join(map(str, path))
    for key in path:
        if value is None:
            break
        if isinstance(key, str) and isinstance(value, dict):
            value = value.get(key)
        elif isinstance(key, int) and isinstance(value, list):
            value = value[key] if key < len(value) else None
        else:
            raise ForeignError(f"{name} is not there")
    if value is None and default is not _NEEDED:
        return default
    try:
        return typed(kind, value)
    except ValueError as error:
        raise ForeignError(f"{name} is {plain(json.dumps(value), 40)}") from error


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True
