"""Which adapters a listing of files may hold, before any is downloaded. Afterwards the readers decide by content."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import PurePosixPath

from inspector.adapters.files.beside import NAMELESS, Spot, standing
from inspector.adapters.files.config_file import CONFIG
from inspector.adapters.files.placeholders import OF_WEIGHTS, TRAINING_STATE, by_name
from inspector.adapters.files.weights import PICKLE, SAFETENSORS, has_weights, weight_files
from inspector.adapters.formats import named
from inspector.adapters.locate import DEPTH, natural
from inspector.adapters.options import ReadOptions
from inspector.adapters.tensors.stated import PARAMS
from inspector.common.errors import InspectorError

PEFT, FULL, WHOLE_FILE = "PEFT", "whole model", "safetensors"
_SAFETENSORS, _PICKLES = ".safetensors", (".bin", ".pt", ".pth")
_MODEL_CONFIGS = {"config.json", "model_index.json", "params.json"}
_MODEL_INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r".*-\d{5}-of-\d{5}\.\w+")
# Of models' folders: transformers, diffusers, Mistral's own.
_OF_A_MODEL = re.compile(r"((pytorch_|diffusion_pytorch_)?model|consolidated)\b.*")
# A pickle tells nothing but by its name: those that peft, diffusers and torchtune write.
_OF_AN_ADAPTER = re.compile(r".*(adapter|lora).*", re.IGNORECASE)
_WITHOUT_LEAVE = "is a pickle, which is opened only with --allow-pickle (nothing in it is run even then)"
_WITHOUT_WEIGHTS = f"has an {CONFIG} but no weights ({SAFETENSORS} or {PICKLE}) beside it"
_WITHOUT_BASE = "is a whole model and no adapter: name what it was tuned from with --base"


@dataclass(frozen=True, slots=True)
class Choice:
    """What may be one adapter: a folder of PEFT's, a single file of another format, or a whole model."""

    folder: str
    file: str
    """The single file, by its name in the folder; empty for a whole folder."""
    files: tuple[str, ...]
    """All that must be downloaded, by their paths in the repo."""
    format: str
    """As far as names tell."""
    refused: str = ""
    """Why it is not downloaded, as `is a pickle …`."""
    beside: tuple[str, ...] = ()
    """The adapters beside it that are not opened with it, by their paths from its folder."""

    @property
    def path(self) -> str:
        """What follows the colon in `org/repo:path`; empty for the repo's own top folder."""
        return f"{self.folder}/{self.file}".strip("/")


def choices(files: Iterable[str], top: str, read_options: ReadOptions) -> list[Choice]:
    """The adapters that `top` stands for, a folder, a file or a pattern, in natural order, as `expand` has it here.

    Models only where there is no adapter. Raises InspectorError where there is nothing, as `holds no …`.
    """
    folders = _folders(files)
    parent, _, name = top.rpartition("/")
    if top and name in folders.get(parent, ()):
        return [_named(parent, name, folders[parent], read_options)]
    inside = {f: names for f, names in folders.items() if not top or f == top or f.startswith(f"{top}/")}
    if not inside and has_magic(top):
        return _matching(folders, top, read_options)
    if not inside:
        raise InspectorError("is not there" if top else "holds no files")
    near = [f for f in inside if _depth(f) <= _depth(top) + DEPTH]
    found = [choice for f in near for choice in _adapters(f, inside[f], read_options)]
    alone = [Choice(f, "", (), PEFT, _WITHOUT_WEIGHTS) for f in near if CONFIG in inside[f]]
    if found:
        used = {choice.folder for choice in found}
        found += [choice for choice in alone if choice.folder not in used]
    else:
        found = [choice for f in near for choice in _models(f, inside[f], read_options)] or alone
    if not found:
        raise InspectorError(_nothing(inside.values()))
    found.sort(key=lambda choice: (natural(choice.folder), natural(choice.file)))
    spots = [Spot(PurePosixPath(c.folder), c.file, _is_whole(c)) for c in found]
    return [replace(found[n], beside=beside) for n, beside in standing(spots, checkpoints=read_options.checkpoints)]


def _is_whole(choice: Choice) -> bool:
    """Whether its folder is the adapter, as far as names tell."""
    return PurePosixPath(choice.file).stem in NAMELESS if choice.file else bool(choice.files)


