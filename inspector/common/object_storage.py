"""Objects of any storage that fsspec has a driver for: `s3://bucket/runs/a`, `gs://…`, `memory://…`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspector.common.errors import CancelledError, InspectorError
from inspector.common.files import replacing
from inspector.common.text import plain

_URL = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]*)://.+")
_OTHERS = {"http", "https", "hf", "file", "local"}
"""Addresses that are read otherwise, or not at all."""


def is_stored(text: str) -> bool:
    """Whether a text is an address of a storage."""
    found = _URL.fullmatch(text)
    return found is not None and found["protocol"] not in _OTHERS


@dataclass(frozen=True, slots=True)
class Object:
    """Its bytes, and what tells one content of it from another."""

    size: int
    mark: str


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage that an address is of. Every method raises InspectorError where the storage does not answer."""

    url: str
    system: Any
    """fsspec's file system."""

    @classmethod
    def of(cls, url: str) -> Storage:
        """Raises InspectorError if there is no driver, or it lacks its settings."""
        import fsspec

        protocol = url.partition(":")[0]
        try:
            system, _ = fsspec.core.url_to_fs(url)
        except ImportError as error:  # fsspec names the package
            raise InspectorError(f"{plain(url, 400)} cannot be read: {plain(error)} (with pip).") from error
        except Exception as error:  # whatever a driver raises
            what = f"{protocol}:// cannot be opened" if protocol in fsspec.available_protocols() else "unknown storage"
            raise InspectorError(f"{plain(url, 400)}: {what} ({plain(error)}).") from error
        return cls(url, system)

    def files(self, depth: int) -> dict[str, Object]:
        """What lies below the address, by its path from there."""
        root = self.system._strip_protocol(self.url).rstrip("/")  # noqa: SLF001 - fsspec's own name for a public thing
        found = self._tried(lambda: self.system.find(root, maxdepth=depth, detail=True))
        return {
            path[len(root) :].strip("/"): Object(int(info.get("size") or 0), repr(sorted(map(str, info.items()))))
            for path, info in found.items()
        }

    def is_file(self) -> bool:
        return bool(self._tried(lambda: self.system.isfile(self.url)))

    def matching(self) -> list[str]:
        """The addresses that a pattern stands for, in order; itself where there is none."""
        found = self._tried(lambda: self.system.glob(self.url))
        return sorted(map(str, map(self.system.unstrip_protocol, found)))

    def get(self, path: Path, below: str = "") -> None:
        """Copy an object here, complete or not at all."""
        with replacing(path) as temporary:
            self._tried(lambda: self.system.get_file(f"{self.url.rstrip('/')}/{below}".rstrip("/"), str(temporary)))

    def put(self, path: Path) -> None:
        """Replace the object by a file."""
        self._tried(lambda: self.system.put_file(str(path), self.url), "written")

    def _tried(self, call: Callable[[], Any], what: str = "read") -> Any:
        try:
            return call()
        except (CancelledError, InspectorError):
            raise
        except FileNotFoundError as error:
            raise InspectorError(f"There is nothing at {plain(self.url, 400)}.") from error
        except Exception as error:  # whatever a driver raises
            reason = str(error) or type(error).__name__
            raise InspectorError(f"{plain(self.url, 400)} cannot be {what} ({plain(reason)}).") from error


@contextmanager
def working_copy(place: str) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A file here that stands for a place, and what to call whenever it was saved; a path stands for itself."""
    if not is_stored(place):
        yield Path(place), lambda: None
        return
    storage = Storage.of(place)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / place.rstrip("/").rpartition("/")[2]
        if storage.is_file():
            storage.get(path)
        yield path, lambda: storage.put(path)
