"""Which format a folder or a file has, found by what it holds: one reader per format."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from inspector.adapters.files.beside import NAMELESS
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.placeholders import OF_WEIGHTS, TRAINING_STATE, by_name
from inspector.adapters.files.refusals import refusal
from inspector.adapters.files.weights import has_weights
from inspector.adapters.model import Adapter
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.peft import file as peft_file
from inspector.adapters.peft import folder as peft_folder
from inspector.adapters.readers import full, gguf, image, mlx, torchtune
from inspector.common.errors import InspectorError
from inspector.common.text import distinct, plain, some
from inspector.study.adapter_info import HealthIssue

_WHOLE_MODEL = re.compile(r"(pytorch_)?model(-\d+-of-\d+)?\.(safetensors|bin)")


class Reader(Protocol):
    """What a format's module offers."""

    NAMES: dict[str, str]
    """The formats that a file's name alone tells, by patterns of names: a listing of the Hub has no more."""

    def places(self, folder: Folder) -> list[Path]:
        """The adapters of this format in a folder, without those below it: the folder itself, or files of it."""

    def read(self, path: Path, name: str, source: str, read_options: ReadOptions) -> Adapter:
        """The adapter at such a place, from its headers; raises InspectorError."""


READERS: tuple[Reader, ...] = (mlx, image, gguf, torchtune, peft_folder, full, peft_file)
"""The first that finds the folder, or a file, has it."""


def places(folder: Folder) -> Iterator[tuple[Path, Reader]]:
    """The adapters of a folder, with their reader: files of it, or the folder itself, never both."""
    taken: set[Path] = set()
    for reader in READERS:
        for path in reader.places(folder):
            if path not in taken and folder.path not in taken and not (taken and path == folder.path):
                taken.add(path)
                yield path, reader


def named(name: str) -> str:
    """The format that a file's name alone tells, or nothing."""
    found = (kind for reader in READERS for pattern, kind in reader.NAMES.items() if re.fullmatch(pattern, name))
    return next(found, "")


def read_adapter(
    path: Path, name: str, source: str, read_options: ReadOptions = DEFAULTS, *, listed: Collection[str] = ()
) -> Adapter:
    """Read the folder or file with its reader; `listed`: what lies beside it, but on the Hub.

    Raises InspectorError where none does.
    """
    folder = Folder(path.parent, only=path.name) if path.is_file() else Folder(path)
    for found, reader in places(folder):
        if found == path:
            adapter = _named_base(reader.read(path, name, source, read_options), read_options)
            unread = [] if reader is full else _unread(path, adapter, listed)
            return adapter if not unread else _with(adapter, unread)
    if path.is_file():
        raise refusal(path)
    raise InspectorError(f"{plain(path)} holds no adapter that could be recognised.")


def _named_base(adapter: Adapter, read_options: ReadOptions) -> Adapter:
    """The adapter under the name of its base that the user says is the same, with a finding that says so."""
    base = read_options.base_of(adapter.base)
    if base == adapter.base:
        return adapter
    text = f"names the base {plain(adapter.base, 80)}, the same as {plain(base, 80)} by --same-base"
    findings = (*adapter.info.findings, HealthIssue("info", text))
    return replace(adapter, base=base, info=replace(adapter.info, base=distinct(base, 380), findings=findings))


def _unread(path: Path, adapter: Adapter, listed: Collection[str]) -> list[str]:
    """Weights in the adapter's own folder that are neither its, nor an adapter's by themselves, nor an optimizer's.

    A whole model there is what it was merged into: nothing that these numbers lack.
    """
    if path.is_file() and path.stem not in NAMELESS:
        return []  # it shares its folder with whatever is there
    here = path.parent if path.is_file() else path
    own = {file.name for file in adapter.files}
    others = sorted(n for n in (Folder(here).names | set(listed)) - own if n.lower().endswith(OF_WEIGHTS))
    others = [name for name in others if not _WHOLE_MODEL.fullmatch(name)]
    return [
        name
        for name in others
        if not has_weights({name}) and by_name(name) is not TRAINING_STATE and not any(places(Folder(here, only=name)))
    ]


def _with(adapter: Adapter, unread: list[str]) -> Adapter:
    """The adapter with a finding that names the weights beside it."""
    text = f"beside it and not read: {some(unread)}; what was trained there is in no number"
    info = adapter.info
    return replace(adapter, info=replace(info, findings=(*info.findings, HealthIssue("warning", text))))
