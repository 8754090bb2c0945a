"""What a path may lead to that is neither a file nor a folder: opening one may wait for ever."""

from __future__ import annotations

import stat
from pathlib import Path

from inspector.common.errors import InspectorError
from inspector.common.text import plain

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def special(path: Path) -> str:
    """What a path leads to if that is neither a file nor a folder, and what to do; empty also if nothing is there.

    Raises InspectorError where it may not be looked at.
    """
    link = False
    try:
        mode = path.lstat().st_mode
        link = stat.S_ISLNK(mode)
        mode = path.stat().st_mode if link else mode
    except PermissionError as error:
        raise InspectorError(f"Cannot look at {plain(path, 400)}: permission denied.") from error
    except (OSError, RuntimeError, ValueError):  # nothing, a link in a circle, a name too long, a NUL
        return (
            f"a link that leads nowhere (to {plain(path.readlink(), 400)}): copy or download it again" if link else ""
        )
    found = next((what for is_kind, what in _KINDS if is_kind(mode)), "")
    way_out = "which is not read: write what comes out of it to a file and name that"
    return f"neither a file nor a folder but {found}, {way_out}" if found else ""


def refuse_special(path: Path) -> None:
    """Raise InspectorError for a link to nothing, a pipe, a socket or a device."""
    if what := special(path):
        raise InspectorError(f"{plain(path, 400)} is {what}.")
