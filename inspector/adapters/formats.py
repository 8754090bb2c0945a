"""Which format a folder or a file has, found by what it holds: one reader per format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from inspector.adapters import full_reader, peft_reader
from inspector.adapters.given import NOTHING, Given
from inspector.adapters.listing import Folder
from inspector.adapters.model import Adapter
from inspector.errors import InspectorError
from inspector.text import plain


class Reader(Protocol):
    """What a format's module offers."""

    def places(self, folder: Folder) -> list[Path]:
        """The adapters of this format in a folder, without those below it: the folder itself, or files of it."""

    def read(self, path: Path, name: str, source: str, given: Given) -> Adapter:
        """The adapter at such a place, from its headers; raises InspectorError."""


READERS: tuple[Reader, ...] = (peft_reader, full_reader)
"""The first that finds the folder, or a file, has it."""


def places(folder: Folder) -> Iterator[tuple[Path, Reader | None]]:
    """The adapters of a folder, with their reader; one of a format without a reader with None."""
    taken: set[Path] = set()
    for reader in READERS:
        for path in reader.places(folder):
            if path not in taken and folder.path not in taken:
                taken.add(path)
                yield path, reader
    if not taken and unsupported_format(folder.names):
        yield folder.path, None


def read_adapter(path: Path, name: str, source: str, given: Given = NOTHING) -> Adapter:
    """Read the folder or file with its reader; raises InspectorError where none does."""
    folder = Folder(path.parent if path.is_file() else path)
    for found, reader in places(folder):
        if found == path and reader is not None:
            return reader.read(path, name, source, given)
    if other := unsupported_format(folder.names):
        raise InspectorError(f"{plain(path)} holds an adapter of a format that is not supported yet: {other}.")
    raise InspectorError(f"{plain(path)} holds no adapter that could be recognised.")


def unsupported_format(names: set[str]) -> str:
    """The name of a format that is recognised but has no reader yet, by its file names."""
    if any(name == "adapters.safetensors" or name.endswith("_adapters.safetensors") for name in names):
        return "mlx-lm"
    if names & {"adapters.npz", "adapter.npz"}:
        return "mlx-lm (.npz)"
    if names & {"pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin"}:
        return "diffusers"
    return ""
