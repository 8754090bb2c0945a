"""A file of lines that only grows: locked, whole lines only, nothing half-written after a kill or on a full disk."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from inspector.common.errors import InspectorError
from inspector.common.text import plain

_WAIT = 0.2


class Appending:
    """One process at a time; close it. `remedy` ends every error: how to name another place.

    Raises InspectorError where the file cannot be read or written, or another process writes it.
    """

    def __init__(self, path: Path, what: str, remedy: str) -> None:
        self.path, self._what, self._remedy = path, what, remedy
        self._size = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise self._cannot("write", error) from error
        try:
            self._lock()
        except InspectorError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and its lock."""
        file, self._file = self._file, -1
        if file >= 0:
            try:
                os.fsync(file)
            except OSError as error:
                raise self._cannot("write", error) from error
            finally:
                os.close(file)

    def read(self) -> tuple[bytes, bytes]:
        """(whole lines, what a killed process left of its last one); the latter stays until `cut`."""
        try:
            with os.fdopen(os.dup(self._file), "rb") as file:
                data = file.read()
        except OSError as error:
            raise self._cannot("read", error) from error
        self._size = data.rfind(b"\n") + 1
        return data[: self._size], data[self._size :]

    def cut(self) -> None:
        """Drop what follows the whole lines."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError as error:
            raise self._cannot("write", error) from error

    def append(self, lines: bytes) -> None:
        """Keep these lines, all or none when it raises. From here on they survive the end of this process."""
        data, written = memoryview(lines), 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise self._cannot("write", error) from error
        self._size += written

    def _lock(self) -> None:
        if not locked(self._file):
            raise InspectorError(
                f"Another process is writing {plain(self.path)}: wait until it is done, or {self._remedy}."
            )

    def _cannot(self, verb: str, error: OSError) -> InspectorError:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        advice = "what is in it is kept: free some space and run again" if full else "check it"
        where = f"{self._what}{plain(self.path)}"
        return InspectorError(f"Cannot {verb} {where} ({error.strerror or error}): {advice}, or {self._remedy}.")


def locked(file: int) -> bool:
    """Take a file for this process until it is closed, however that ends; False where another process has it.

    True as well where the system, or the file system, knows no locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process is in a block of this lock file."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while not locked(lock):
            time.sleep(_WAIT)
        yield
    finally:
        os.close(lock)
