"""What was measured before, by content: the same base, adapters and prompts are never run twice. No torch."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_dir

Arrays = dict[str, NDArray[Any]]


def cache_folder(kind: str) -> Path:
    """The folder of one kind of cached things; it may not exist yet."""
    return Path(user_cache_dir("adapter-inspector", appauthor=False)) / kind


def load(kind: str, key: Mapping[str, Any]) -> Arrays | None:
    """The arrays stored under this key, or None; a damaged file counts as missing."""
    try:
        with np.load(_path(kind, key), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, io.UnsupportedOperation, BadZipFile):
        return None


def store(kind: str, key: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep arrays under this key. A place that cannot be written is no error: they are measured again."""
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]  # numpy's stub takes them for flags
    write_whole(_path(kind, key), data.getvalue())


def write_whole(path: Path, data: bytes) -> bool:
    """The file complete or not at all; whether it could be written."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        return False
    return True


def _path(kind: str, key: Mapping[str, Any]) -> Path:
    name = hashlib.sha256(json.dumps(key, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return cache_folder(kind) / name[:2] / f"{name[2:32]}.npz"
