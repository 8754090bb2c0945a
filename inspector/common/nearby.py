"""What is here under a name like one that is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from inspector.common.text import first

_MOST_ENTRIES = 10_000
_LIKE, _LEAST = 0.8, 0.65
"""Ratios of difflib: from the first on several names are shown, from the second on the likest alone."""


def nearby(text: str) -> str:
    """` (near: runs/sft)`: paths like a missing one, from the first part of it that is missing; else nothing."""
    path = _path(text)
    missing, parent = path, path.parent
    while not _holds(parent.is_dir) and parent != parent.parent:
        missing, parent = parent, parent.parent
    rest = path.relative_to(missing)
    name, names = missing.name.casefold(), _entries(parent)
    found = get_close_matches(name, names, cutoff=_LIKE) or get_close_matches(name, names, 1, _LEAST)
    near = [parent / name for one in found for name in names[one]]
    whole = [one / rest for one in near if _holds((one / rest).exists)]
    return f" (near: {first(whole or near)})" if near else ""


def in_a_folder(text: str) -> bool:
    """Whether the folder that a path would be in is here."""
    return _holds(_path(text).parent.is_dir)


def _holds(question: Callable[[], bool]) -> bool:
    """The answer; False for a path that cannot be."""
    try:
        return question()
    except (OSError, ValueError):  # a name too long, a NUL
        return False


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # an unknown ~user
        return Path(text)


def _entries(folder: Path) -> dict[str, list[str]]:
    """The names in a folder, by themselves in lower case."""
    found: dict[str, list[str]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, _MOST_ENTRIES):
                found.setdefault(entry.name.casefold(), []).append(entry.name)
    except (OSError, ValueError):
        return {}
    return found
