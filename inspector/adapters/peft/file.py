"""PEFT's tensors in a single file under any name: a config beside it or its header says the scale, or nothing does."""

from __future__ import annotations

from pathlib import Path

from inspector.adapters.given import Given
from inspector.adapters.listing import Folder
from inspector.adapters.model import Adapter
from inspector.adapters.peft.folder import read as read_folder
from inspector.adapters.peft.tensors import EMBEDDING_A
from inspector.adapters.slots import is_factor


def places(folder: Folder) -> list[Path]:
    """The files with a factor; and, where no model lies, those too damaged to tell: reading tells how."""
    model = bool({"config.json", "model_index.json"} & folder.names)
    files = folder.files(".safetensors", ".sft")
    return [folder.path / name for name in files if _is_peft(folder, name) or (folder.damaged(name) and not model)]


def _is_peft(folder: Folder, name: str) -> bool:
    return any(is_factor(key) or key.endswith(f".{EMBEDDING_A}") for key in folder.headers(name))


def read(path: Path, name: str, source: str, given: Given) -> Adapter:
    """The adapter as PEFT would read it with the config that stands beside."""
    return read_folder(path, name, source, given)
