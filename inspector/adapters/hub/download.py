"""Files of a repo into huggingface_hub's cache: as much as fits, whole, and what the Hub's listing says they are."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

from inspector.adapters.hub.asking import asked, patience
from inspector.adapters.hub.listing import Listing, RemoteFile, snapshot
from inspector.adapters.hub.progress import Progress, TooLongError, bar_class
from inspector.adapters.hub.resume import bring
from inspector.adapters.sources import Remote
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.hub_library import quiet_hub
from inspector.common.hub_token import AGENT
from inspector.common.interruptible import Pulse, interruptible
from inspector.common.text import in_bytes, plain

_RESERVE = 64 * 2**20


class Downloads:
    """The files of one repo at one commit, with one count of bytes over all of them."""

    def __init__(
        self,
        remote: Remote,
        listing: Listing,
        progress: Callable[[Progress], None] = lambda _progress: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._remote, self._listing = remote, listing
        self._progress, self._cancelled = progress, cancelled
        self._source = f"{remote.repo}@{listing.commit[:7]}"
        self._missing: dict[str, int] = {}
        self._done = self._total = 0

    def announce(self, files: Sequence[str]) -> None:
        """Say how much of these files is to come. Raises InspectorError where the disk has less room than they need."""
        self._missing = {file: self._listing.files[file].size or 0 for file in files if not self.has(file)}
        self._total = sum(self._missing.values())
        free = _free(Path(constants.HF_HUB_CACHE))
        if self._total and self._total + _RESERVE > free:
            raise InspectorError(
                f"{self._source} would download {in_bytes(self._total)}, and {plain(constants.HF_HUB_CACHE)} has "
                f"{in_bytes(free)} free: choose one adapter (org/repo:path), or set HF_HUB_CACHE to a larger disk."
            )
        if self._missing:
            self._report("", 0)

    def has(self, file: str) -> bool:
        """Whether the cache has the file, with the length it should have."""
        path = try_to_load_from_cache(self._remote.repo, file, revision=self._listing.commit)
        return isinstance(path, str) and self._fits(Path(path), self._listing.files[file])

    def get(self, file: str) -> None:
        """Have the file in the cache, whole.

        Raises what huggingface_hub raises, InspectorError, TimeoutError and CancelledError.
        """
        if self.has(file):
            return
        _forget(snapshot(self._remote, self._listing.commit) / file)
        path = self._fetched(file)
        try:
            self._verify(path, file)
        except BaseException:
            _forget(path)
            raise
        self.count(file)

    def count(self, file: str) -> None:
        """Count a file as done, or as given up."""
        self._done += self._missing.pop(file, 0)
        self._report(file, 0)

    def _fetched(self, file: str) -> Path:
        pulse = Pulse(patience())

        def report(n: int) -> None:
            pulse.beat()
            self._report(file, n)

        bar = bar_class(report, lambda: pulse.abandoned, self._listing.files[file].size)
        try:
            return asked(partial(self._hub, file, bar), self._cancelled, pulse)
        except TooLongError as error:
            raise InspectorError(
                f"{plain(file)} of {self._source} is longer than the {self._listing.files[file].size} bytes "
                "the Hub lists: it was not kept."
            ) from error
        except TimeoutError:
            # Either the line is dead, or the library waits before it tries again: then the Hub says why.
            interruptible(partial(self._head, file), self._cancelled, Pulse(patience()))
            raise

    @quiet_hub()
    def _hub(self, file: str, bar: Any) -> Path:
        bring(self._remote, self._listing.commit, file, self._listing.files[file], bar)
        got = hf_hub_download(
            self._remote.repo,
            file,
            revision=self._listing.commit,
            etag_timeout=constants.HF_HUB_ETAG_TIMEOUT,
            tqdm_class=bar,
            library_name=AGENT,
        )
        return Path(got)

    @quiet_hub()
    def _head(self, file: str) -> None:
        url = hf_hub_url(self._remote.repo, file, revision=self._listing.commit, endpoint=constants.ENDPOINT)
        get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT, library_name=AGENT)

    def _verify(self, path: Path, file: str) -> None:
        """Raise InspectorError where commit, length or sha256 are not those of the listing."""
        listed = self._listing.files[file]
        if not path.as_posix().endswith(f"/snapshots/{self._listing.commit}/{file}"):
            raise InspectorError(
                f"{plain(file)} of {self._source} came from another commit: it was not kept, try again."
            )
        if not self._fits(path, listed):
            raise InspectorError(
                f"{plain(file)} of {self._source} came with {path.stat().st_size} bytes, the Hub lists {listed.size}: "
                "it was not kept, try again."
            )
        if listed.sha256 and self._sha256(path) != listed.sha256:
            raise InspectorError(
                f"{plain(file)} of {self._source} does not have the sha256 the Hub lists: it was not kept, try again."
            )

    def _sha256(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as opened:
            while chunk := opened.read(1 << 20):
                digest.update(chunk)
                if self._cancelled():
                    raise CancelledError("The download was cancelled.")
        return digest.hexdigest()

    @staticmethod
    def _fits(path: Path, listed: RemoteFile) -> bool:
        return path.is_file() and listed.size in {None, path.stat().st_size}

    def _report(self, file: str, n: int) -> None:
        self._progress(Progress(self._source, plain(file), min(self._done + n, self._total), self._total))


def _forget(path: Path) -> None:
    """Take a file out of the cache: its name in the snapshot, and the blob that name stands for."""
    with suppress(OSError):
        blob = path.parent / path.readlink() if path.is_symlink() else None
        path.unlink()
        if blob is not None and blob.parent.name == "blobs":
            blob.unlink()


def _free(folder: Path) -> int:
    """Bytes free on the disk that the folder is on, or will be."""
    for place in (folder, *folder.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return 2**63
