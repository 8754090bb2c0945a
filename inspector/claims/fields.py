"""Reading a YAML mapping field by field: every fault is said with the file, the claim and the field."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

from inspector.common.errors import InspectorError
from inspector.common.text import plain

Choice = TypeVar("Choice", bound=str)
Found = TypeVar("Found")
_LONGEST = 10_000
_SHOWN = 20


class FaultError(InspectorError):
    """What is wrong with one field."""


class Faults(list[str]):
    """What is wrong with a file, a sentence each."""

    def tried(self, read: Callable[[], Found]) -> Found | None:
        """What `read` finds; None if it is at fault, which is noted."""
        try:
            return read()
        except FaultError as fault:
            self.append(str(fault))
            return None

    def refuse(self, file: str) -> None:
        """Raise InspectorError with all of them, the first twenty in words."""
        if len(self) == 1:
            raise InspectorError(self[0])
        if self:
            lines = [fault.removeprefix(file).lstrip(":, ") for fault in self[:_SHOWN]]
            more = [f"… and {len(self) - _SHOWN} more"] if len(self) > _SHOWN else []
            raise InspectorError("\n  ".join([f"{file} has {len(self)} faults:", *lines, *more]))


class Fields:
    """The fields of one mapping; `where` stands before every complaint, `faults` takes those that end nothing."""

    def __init__(self, found: Any, where: str, known: Sequence[str], faults: Faults) -> None:
        self.where, self.faults = where, faults
        if not isinstance(found, dict):
            self.refuse("", f"must be fields ({', '.join(known[:3])}, …), not {_kind(found)}")
        self._found: dict[Any, Any] = found
        for name in found:
            if name not in known:
                self.note("", f"no field {_quoted(name)} is known.{hint(name, known)}")

    def note(self, field: str, complaint: str) -> None:
        """A fault that leaves the rest readable."""
        self.faults.append(self._said(field, complaint))

    def refuse(self, field: str, complaint: str) -> NoReturn:
        """Raise FaultError: `set.yaml: claim cos-dpo, relation: …`."""
        raise FaultError(self._said(field, complaint))

    def _said(self, field: str, complaint: str) -> str:
        place = ", ".join(part for part in (self.where, field) if part)
        return f"{place}: {complaint.rstrip('.?')}{'?' if complaint.endswith('?') else '.'}"

    def __contains__(self, field: str) -> bool:
        return self._found.get(field) is not None

    def raw(self, field: str) -> Any:
        """What stands there, unchecked; None where nothing does."""
        return self._found.get(field)

    def text(self, field: str, default: str | None = None) -> str:
        """One text; required without a default."""
        if field not in self:
            if default is None:
                self.refuse(field, "is missing")
            return default
        return self.word(field, self._found[field])

    def word(self, field: str, found: Any) -> str:
        """A text that stands in a field, or in its list."""
        if not isinstance(found, str) or not found.strip():
            self.refuse(field, f"must be text, not {_kind(found)}: put quotes around it")
        return plain(" ".join(found.split()), 2000)

    def items(self, field: str) -> list[Any]:
        """A list, or its one element written without brackets."""
        found = self._found.get(field)
        if found is None:
            return []
        if not isinstance(found, list):
            return [found]
        if not found or len(found) > _LONGEST:
            self.refuse(field, "must hold something" if not found else f"holds more than {_LONGEST} entries")
        return found

    def words(self, field: str) -> tuple[str, ...]:
        return tuple(self.word(field, found) for found in self.items(field))

    def numbers(self, field: str) -> tuple[float, ...]:
        return tuple(self.number(field, found) for found in self.items(field))

    def number(self, field: str, found: Any) -> float:
        """A finite number; YAML takes `1e-9` for text, here it is a number."""
        try:
            value = math.nan if isinstance(found, bool) else float(found)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            self.refuse(field, f"must be a number, not {_quoted(found)}")
        return value

    def yes(self, field: str, *, default: bool = False) -> bool:
        """yes or no."""
        found = self._found.get(field, default)
        if found is not None and not isinstance(found, bool):
            self.refuse(field, f"must be yes or no, not {_quoted(found)}")
        return bool(found)

    def whole(self, field: str, default: int, least: int) -> int:
        """A whole number from `least` on."""
        return self.wholes(field, least)[0] if field in self else default

    def wholes(self, field: str, least: int) -> tuple[int, ...]:
        """Whole numbers from `least` on."""
        found = self.items(field)
        for number in found:
            if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= _LONGEST:
                self.refuse(field, f"must be a whole number from {least} on, not {_quoted(number)}")
        return tuple(found)

    def choice(self, field: str, choices: Sequence[Choice], default: Choice | None = None) -> Choice:
        """One of several words."""
        given = self.text(field, default)
        found = next((choice for choice in choices if choice == given), None)
        if found is None:
            self.refuse(field, f"{_quoted(given)} is none of {', '.join(choices)}.{hint(given, choices)}")
        return found


def hint(given: Any, known: Iterable[str]) -> str:
    """` Did you mean cosine?`, or nothing."""
    close = difflib.get_close_matches(str(given)[:200], list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _quoted(found: Any) -> str:
    return repr(plain(found, 60)) if isinstance(found, str | int | float) else _kind(found)


def _kind(found: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "yes/no", type(None): "nothing"}
    return names.get(type(found), f"the {type(found).__name__} {plain(found, 40)}")
