"""The fields of a row as their types; what is wrong with one is a RowError. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from inspector.common.text import plain

Message = dict[str, str]
"""`role` and `content`."""
_REASONING = ("reasoning", "reasoning_content")


class RowError(ValueError):
    """What is wrong with one row; who reads the file adds which file and row."""


def messages(value: Any, name: str, role: str) -> tuple[Message, ...]:
    """Text as one message of this role; messages as they are, their role and content alone."""
    if isinstance(value, str):
        return ({"role": role, "content": value},)
    if not isinstance(value, list) or not value:
        raise RowError(f"{name} is neither text nor a list of messages")
    found = []
    for message in value:
        ok = isinstance(message, dict) and all(isinstance(message.get(key), str) for key in ("role", "content"))
        if not ok:
            raise RowError(f"a message of the {name} has no role and content")
        found.append({"role": message["role"], "content": message["content"]})
    return tuple(found)


def answer(value: Any) -> tuple[Message, ...]:
    """The completion: one message of the assistant."""
    found = messages(value, "completion", "assistant")
    if len(found) != 1 or found[0]["role"] != "assistant":
        raise RowError("the completion is not one message of the assistant")
    return found


def reasoning(row: Mapping[str, Any], completion: Any) -> str:
    """What stands under a name of `_REASONING` in a row, or else in the completion's message; empty without one."""
    last = completion[-1] if isinstance(completion, list) and completion else {}
    both = (row, last) if isinstance(last, Mapping) else (row,)
    found = next((place[name] for place in both for name in _REASONING if place.get(name)), "")
    if not isinstance(found, str):
        raise RowError(f"reasoning is no text ({plain(found, 40)!r})")
    return found


def integer(row: Mapping[str, Any], name: str) -> int:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise RowError(f"{name} is no whole number ({plain(value, 40)!r})")
    return value


def number(row: Mapping[str, Any], name: str) -> float:
    """Finite; a weight is not negative, and not true or false as a reward may be."""
    value, weight = row[name], name == "weight"
    if not isinstance(value, int | float) or not math.isfinite(value) or (weight and isinstance(value, bool)):
        raise RowError(f"{name} is no finite number ({plain(value, 40)!r})")
    if weight and value < 0:
        raise RowError(f"weight is {value:g}: it must be 0 or more")
    return float(value)


def words(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise RowError(f"{name} is no text ({plain(value, 40)!r})")
    return value
