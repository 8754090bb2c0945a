"""What was measured before, by content: the same base, adapters and prompts are never run twice. No torch."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.text import plain

Arrays = dict[str, NDArray[Any]]
_SUM = hashlib.sha256().digest_size


def cache_folder(kind: str) -> Path:
    """The folder of one kind of cached things; it may not exist yet."""
    return Path(user_cache_dir("adapter-inspector", appauthor=False)) / kind


class Cache:
    """Files that begin with the sha256 of what follows; one whose sum is wrong counts as missing.

    `note` hears of the first of them. A place that cannot be written is not an error: the same is computed again.
    """

    def __init__(self, note: Callable[[str], None] = lambda _text: None) -> None:
        self._note, self._told = note, False

    def load(self, kind: str, key: Mapping[str, Any]) -> Arrays | None:
        """The arrays stored under this key, or None."""
        data = self.read(_path(kind, key))
        if data is None:
            return None
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def store(self, kind: str, key: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays under this key."""
        data = io.BytesIO()
        np.savez(data, **arrays)  # type: ignore[arg-type]  # numpy's stub takes them for flags
        self.write(_path(kind, key), data.getvalue())

    def read(self, path: Path) -> bytes | None:
        """What `write` put into the file; None if it is missing or is not that any more."""
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data[_SUM:]).digest() == data[:_SUM]:
            return data[_SUM:]
        if not self._told:
            self._told = True
            where = "/".join(path.parts[-3:])
            self._note(
                f"a cached file does not match its checksum ({plain(where)}): it and others like it are made anew"
            )
        return None

    def write(self, path: Path, data: bytes) -> None:
        """The data behind its checksum, complete or not at all."""
        with suppress(OSError, InspectorError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_bytes(hashlib.sha256(data).digest() + data)


def mark(path: Path) -> tuple[int, int, int]:
    """(size, time of the content, time of any change, which no copying sets back): another one is another content."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _path(kind: str, key: Mapping[str, Any]) -> Path:
    name = hashlib.sha256(json.dumps(key, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return cache_folder(kind) / name[:2] / f"{name[2:32]}.npz"
