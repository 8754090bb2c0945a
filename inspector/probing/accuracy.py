"""Accuracy inside the app and in `analyze`: the same records as `inspector eval`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.adapters.model import Adapter
from inspector.probing.job import Job


def run(job: Job, adapters: Sequence[Adapter], note: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
    """Greedy pass@1 of the base and of every adapter."""
    raise NotImplementedError
