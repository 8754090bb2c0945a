"""What runs in threads: opening, measuring, filtering. They post messages and touch no widget.

Torch is imported here, inside a thread, when the first measurement starts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from textual.message import Message

from inspector.common.errors import CancelledError, InspectorError
from inspector.study.module_id import in_order
from inspector.study.study import Settings, Study
from inspector.tui.messages import (
    Aligned,
    Estimated,
    Filtered,
    Noted,
    Opened,
    OpeningDone,
    Probed,
    Progress,
    Snapshot,
    Stopped,
)

if TYPE_CHECKING:
    from inspector.adapters.hub.progress import Progress as Download
    from inspector.adapters.model import Adapter
    from inspector.adapters.options import ReadOptions
    from inspector.probes.request import Request
    from inspector.probes.runner import Prober

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

    def progress(done: int, total: int) -> None:
        text = f"analysing {done}/{total} modules" if done < total else f"adding up {total} modules"
        post(Progress(generation, text, done, total))

    with _reported("analysis", generation, post):
        from inspector.adapters.alignment import aligned
        from inspector.analysis.analyse import analyse, device_named

        adapters = aligned(adapters)
        post(Aligned(generation, adapters))
        study = analyse(
            adapters,
            replace(settings, device=device_named(settings.device)),
            progress=progress,
            partial=lambda study: post(Snapshot(generation, study, complete=False)),
            cancelled=cancelled,
        )
        post(Snapshot(generation, study, complete=True))


@contextmanager
def _reported(what: str, generation: int, post: Post) -> Iterator[None]:
    """Whatever a reader, a model or torch raises is posted as Stopped: it must not end the app."""
    post(Progress(generation, "loading torch"))
    try:
        yield
    except CancelledError:
        post(Stopped(generation, "cancelled: what was measured so far stays", "warn"))
    except InspectorError as error:
        post(Stopped(generation, str(error)))
    except Exception as error:  # noqa: BLE001
        post(Stopped(generation, f"The {what} stopped: {type(error).__name__}: {error}"))


def filter_study(study: Study, projection: str, serial: int, post: Post) -> None:
    """Layer and global numbers over one projection's modules."""
    from inspector.study.aggregate import aggregate

    try:
        post(Filtered(serial, projection, aggregate(study, frozenset({projection}))))
    except Exception as error:  # noqa: BLE001
        post(Noted(f"Filtering by {projection} failed: {type(error).__name__}: {error}", "bad"))


def open_all(
    sources: Sequence[str],
    read_options: ReadOptions | None,
    taken: Sequence[str],
    generation: int,
    post: Post,
    cancelled: Cancelled,
) -> None:
    """Adapters one by one as their headers are read, under names not `taken`; failures in words at the end."""
    failures: list[str] = []
    try:
        from inspector.adapters.opening import Failure, iterate
        from inspector.adapters.options import DEFAULTS
        from inspector.common.text import in_bytes, plain
        from inspector.tui.hub_picker.choose import chooser

        def progress(at: Download) -> None:
            size = f"{in_bytes(at.done)} of {in_bytes(at.total)}" if at.total else in_bytes(at.done)
            post(Progress(generation, f"{size} · {plain(at.source)}", at.done, at.total))

        choose = chooser(generation, post, cancelled)
        for found in iterate(
            sources,
            read_options=read_options or DEFAULTS,
            taken=taken,
            progress=progress,
            cancelled=cancelled,
            choose=choose,
        ):
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


class Probers:
    """The one Prober of the app, made by the first thread that asks: it keeps its base model from run to run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prober: Prober | None = None

    def get(self) -> Prober:
        from inspector.probes.runner import Prober

        with self._lock:
            self._prober = self._prober or Prober()
            return self._prober


def estimate(probers: Probers, adapters: Sequence[Adapter], study: Study, request: Request) -> tuple[str, bool]:
    """What the request will cost, in words; or why it cannot run, and True."""
    try:
        found = probers.get().estimate(adapters, study, request)
        return "; ".join(filter(None, (found.caution, found.text))), False
    except InspectorError as error:
        return str(error), True
    except Exception as error:  # noqa: BLE001 - a cost that cannot be told does not forbid the run
        return f"cost unknown ({type(error).__name__}: {error})", False


def cost(job: Callable[[], tuple[str, bool]], serial: int, post: Post) -> None:
    """Estimate, and report to the dialog that asked."""
    text, refused = job()
    post(Estimated(serial, text, refused))


def probe(
    probers: Probers,
    adapters: Sequence[Adapter],
    study: Study,
    request: Request,
    generation: int,
    post: Post,
    cancelled: Cancelled,
) -> None:
    """Run the base model with the adapters; the study as points appear, and at the end."""
    started = time.monotonic()
    with _reported("probe", generation, post):
        done = probers.get().run(
            adapters,
            study,
            request,
            progress=lambda text, at, total: post(Progress(generation, text, at, total)),
            partial=lambda so_far: post(Probed(generation, so_far, complete=False)),
            note=lambda text: post(Noted(text, "warn")),
            cancelled=cancelled,
        )
        post(Probed(generation, done, complete=True, seconds=time.monotonic() - started))
