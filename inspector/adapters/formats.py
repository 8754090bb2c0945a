"""Which format a folder has: one reader per format, and the names of those not supported yet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from inspector.adapters import peft_reader
from inspector.adapters.model import Adapter
from inspector.errors import InspectorError
from inspector.text import plain


class Reader(Protocol):
    """What a format's module offers."""

    def recognise(self, folder: Path, names: set[str]) -> bool:
        """Whether a folder with these file names is of this format."""

    def read(self, folder: Path, name: str, source: str) -> Adapter:
        """The adapter of such a folder, from its headers; raises InspectorError."""


READERS: tuple[Reader, ...] = (peft_reader,)


def holds_adapter(folder: Path) -> bool:
    """Whether this folder itself, not a folder below it, holds an adapter of any known format."""
    try:
        names = file_names(folder)
    except InspectorError:
        return True  # reading it tells the error
    return any(reader.recognise(folder, names) for reader in READERS) or bool(unsupported_format(names))


def read_adapter(folder: Path, name: str, source: str) -> Adapter:
    """Read the folder with the reader that recognises it; raises InspectorError where none does."""
    names = file_names(folder)
    for reader in READERS:
        if reader.recognise(folder, names):
            return reader.read(folder, name, source)
    if other := unsupported_format(names):
        raise InspectorError(f"{plain(folder)} holds an adapter of a format that is not supported yet: {other}.")
    raise InspectorError(f"{plain(folder)} holds no adapter that could be recognised.")


def file_names(folder: Path) -> set[str]:
    """The names of the plain files in a folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError as error:
        raise InspectorError(f"Cannot read the folder {plain(folder)}: {error.strerror or error}.") from error


def unsupported_format(names: set[str]) -> str:
    """The name of a format that is recognised but has no reader yet, by its file names."""
    if any(name == "adapters.safetensors" or name.endswith("_adapters.safetensors") for name in names):
        return "mlx-lm"
    if names & {"adapters.npz", "adapter.npz"}:
        return "mlx-lm (.npz)"
    if names & {"pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin"}:
        return "diffusers"
    return ""
