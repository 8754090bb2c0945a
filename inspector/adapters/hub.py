"""Adapters on the Hugging Face Hub: found, chosen, downloaded into its cache, as local folders."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import logging as hub_logging

from inspector.adapters.config_file import CONFIG
from inspector.adapters.expand import DEPTH, natural
from inspector.adapters.formats import unsupported_format
from inspector.adapters.hub_errors import explain, unreachable
from inspector.adapters.progress import Progress, bar_class, interruptible
from inspector.adapters.sources import Place, Remote
from inspector.adapters.weights import PICKLE, SAFETENSORS, has_weights, weight_files
from inspector.errors import InspectorError
from inspector.text import plain

# 10 MB by default: on a slow line progress and cancel would come once a minute.
constants.DOWNLOAD_CHUNK_SIZE = 256 * 1024
# Its warnings go to stderr, over whatever is on the screen; what matters is raised. An abandoned download may
# still warn later, so this is for good.
hub_logging.set_verbosity(logging.CRITICAL)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PATTERNS = ["*adapter_config.json", "*adapter_model*"]


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repo at one commit, with their sizes where they are known."""

    commit: str
    files: Mapping[str, int | None]


def fetch(remote: Remote, *, progress: Callable[[Progress], None], cancelled: Callable[[], bool]) -> list[Place]:
    """Download the adapters of a repo (or of its subfolder), only their own files; from the cache when offline.

    Raises InspectorError with what to do, and CancelledError.
    """
    try:
        listing = interruptible(lambda: _listing(remote), cancelled)
        folders = _adapter_folders(listing, remote)
        root = _download(remote, listing, folders, progress, cancelled)
    except InspectorError:
        raise
    except Exception as error:
        raise explain(error, remote) from error
    return [_place(remote, listing.commit, root, folder, alone=len(folders) == 1) for folder in folders]


def _listing(remote: Remote) -> Listing:
    """What the repo holds at the revision's commit; when the Hub cannot answer, what the cache holds of it."""
    api = HfApi()
    try:
        commit = str(api.resolve_revision(remote.repo, revision=remote.revision or None).resolved)
        info = api.model_info(remote.repo, revision=commit, files_metadata=True)
    except Exception as error:
        if unreachable(error) and (cached := _cached(remote)) is not None:
            return cached
        raise
    if not _COMMIT.fullmatch(commit):
        raise InspectorError(f"{remote.repo}: {plain(constants.ENDPOINT)} names no commit; is it a Hub?")
    return Listing(commit, {file.rfilename: file.size for file in info.siblings or ()})


def _cached(remote: Remote) -> Listing | None:
    """The listing of what an earlier download left in the cache, or None."""
    revision = remote.revision or None
    try:
        root = Path(snapshot_download(remote.repo, revision=revision, local_files_only=True, allow_patterns=_PATTERNS))
    except LocalEntryNotFoundError:
        return None
    files = (path for path in root.rglob("*") if path.is_file())
    return Listing(root.name, {path.relative_to(root).as_posix(): path.stat().st_size for path in files})


def _adapter_folders(listing: Listing, remote: Remote) -> dict[str, tuple[str, ...]]:
    """Folder in the repo -> its adapter's files, for each folder with weights at or below the subfolder."""
    for file in listing.files:
        if "\\" in file or file.startswith("/") or {"..", "."} & set(file.split("/")):
            raise InspectorError(f"{remote.repo} lists the file {plain(file)!r}, which leaves its folder: not opened.")
    names: dict[str, set[str]] = {}
    for file in listing.files:
        path = PurePosixPath(file)
        names.setdefault("" if str(path.parent) == "." else str(path.parent), set()).add(path.name)
    top = remote.subfolder
    inside = {folder for folder in names if not top or folder == top or folder.startswith(f"{top}/")}
    if not inside:
        raise InspectorError(f"{remote.repo} has no folder {plain(top)!r} at {listing.commit[:7]}.")
    levels = len(PurePosixPath(top).parts) + DEPTH
    found = {
        folder: tuple(f"{folder}/{name}".lstrip("/") for name in _wanted(names[folder]))
        for folder in sorted(inside, key=natural)
        if has_weights(names[folder]) and len(PurePosixPath(folder).parts) <= levels
    }
    if not found:
        raise InspectorError(_nothing(remote, [names[folder] for folder in inside]))
    return found


def _wanted(names: set[str]) -> list[str]:
    """The files of one adapter, the pickle only where there are no safetensors."""
    return sorted({CONFIG} & names) + weight_files(names)


def _nothing(remote: Remote, folders: list[set[str]]) -> str:
    """Why a repo has nothing to open."""
    where = f"{remote.repo}{':' + remote.subfolder if remote.subfolder else ''}"
    if formats := sorted({found for names in folders if (found := unsupported_format(names))}):
        return f"{where} holds adapters of a format that is not supported yet: {', '.join(formats)}."
    if any(CONFIG in names for names in folders):
        return f"{where} has an {CONFIG} but no weights ({SAFETENSORS} or {PICKLE}) beside it."
    return f"{where} holds no LoRA adapter ({CONFIG} with {SAFETENSORS})."


def _download(
    remote: Remote,
    listing: Listing,
    folders: Mapping[str, tuple[str, ...]],
    progress: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> Path:
    """Download the files, those in the cache excepted; the snapshot's folder."""
    files = [file for folder in folders.values() for file in folder]
    total, done = sum(listing.files[file] or 0 for file in files), 0
    source = _source(remote, listing.commit, remote.subfolder)
    for file in files:

        def report(n: int, file: str = file, before: int = done) -> None:
            progress(Progress(source, file, min(before + n, total), total))

        report(0)
        path = interruptible(partial(_file, remote, listing.commit, file, bar_class(report, cancelled)), cancelled)
        size = listing.files[file]
        if size is not None and path.stat().st_size != size:
            raise InspectorError(
                f"{plain(path)} has {path.stat().st_size} bytes, the Hub says {size}: delete it, try again."
            )
        done += path.stat().st_size
    root = path.parents[len(PurePosixPath(file).parts) - 1]
    progress(Progress(source, "", total, total))
    return root


def _file(remote: Remote, commit: str, file: str, bar: Any) -> Path:
    return Path(hf_hub_download(remote.repo, file, revision=commit, tqdm_class=bar))


def _place(remote: Remote, commit: str, root: Path, folder: str, *, alone: bool) -> Place:
    below = PurePosixPath(folder).relative_to(remote.subfolder).parts
    name = "/".join((remote.name, *(() if alone else below))) if remote.name else ""
    components = (*remote.repo.split("/"), *PurePosixPath(folder).parts)
    return Place(root / folder, _source(remote, commit, folder), components, name)


def _source(remote: Remote, commit: str, folder: str) -> str:
    """`org/repo@1a2b3c4:sub`: what was opened, pinned."""
    return plain(f"{remote.repo}@{commit[:7]}{':' + folder if folder else ''}", 400)