def _matching(folders: Mapping[str, set[str]], pattern: str, read_options: ReadOptions) -> list[Choice]:
    """What the folders and files stand for that a pattern matches, each part of their paths a part of it."""
    files = [f"{folder}/{name}".lstrip("/") for folder, names in folders.items() for name in names]
    above = {str(parent) for folder in folders for parent in (PurePosixPath(folder), *PurePosixPath(folder).parents)}
    wanted = pattern.split("/")
    found: dict[str, Choice] = {}
    for path in sorted({*files, *above}, key=natural):
        parts = path.split("/")
        if len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted)):
            with suppress(InspectorError):  # what is not an adapter
                found |= {choice.path: choice for choice in choices(files, path, read_options)}
    if not found:
        raise InspectorError("holds no adapter, or is not there")
    return list(found.values())


def _depth(folder: str) -> int:
    return folder.count("/") + bool(folder)


def _folders(files: Iterable[str]) -> dict[str, set[str]]:
    folders: dict[str, set[str]] = {}
    for path in files:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, set()).add(name)
    return folders


def _adapters(folder: str, names: set[str], read_options: ReadOptions) -> list[Choice]:
    """PEFT's folder, or the single files that may be adapters."""
    if weights := weight_files(names):
        refused = _WITHOUT_LEAVE if weights == [PICKLE] and not read_options.allow_pickle else ""
        return [Choice(folder, "", _paths(folder, sorted({CONFIG} & names) + weights), PEFT, refused)]
    tensors = [name for name in names if _may_be_adapter(name, of_model=bool(_MODEL_CONFIGS & names))]
    pickles = [n for n in names if n.endswith(_PICKLES) and _OF_AN_ADAPTER.fullmatch(n) and not _SHARD.fullmatch(n)]
    return [_single(folder, name, names, read_options) for name in tensors or pickles]


def _may_be_adapter(name: str, *, of_model: bool) -> bool:
    if named(name):
        return True
    if not name.endswith(_SAFETENSORS) or _SHARD.fullmatch(name):
        return False
    return not (of_model and _OF_A_MODEL.fullmatch(name))


def _single(folder: str, name: str, names: set[str], read_options: ReadOptions) -> Choice:
    refused = _WITHOUT_LEAVE if name.endswith(_PICKLES) and not read_options.allow_pickle else ""
    return Choice(folder, name, _paths(folder, [*sorted({CONFIG, PARAMS} & names), name]), _format(name), refused)


def _format(name: str) -> str:
    return named(name) or (WHOLE_FILE if name.endswith(_SAFETENSORS) else "pickle")


def _models(folder: str, names: set[str], read_options: ReadOptions) -> list[Choice]:
    """A model in safetensors, which is downloaded only to be compared with its base."""
    weights = [n for n in names if n.endswith(_SAFETENSORS) and n.startswith("model") and _OF_A_MODEL.fullmatch(n)]
    if "config.json" not in names or not weights:
        return []
    whole = {"model.safetensors"} if "model.safetensors" in weights else {*weights, *({_MODEL_INDEX} & names)}
    files = _paths(folder, ["config.json", *sorted(whole)])
    return [Choice(folder, "", files, FULL, "" if read_options.base else _WITHOUT_BASE)]


def _named(folder: str, name: str, names: set[str], read_options: ReadOptions) -> Choice:
    """The adapter that a file named by the user stands for."""
    if name == CONFIG or has_weights({name}):
        if found := _adapters(folder, names, read_options):
            return found[0]
    elif name.endswith(OF_WEIGHTS):
        return _single(folder, name, names, read_options)
    known = by_name(name)
    raise InspectorError(f"is {known.what} ({known.way_out})" if known else "is not a file of an adapter")


def _paths(folder: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}".lstrip("/") for name in names)


def _nothing(folders: Iterable[set[str]]) -> str:
    """Why there is nothing to open."""
    found = {name: known for name in sorted(set[str]().union(*folders)) if (known := by_name(name))}
    for name in sorted(found, key=lambda name: found[name] is TRAINING_STATE):
        return f"holds no LoRA adapter: {name} is {found[name].what} ({found[name].way_out})"
    return f"holds no LoRA adapter ({CONFIG} with {SAFETENSORS}, or a file of another format)"
