"""The adapters a source holds, whole models too, and what each weighs: nothing is downloaded, no tensor is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inspector.adapters.files.base_weights import model_files
from inspector.adapters.files.config_file import CONFIG
from inspector.adapters.files.listing import Folder
from inspector.adapters.hub.choice import FULL, PEFT
from inspector.adapters.locate import natural
from inspector.adapters.model import Adapter
from inspector.adapters.opening import Failure, open_sources
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.readers import full
from inspector.adapters.sources import Local, Remote, as_source, name_places, parse
from inspector.common.errors import InspectorError, NotAnAdapterError
from inspector.study.adapter_info import HealthIssue
from inspector.study.warnings import beside, of_folders

WITH_BASE = "needs --base when opened"
"""The note on a whole model."""


@dataclass(frozen=True, slots=True)
class Item:
    """One adapter: what to write to open it, where in the source it is, and its files with their bytes."""

    source: str
    path: str
    name: str
    format: str
    """As far as names of files tell; of a file here by itself, what it holds."""
    files: tuple[tuple[str, int | None], ...]
    here: bool
    """Whether nothing of it must be downloaded."""
    fault: str = ""
    """Why it cannot be opened."""
    note: str = ""
    """What opening it asks for, or what lies beside it and is not listed."""

    @property
    def size(self) -> int:
        return sum(size or 0 for _, size in self.files)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The adapters of one source, pinned where it is on the Hub."""

    source: str
    items: tuple[Item, ...]
    offline: bool = False
    """Whether only the cache could be asked."""
    note: str = ""
    """Which files of it were left out, and why."""

    @property
    def adapters(self) -> int:
        """How many of the items are adapters."""
        return sum(item.format != FULL for item in self.items)

    @property
    def size(self) -> int:
        """Bytes of all files, one that several adapters share counted once."""
        return sum(size or 0 for size in {file: size for item in self.items for file, size in item.files}.values())


def inventory(source: str, *, read_options: ReadOptions = DEFAULTS) -> Inventory:
    """What a path or a repo holds. Raises InspectorError where there is no adapter."""
    found = parse(source)
    return _local(found, source, read_options) if isinstance(found, Local) else _remote(found, read_options)


def _remote(remote: Remote, read_options: ReadOptions) -> Inventory:
    from inspector.adapters.hub.fetch import survey

    offer = survey(remote, read_options=replace(read_options, checkpoints=True))
    alone = len(offer.choices) == 1
    names = name_places([offer.place(choice, alone=alone) for choice in offer.choices])
    items = tuple(
        Item(
            offer.source(choice),
            choice.path,
            name,
            choice.format,
            tuple((file, offer.listing.files[file].size) for file in choice.files),
            bool(choice.files) and offer.cached(choice),
            "" if choice.format == FULL else offer.refusal(choice),
            WITH_BASE if choice.format == FULL else _note(beside(choice.beside)),
        )
        for choice, name in zip(offer.choices, names, strict=True)
    )
    note = " ".join(place.fault for place in offer.left_out)
    return Inventory(offer.source(), items, offer.listing.cached, note)


def _local(local: Local, source: str, read_options: ReadOptions) -> Inventory:
    adapters, failures = open_sources([source], read_options=replace(read_options, checkpoints=True))
    items = [_opened(adapter, local.path) for adapter in adapters]
    items += [_unopened(failure, local.path) for failure in failures]
    if len(items) == 1 and items[0].fault:
        raise NotAnAdapterError(failures[0].message) if failures[0].skipped else InspectorError(str(failures[0]))
    return Inventory(as_source(local.path), tuple(sorted(items, key=lambda item: natural(item.path))))


def _opened(adapter: Adapter, root: Path) -> Item:
    """An adapter, with the config beside its weights, as the Hub's listing tells it."""
    beside = [path.parent / CONFIG for path in adapter.files[:1] if (path.parent / CONFIG).is_file()]
    files = (*beside, *adapter.files)
    format_ = PEFT if beside and adapter.info.format.startswith(f"{PEFT} ") else adapter.info.format
    sizes = tuple((as_source(file), file.stat().st_size) for file in files)
    note = _note(of_folders(adapter.info.findings))
    path = _below(root, adapter.info.source)
    return Item(adapter.info.source, path, adapter.info.name, format_, sizes, here=True, note=note)


def _note(found: Sequence[HealthIssue]) -> str:
    return "; ".join(finding.text for finding in found)


def _unopened(failure: Failure, root: Path) -> Item:
    """What could not be opened: a whole model, which only waits for its base, or a fault."""
    path, below = Path(failure.source), _below(root, failure.source)
    try:
        whole = path.is_dir() and path in full.places(folder := Folder(path))
        files = [path / name for name in (full.CONFIG, *model_files(folder.names))] if whole else []
    except InspectorError as error:
        return Item(failure.source, below, path.name, "", (), here=True, fault=str(error))
    if not whole:
        return Item(failure.source, below, path.name, "", (), here=True, fault=failure.message)
    sizes = tuple((as_source(file), file.stat().st_size) for file in files)
    return Item(failure.source, below, path.name, FULL, sizes, here=True, note=WITH_BASE)


def _below(root: Path, source: str) -> str:
    try:
        return Path(source).relative_to(root).as_posix().removeprefix(".")
    except ValueError:
        return source
