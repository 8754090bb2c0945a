"""Files that are written complete or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.common.errors import InspectorError
from inspector.common.text import plain


def refuse_place(path: Path) -> None:
    """Raise InspectorError where no file can be made at this path, whatever is in it: said before the work."""
    if path.is_dir():
        raise InspectorError(f"Cannot write {plain(path)}: it is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise InspectorError(f"Cannot write {plain(path)}: there is no folder {plain(path.parent)}.")
    _refuse_closed(path, path.parent)


def refuse_folder(path: Path, option: str) -> None:
    """Raise InspectorError if no folder can be made at this path, or no file in the one there is."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise InspectorError(f"{plain(there)} is a file, and {option} must be a folder: name another one.")
    _refuse_closed(path, there)


def _refuse_closed(path: Path, folder: Path) -> None:
    """Raise InspectorError if no file can be made in the folder, found by making one: permissions tell not all."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = f"{plain(folder)} takes no new file ({error.strerror or error})"
        raise InspectorError(f"Cannot write {plain(path)}: {why}. Name another place.") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that becomes `path` only when the block succeeds."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InspectorError(f"Cannot write {path}: {error.strerror or error}.") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise InspectorError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
