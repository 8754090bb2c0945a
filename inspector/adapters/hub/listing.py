"""What a repo on the Hub holds at one commit: its files with sizes and hashes, or what the cache has of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, get_session
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.file_download import repo_folder_name

from inspector.adapters.hub.errors import was_cut
from inspector.adapters.progress import Pulse, interruptible
from inspector.adapters.sources import Remote
from inspector.errors import InspectorError
from inspector.export import replacing
from inspector.hub_library import quiet_hub
from inspector.text import plain

COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the Hub says of a file; None and empty where it does not."""

    size: int | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repo at one commit, by name."""

    commit: str
    files: Mapping[str, RemoteFile]
    cached: bool = False
    """Whether these are the files in the cache, and not the repo's."""


def patience() -> float:
    """Seconds without a byte after which a call is given up: three times what one read may take."""
    return 3.0 * max(constants.HF_HUB_DOWNLOAD_TIMEOUT, constants.HF_HUB_ETAG_TIMEOUT)


def listing(remote: Remote, cancelled: Callable[[], bool]) -> Listing:
    """Ask the Hub. Raises what huggingface_hub raises, InspectorError for what no Hub lists, CancelledError."""
    ask = partial(_asked, remote)
    try:
        found = interruptible(ask, cancelled, Pulse(patience()))
    except Exception as error:
        if not was_cut(error):
            raise
        # A connection kept from an earlier request, which the other side has closed since, looks the same.
        found = interruptible(ask, cancelled, Pulse(patience()))
    commit = found.sha
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise _no_hub(remote, "it names no commit")
    files: dict[str, RemoteFile] = {}
    for sibling in found.siblings or ():
        file, name = _file(remote, sibling), sibling.rfilename
        if files.setdefault(name, file) != file:
            raise _no_hub(remote, f"it lists {plain(name)!r} twice")
    _remember(remote, commit)
    return Listing(commit, files)


@quiet_hub()
def _asked(remote: Remote) -> Any:
    get_session()  # made here: what is wrong in the environment's proxies is no answer of the Hub
    try:
        return HfApi().model_info(
            remote.repo,
            revision=remote.revision or None,
            files_metadata=True,
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        )
    except (HFValidationError, HfHubHTTPError):  # which are ValueErrors too
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _no_hub(remote, f"its answer cannot be read: {type(error).__name__}") from error


def _file(remote: Remote, sibling: Any) -> RemoteFile:
    """One line of the listing. Raises InspectorError for a name that leaves the repo's folder, and for no size."""
    name, size = sibling.rfilename, sibling.size
    if not isinstance(name, str):
        raise _no_hub(remote, "it lists a file without a name")
    if "\\" in name or "\0" in name or {"..", ".", ""} & set(name.split("/")):
        raise InspectorError(f"{remote.repo} lists the file {plain(name)!r}, which leaves its folder: not opened.")
    if size is not None and (type(size) is not int or size < 0):
        raise _no_hub(remote, f"{plain(name)!r} has the size {plain(size, 40)}")
    sha256 = sibling.lfs.sha256 if sibling.lfs else ""
    return RemoteFile(size, sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else "")


def _no_hub(remote: Remote, why: str) -> InspectorError:
    return InspectorError(f"{plain(constants.ENDPOINT)} does not answer for {remote.repo} as a Hub does ({why}).")


def cached_listing(remote: Remote) -> Listing | None:
    """What earlier downloads left of the repo at this revision, or None."""
    storage = _storage(remote)
    commit = revision = remote.revision or constants.DEFAULT_REVISION
    if not COMMIT.fullmatch(revision):
        try:
            commit = (storage / "refs" / revision).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
    root = storage / "snapshots" / commit
    if not COMMIT.fullmatch(commit) or not root.is_dir():
        return None
    files = {}
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            with suppress(OSError):  # a link whose file is gone
                files[path.relative_to(root).as_posix()] = RemoteFile(path.stat().st_size)
    return Listing(commit, files, cached=True)


def snapshot(remote: Remote, commit: str) -> Path:
    """The folder of the cache that mirrors the repo at a commit."""
    return _storage(remote) / "snapshots" / commit


def _storage(remote: Remote) -> Path:
    return Path(constants.HF_HUB_CACHE).expanduser() / repo_folder_name(repo_id=remote.repo, repo_type="model")


def _remember(remote: Remote, commit: str) -> None:
    """Note in the cache which commit a branch or tag is at, as huggingface_hub does, for when the Hub is away."""
    revision = remote.revision or constants.DEFAULT_REVISION
    refs = _storage(remote) / "refs"
    if COMMIT.fullmatch(revision) or {"..", "."} & set(revision.split("/")):
        return
    with suppress(OSError, InspectorError):  # a cache that cannot be written to may still be read from
        (refs / revision).parent.mkdir(parents=True, exist_ok=True)
        with replacing(refs / revision) as temporary:
            temporary.write_text(commit, encoding="ascii")
