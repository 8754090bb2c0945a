"""Values of a recipe as their fields' types, whether from YAML or from the command line. No torch."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.text import plain


def typed(types: Mapping[str, str], key: str, value: Any, where: str) -> Any:
    """The value as the type of the field `key` (`types`: name -> annotation); YAML takes `5e-6` for text.

    Raises InspectorError: with the nearest key for an unknown one, with what the field takes for a wrong value.
    """
    if key not in types:
        close = difflib.get_close_matches(key, types, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]}?" if close else f" There are {', '.join(types)}."
        raise InspectorError(f"{plain(where)}: no setting {plain(key)!r}.{hint}")
    try:
        return _READERS[types[key]](value)
    except (TypeError, ValueError, KeyError) as error:
        kind = {"int": "a whole number", "bool": "true or false", "str": "text",
                "int | None": "true, false, auto or a whole number"}.get(types[key], "a number")  # fmt: skip
        kind = "a list of names" if key == "targets" else kind
        raise InspectorError(f"{plain(where)}: {key} must be {kind}, not {plain(value, 60)!r}.") from error


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError
    return int(value)


def _real(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise TypeError
    return number


def _real_or_none(value: Any) -> float | None:
    return None if value in {None, "null"} else _real(value)


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]


def _interval(value: Any) -> int | None:
    """true and false are every block and none, as in recipes before there were intervals."""
    if value in {None, "null", "auto"}:
        return None
    try:
        return int(_flag(value))
    except KeyError:
        return _whole(value)


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TypeError
    return str(value)


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [word.strip() for word in value.strip("[] ").split(",") if word.strip()]
    if not isinstance(value, Sequence) or not all(isinstance(word, str) for word in value):
        raise TypeError
    return tuple(sorted(set(value)))


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": _whole, "float": _real, "bool": _flag, "str": _text, "tuple[str, ...]": _names,
    "float | None": _real_or_none, "int | None": _interval,
}  # fmt: skip
