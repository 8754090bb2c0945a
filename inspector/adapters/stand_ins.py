"""Files that stand where an adapter's file should be: nothing, a Git LFS pointer, a web page."""

from __future__ import annotations

from pathlib import Path

from inspector.errors import InspectorError
from inspector.text import plain

_LFS = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype", b"<html", b"<?xml")


def refuse_stand_in(path: Path) -> None:
    """Raise InspectorError where the file is unreadable, empty, a Git LFS pointer or a web page."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise InspectorError(f"Cannot read {plain(path)}: {error.strerror or error}.") from error
    if not start:
        raise InspectorError(f"{plain(path)} is empty (0 bytes): save or download the adapter again.")
    if start.startswith(_LFS):
        raise InspectorError(f"{plain(path)} is a Git LFS pointer, not the file itself: run `git lfs pull` there.")
    if start.lstrip().lower().startswith(_PAGES):
        raise InspectorError(f"{plain(path)} is a web page, not an adapter file: download the file itself.")
