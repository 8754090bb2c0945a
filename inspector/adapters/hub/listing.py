"""What a repo on the Hub holds at one commit: its files with sizes and hashes, or what the cache has of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.file_download import repo_folder_name

from inspector.adapters.hub.asking import asked
from inspector.adapters.hub.errors import was_cut
from inspector.adapters.sources import Remote
from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.hub_library import quiet_hub
from inspector.common.hub_token import AGENT
from inspector.common.text import plain, some

COMMIT = re.compile(r"[0-9a-f]{40}")
_TRIES = 4
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
    left_out: tuple[str, ...] = ()
    """Names that leave the repo's folder."""

    @property
    def account(self) -> str:
        """What was left out and why, as `lists …`; empty where nothing was."""
        if not self.left_out:
            return ""
        names = some([repr(plain(name, 60)) for name in self.left_out])
        return f"lists {names}, which would leave its folder: left out"


def listing(remote: Remote, cancelled: Callable[[], bool]) -> Listing:
    """Ask the Hub. Raises what huggingface_hub raises, InspectorError for what no Hub lists, CancelledError."""
    found = _found(partial(_info, remote), cancelled)
    commit = found.sha
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise _no_hub(remote, "it names no commit")
    files: dict[str, RemoteFile] = {}
    left_out = []
    for sibling in found.siblings or ():
        file, name = _file(remote, sibling), sibling.rfilename
        if leaves(name):
            left_out.append(name)
        elif files.setdefault(name, file) != file:
            raise _no_hub(remote, f"it lists {plain(name)!r} twice")
    remember(remote, commit)
    return Listing(commit, files, left_out=tuple(left_out))


def _found(ask: Callable[[], Any], cancelled: Callable[[], bool]) -> Any:
    """The answer; asked again where the line was cut, as the library itself does for files.

    Two causes look the same: a connection kept from an earlier request, which the other side has closed since, and
    another thread that could not connect, whereupon the library closed the client of all.
    """
    for _ in range(_TRIES - 1):
        try:
            return asked(ask, cancelled)
        except Exception as error:
            if not was_cut(error):
                raise
    return asked(ask, cancelled)


@quiet_hub()
def _info(remote: Remote) -> Any:
    try:
        return HfApi(library_name=AGENT).model_info(
            remote.repo,
            revision=remote.revision or None,
            files_metadata=True,
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        )
    except (HFValidationError, HfHubHTTPError):  # which are ValueErrors too
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError) as error:
        raise _no_hub(remote, f"its answer cannot be read: {type(error).__name__}") from error


def _file(remote: Remote, sibling: Any) -> RemoteFile:
    """One line of the listing. Raises InspectorError for what is not a name, or not a size."""
    name, size = sibling.rfilename, sibling.size
    if not isinstance(name, str):
        raise _no_hub(remote, "it lists a file without a name")
    if size is not None and (type(size) is not int or size < 0):
        raise _no_hub(remote, f"{plain(name)!r} has the size {plain(size, 40)}")
    sha256 = sibling.lfs.sha256 if sibling.lfs else ""
    return RemoteFile(size, sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else "")


def leaves(name: str) -> bool:
    """Whether a path leaves the repo's folder, here or on Windows, as `../x`, `C:x` and `/x` do."""
    parts = name.split("/")
    odd = "\\" in name or "\0" in name or {"..", ".", ""} & set(parts)
    return bool(odd) or any(PureWindowsPath(part).drive for part in parts)


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


def remember(remote: Remote, commit: str) -> None:
    """Note in the cache which commit a branch or tag is at, as huggingface_hub does, for when the Hub is away."""
    revision = remote.revision or constants.DEFAULT_REVISION
    refs = _storage(remote) / "refs"
    if COMMIT.fullmatch(revision) or {"..", "."} & set(revision.split("/")):
        return
    with suppress(OSError, InspectorError):  # a cache that cannot be written to may still be read from
        (refs / revision).parent.mkdir(parents=True, exist_ok=True)
        with replacing(refs / revision) as temporary:
            temporary.write_text(commit, encoding="ascii")
