"""PEFT's tensors in a single file under any name: a config beside it or its header says the scale, or nothing does.

A trainer's own checkpoint (`model_world_size_1_rank_0.pt`) has `lora_train_meta.json` beside it, with r and lora_alpha.
"""

from __future__ import annotations

from pathlib import Path

from inspector.adapters.files.listing import Folder
from inspector.adapters.files.placeholders import SUFFIXES, by_name, pickled
from inspector.adapters.model import Adapter
from inspector.adapters.options import ReadOptions
from inspector.adapters.peft.config import TRAINER_CONFIG
from inspector.adapters.peft.folder import read as read_folder
from inspector.adapters.peft.tensors import EMBEDDING_A
from inspector.adapters.tensors.slots import is_factor

NAMES: dict[str, str] = {}
_EXPORTED = "lora_adapter"
"""Where such a trainer (verl) puts the adapter that it makes of its checkpoint."""


def places(folder: Folder) -> list[Path]:
    """The files with a factor; and, where no model lies, those too damaged to tell: reading tells how."""
    model = bool({"config.json", "model_index.json"} & folder.names)
    files = folder.files(".safetensors", ".sft")
    found = [name for name in files if _is_peft(folder, name) or (folder.damaged(name) and not model)]
    return [folder.path / name for name in (*found, *_pickles(folder))]


def _pickles(folder: Folder) -> list[str]:
    """Torch archives whose text names factors of PEFT's: one that is named, or a trainer's whose record lies beside."""
    if not folder.only and (TRAINER_CONFIG not in folder.names or (folder.path / _EXPORTED).is_dir()):
        return []
    files = [name for name in folder.files(*SUFFIXES["pickle"]) if by_name(name) is None]
    return [name for name in files if b".lora_A." in pickled(folder.path / name)]


def _is_peft(folder: Folder, name: str) -> bool:
    return any(is_factor(key) or key.endswith(f".{EMBEDDING_A}") for key in folder.headers(name))


def read(path: Path, name: str, source: str, read_options: ReadOptions) -> Adapter:
    """The adapter as PEFT would read it with the config that stands beside."""
    return read_folder(path, name, source, read_options)
