"""A folder as the readers look at it: its plain files, and what their headers hold, each read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from inspector.adapters.files.headers import TensorHeader, read_headers
from inspector.adapters.files.placeholders import SUFFIXES, is_kind
from inspector.adapters.files.weights import has_weights
from inspector.common.errors import InspectorError
from inspector.common.text import plain


class Folder:
    """The plain files of a folder, or one of them. Raises InspectorError where it cannot be read."""

    def __init__(self, path: Path, only: str = "") -> None:
        self.path, self.only = path, only
        self._headers: dict[str, Mapping[str, TensorHeader]] = {}
        self._damaged: set[str] = set()
        try:
            with os.scandir(path) as entries:
                self.names = {e.name for e in entries if (not only or e.name == only) and _is_file(e)}
        except OSError as error:
            raise InspectorError(f"Cannot read the folder {plain(path)}: {error.strerror or error}.") from error

    def files(self, *suffixes: str) -> list[str]:
        """The names that may be single-file adapters, by their suffix; none in a folder that is one PEFT adapter.

        A safetensors file under a pickle's name is one of `.safetensors`.
        """
        if has_weights(self.names):
            return []
        return sorted(name for name in self.names if self._suffix(name).endswith(suffixes))

    def _suffix(self, name: str) -> str:
        pickle = name.lower().endswith(SUFFIXES["pickle"])
        return ".safetensors" if pickle and is_kind(self.path / name, "safetensors") else name.lower()

    def headers(self, name: str) -> Mapping[str, TensorHeader]:
        """The headers of a safetensors file here; none where it is damaged, which only reading it shall tell."""
        if name not in self._headers:
            try:
                self._headers[name] = read_headers(self.path / name)
            except InspectorError:
                self._headers[name] = {}
                self._damaged.add(name)
        return self._headers[name]

    def damaged(self, name: str) -> bool:
        """Whether the headers of a safetensors file here cannot be read."""
        self.headers(name)
        return name in self._damaged


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False  # a link to itself
