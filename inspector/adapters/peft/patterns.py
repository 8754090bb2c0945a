"""`rank_pattern` and `alpha_pattern`: which entries hit a module, in PEFT's order, in bounded time."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from math import prod
from typing import Any

PLAIN = re.compile(r"[\w.\-]+")
"""A key that is a dotted name as it stands."""
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_REPEATS = re.compile(r"\{(\d*),?(\d*)\}")
_LONGEST = 1000
_LARGEST_REPEAT = 10_000
_ONE_MATCH, _ALL_MATCHES = 0.1, 2.0
_MOST_REGEXES = 500
"""Compiling one takes a millisecond."""


class Patterns:
    r"""One pattern table. A key hits a path by `(.*\.)?(KEY)$` [peft.utils.other.get_pattern_key].

    Keys come from a file anyone may have written. Plain dotted names, nearly all there are, and escaped ones are looked
    up; real regexes run under `regex`'s timeout, and one that is too long, too large or too slow is dropped.
    """

    def __init__(self, table: Mapping[str, float]) -> None:
        self.dropped: list[str] = []
        self._used: set[int] = set()
        self._regexes = 0
        self._values = list(table.items())
        self._names: dict[tuple[bool, str], list[int]] = {}
        self._compiled: dict[int, Any] = {}
        for i, key in enumerate(table):
            if (name := _name(key)) is not None:
                self._names.setdefault(name, []).append(i)
            elif compiled := self._compile(key):
                self._compiled[i] = compiled
        self._left = _ALL_MATCHES

    def hits(self, path: str) -> list[tuple[str, float]]:
        """All (key, value) that hit this module path, in file order: PEFT takes the first."""
        if not self._values:
            return []
        found, end = set(self._names.get((True, path), ())), path
        while end:
            found.update(self._names.get((False, end), ()))
            end = end.partition(".")[2]
        found |= {i for i in list(self._compiled) if self._match(i, path)}
        self._used |= found
        return [self._values[i] for i in sorted(found)]

    def idle(self) -> list[str]:
        """The keys that hit none of the paths asked for so far, those dropped excepted."""
        dropped = set(self.dropped)
        keys = (key for i, (key, _) in enumerate(self._values) if i not in self._used)
        return [key for key in keys if key not in dropped]

    def _compile(self, key: str) -> Any:
        # `regex` unrolls counted repeats: (((x{999}){999}){999}) would take all memory.
        unrolled = prod(max(1, int(n[:6] or 1)) for pair in _REPEATS.findall(key[:_LONGEST]) for n in pair)
        self._regexes += 1
        if len(key) > _LONGEST or unrolled > _LARGEST_REPEAT or self._regexes > _MOST_REGEXES:
            self.dropped.append(key)
            return None
        import regex  # type: ignore[import-untyped]

        try:
            return regex.compile(rf"(.*\.)?({key})$")
        except (regex.error, RecursionError, OverflowError):
            self.dropped.append(key)
            return None

    def _match(self, i: int, path: str) -> bool:
        started = time.monotonic()
        try:
            if self._left <= 0:
                raise TimeoutError  # noqa: TRY301 - as if it had taken all that was left
            return bool(self._compiled[i].match(path, timeout=min(_ONE_MATCH, self._left)))
        except TimeoutError:
            del self._compiled[i]
            self.dropped.append(self._values[i][0])
            return False
        finally:
            self._left -= time.monotonic() - started


def _name(key: str) -> tuple[bool, str] | None:
    """Whether a key is tied to the start, and the name that it is or escapes; None of a real regex."""
    rest = key.removeprefix("^")
    name = _ESCAPED.sub(r"\1", rest)
    return (rest != key, name) if PLAIN.fullmatch(rest) or (rest and rest == re.escape(name)) else None
