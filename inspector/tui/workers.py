"""What runs in threads: opening, measuring, filtering. They post messages and touch no widget.

Torch is imported here, inside a thread, when the first measurement starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from textual.message import Message

from inspector.errors import CancelledError, InspectorError
from inspector.names import in_order
from inspector.study import Settings, Study
from inspector.tui.messages import Filtered, Noted, Opened, OpeningDone, Progress, Snapshot, Stopped

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.adapters.progress import Progress as Download

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
        from inspector.analysis import analyse, device_named

        study = analyse(
            adapters,
            replace(settings, device=device_named(settings.device)),
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


def filter_study(study: Study, projection: str, serial: int, post: Post) -> None:
    """Layer and global numbers over one projection's modules."""
    from inspector.aggregate import aggregate

    try:
        post(Filtered(serial, projection, aggregate(study, frozenset({projection}))))
    except Exception as error:  # noqa: BLE001
        post(Noted(f"Filtering by {projection} failed: {type(error).__name__}: {error}", "bad"))


def open_all(sources: Sequence[str], taken: Sequence[str], generation: int, post: Post, cancelled: Cancelled) -> None:
    """Adapters one by one as their headers are read, under names not `taken`; failures in words at the end."""
    failures: list[str] = []
    try:
        from inspector.adapters.opening import Failure, iterate
        from inspector.text import plain

        def progress(at: Download) -> None:
            size = f"{at.done / 1e6:.1f} of {at.total / 1e6:.1f} MB" if at.total else f"{at.done / 1e6:.1f} MB"
            post(Progress(generation, f"{plain(at.source)}: {size}", at.done, at.total))

        for found in iterate(sources, taken=taken, progress=progress, cancelled=cancelled):
            if isinstance(found.result, Failure) and found.result.skipped:
                post(Noted(str(found.result), "info"))
            elif isinstance(found.result, Failure):
                failures.append(str(found.result))
            else:
                post(Opened(generation, found.result, found.order))
    except CancelledError:
        post(OpeningDone(generation, failures, cancelled=True))
        return
    except InspectorError as error:
        failures.append(str(error))
    except Exception as error:  # noqa: BLE001
        failures.append(f"Opening stopped: {type(error).__name__}: {error}")
    post(OpeningDone(generation, failures, cancelled=cancelled()))
