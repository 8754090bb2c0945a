"""Progress and cancel for downloads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from inspector.common.errors import CancelledError


class TooLongError(Exception):
    """More bytes arrived than a file should have."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is: bytes of all files of the source, and the file at hand."""

    source: str
    file: str
    done: int
    total: int


def bar_class(report: Callable[[int], None], cancelled: Callable[[], bool], limit: int | None = None) -> Any:
    """A class that huggingface_hub takes for tqdm: it reports the bytes of one file, and shows nothing.

    Its updates raise CancelledError once `cancelled()` holds, which ends an abandoned download, and TooLongError
    once the file has more than `limit` bytes: a server that never stops would fill the disk.
    """

    class Bar:
        total: int | None = None

        def __init__(self, *_args: object, total: int | None = None, initial: int = 0, **_options: object) -> None:
            self.total, self.n, self.transferred = total, initial, initial

        def update(self, n: float | None = 1) -> None:
            self.n += int(n or 0)
            if limit is not None and self.n > limit:
                raise TooLongError(f"more than {limit} bytes")
            self._report()

        def update_transfer(self, n: float | None = 1) -> None:
            """Bytes over the network: under Xet they run ahead of those written."""
            self.transferred += int(n or 0)
            self._report()

        def _report(self) -> None:
            if cancelled():
                raise CancelledError("The download was cancelled.")
            report(max(self.n, self.transferred))

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_error: object) -> None:
            self.close()

        def close(self) -> None:
            """Nothing is open."""

        refresh = set_description = set_description_str = set_postfix_str = set_transfer_postfix_str = _nothing

    return Bar


def _nothing(*_args: object, **_options: object) -> None:
    """Part of tqdm's face that only draws."""
