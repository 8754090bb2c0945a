"""What runs in threads: opening, measuring, filtering. They post messages and touch no widget.

Torch is imported here, inside a thread, when the first measurement starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from textual.message import Message

from inspector.errors import CancelledError, InspectorError
from inspector.names import in_order
from inspector.study import Settings, Study
from inspector.tui.messages import Filtered, Opened, OpeningDone, Progress, Snapshot, Stopped

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter

Post = Callable[[Message], Any]
Cancelled = Callable[[], bool]


def headers_only(adapters: Sequence[Adapter], settings: Settings) -> Study:
    """Who is open, before anything is measured."""
    modules = in_order({module for adapter in adapters for module in adapter.modules})
    shapes = np.zeros((len(adapters), len(modules), 2), dtype=np.int64)
    for i, adapter in enumerate(adapters):
        for m, module in enumerate(modules):
            if module in adapter.modules:
                shapes[i, m] = adapter.modules[module].d_out, adapter.modules[module].d_in
    return Study(tuple(a.info for a in adapters), modules, shapes, settings)


def measure(adapters: Sequence[Adapter], settings: Settings, generation: int, post: Post, cancelled: Cancelled) -> None:
    """Every number of every pair, with snapshots on the way."""
    post(Progress(generation, "loading torch"))
    try:
        from inspector.analysis import analyse

        study = analyse(
            adapters,
            settings,
            progress=lambda done, total: post(Progress(generation, f"analysing {done}/{total} modules", done, total)),
            partial=lambda study: post(Snapshot(generation, study, complete=False)),
            cancelled=cancelled,
        )
        post(Snapshot(generation, study, complete=True))
    except CancelledError:
        post(Stopped(generation, "cancelled: what was measured so far stays", "warn"))
    except InspectorError as error:
        post(Stopped(generation, str(error)))
    except Exception as error:  # noqa: BLE001 - whatever a reader or torch raises must not end the app
        post(Stopped(generation, f"The analysis stopped: {type(error).__name__}: {error}"))


def filter_study(study: Study, projection: str, generation: int, post: Post) -> None:
    """Layer and global numbers over one projection's modules."""
    from inspector.aggregate import aggregate

    try:
        post(Filtered(generation, projection, aggregate(study, frozenset({projection}))))
    except Exception as error:  # noqa: BLE001
        post(Stopped(generation, f"Filtering by {projection} failed: {type(error).__name__}: {error}"))


def open_all(sources: Sequence[str], generation: int, post: Post, cancelled: Cancelled) -> None:
    """Adapters one by one as their headers are read; failures in words at the end."""
    failures: list[str] = []
    try:
        from inspector.adapters.opening import Failure, open_sources

        def progress(text: str, done: int = 0, total: int = 0) -> None:
            post(Progress(generation, text, done, total))

        for found in open_sources(sources, progress=progress, cancelled=cancelled):
            if isinstance(found, Failure):
                failures.append(str(found))
            else:
                post(Opened(generation, found))
    except CancelledError:
        post(OpeningDone(generation, failures, cancelled=True))
        return
    except InspectorError as error:
        failures.append(str(error))
    except Exception as error:  # noqa: BLE001
        failures.append(f"Opening stopped: {type(error).__name__}: {error}")
    post(OpeningDone(generation, failures, cancelled=cancelled()))
