"""huggingface_hub's settings are the whole process's: these tools set them around their own calls alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from huggingface_hub import constants
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented there
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from huggingface_hub.utils import logging as hub_logging

_CHUNK = 128 * 1024
"""Bytes of a download between two reports. 10 MB, the library's own, would come once a minute on a slow line, and a
line that is cut within a chunk loses it."""

_lock = threading.Lock()
_users = 0
_before = ExitStack()


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Within it huggingface_hub writes nothing to the screen and downloads in small chunks; usable as a decorator.

    Several threads may be in it at once, an abandoned download among them: the last one out restores the settings.
    """
    global _users  # noqa: PLW0603 - what it counts is the process's
    with _lock:
        if not _users:
            _set()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _before.close()


def _set() -> None:
    _before.callback(setattr, constants, "DOWNLOAD_CHUNK_SIZE", constants.DOWNLOAD_CHUNK_SIZE)
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    _before.callback(hub_logging.set_verbosity, hub_logging.get_verbosity())
    hub_logging.set_verbosity(logging.CRITICAL)
    # The user's HF_HUB_DISABLE_PROGRESS_BARS, 0 or 1, is stronger than any call.
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not are_progress_bars_disabled():
        _before.callback(enable_progress_bars)
        disable_progress_bars()
