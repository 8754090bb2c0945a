"""What a path may lead to that is neither a file nor a folder: opening one may wait for ever."""

from __future__ import annotations

import stat
from pathlib import Path

from inspector.errors import InspectorError
from inspector.text import plain

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def refuse_special(path: Path) -> None:
    """Raise InspectorError for a link to nothing, a pipe, a socket or a device; what is not there at all is let be."""
    link = False
    try:
        mode = path.lstat().st_mode
        link = stat.S_ISLNK(mode)
        mode = path.stat().st_mode if link else mode
    except PermissionError as error:
        raise InspectorError(f"Cannot look at {plain(path, 400)}: permission denied.") from error
    except (OSError, RuntimeError, ValueError) as error:  # nothing, a link in a circle, a name too long, a NUL
        if not link:
            return
        what = f"{plain(path, 400)} is a link that leads nowhere (to {plain(path.readlink(), 400)})"
        raise InspectorError(f"{what}: copy or download it again.") from error
    for is_kind, what in _KINDS:
        if is_kind(mode):
            raise InspectorError(
                f"{plain(path, 400)} is neither a file nor a folder but {what}, which is not read: write what comes "
                "out of it to a file and name that."
            )
