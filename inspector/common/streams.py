"""Stdout and stderr that tell their own errors from those of files: no room to write to, a reader that left."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UnwritableError(Exception):
    """Stdout cannot be written. No OSError: click, rich and all that writes files have their own for those."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"Cannot write to stdout: {error.strerror or error}.")
        self.reader_left = isinstance(error, BrokenPipeError)


class _Stream(io.TextIOWrapper):
    lost = False

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self.failed(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self.failed(error)

    def failed(self, _error: OSError) -> None:
        """Narration that nobody reads stops no work."""
        self.lost = True


class _Data(_Stream):
    def failed(self, error: OSError) -> None:
        """Without a place for its data a command has nothing left to do."""
        self.lost = True
        raise UnwritableError(error) from error


@contextmanager
def guarded() -> Iterator[None]:
    """Within it, writing to stdout raises UnwritableError in place of OSError, and writing to stderr nothing."""
    with _as("stdout", _Data), _as("stderr", _Stream):
        yield


@contextmanager
def _as(called: str, kind: type[_Stream]) -> Iterator[None]:
    before = getattr(sys, called)
    if not isinstance(before, io.TextIOWrapper):  # a test that keeps what is written
        yield
        return
    before.flush()
    stream = kind(
        before.buffer,
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )
    setattr(sys, called, stream)
    try:
        yield
    finally:
        setattr(sys, called, before)
        if stream.lost:  # what it still holds cannot fail again when Python ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        stream.detach()  # or it would close what is not its own
