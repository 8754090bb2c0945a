"""PEFT's tensors in a single file under any name, without their config: α is not known, and PEFT's default is taken."""

from __future__ import annotations

from pathlib import Path

from inspector.adapters.given import Given
from inspector.adapters.listing import Folder
from inspector.adapters.model import Adapter
from inspector.adapters.peft.folder import read as read_folder

_ENDS = (".lora_A.weight", ".lora_A.default.weight", ".lora_embedding_A")


def places(folder: Folder) -> list[Path]:
    """The files with a `lora_A` of PEFT's; and, where no model lies, those too damaged to tell: reading tells how."""
    model = bool({"config.json", "model_index.json"} & folder.names)
    files = folder.files(".safetensors", ".sft")
    return [folder.path / name for name in files if _is_peft(folder, name) or (folder.damaged(name) and not model)]


def _is_peft(folder: Folder, name: str) -> bool:
    return any(key.endswith(_ENDS) for key in folder.headers(name))


def read(path: Path, name: str, source: str, given: Given) -> Adapter:
    """The adapter as PEFT would read it without a config, which a finding says."""
    return read_folder(path, name, source, given)
