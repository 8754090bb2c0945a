"""From what the user wrote to open adapters; one bad source never stops the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.adapters.formats import read_adapter
from inspector.adapters.hub.progress import Progress
from inspector.adapters.locate import expand, matches
from inspector.adapters.model import Adapter
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.sources import Local, Place, Remote, name_places, parse
from inspector.adapters.stored import Stored
from inspector.adapters.stored import fetch as fetch_stored
from inspector.common.errors import CancelledError, InspectorError, NotAnAdapterError
from inspector.common.interruptible import interruptible
from inspector.common.text import plain
from inspector.study.adapter_info import HealthIssue
from inspector.study.provenance import RECORD, Origin, origin_of
from inspector.study.warnings import beside

if TYPE_CHECKING:
    from inspector.adapters.hub.fetch import Choose


@dataclass(frozen=True, slots=True)
class Failure:
    """A source, or one adapter of it, that could not be opened, and why."""

    source: str
    message: str
    skipped: bool = False
    """Whether it is a file that never was an adapter, swept up by a shell pattern."""

    def __str__(self) -> str:
        source = plain(self.source, 400)
        text = self.message if source in self.message else f"{source}: {self.message}"
        return f"Skipped: {text}" if self.skipped else text


@dataclass(frozen=True, slots=True)
class Opened:
    """One result, with its place in the order of the sources."""

    order: tuple[int, int]
    result: Adapter | Failure


def open_sources(
    sources: Sequence[str],
    *,
    read_options: ReadOptions = DEFAULTS,
    taken: Iterable[str] = (),
    progress: Callable[[Progress], None] = lambda _progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[list[Adapter], list[Failure]]:
    """Open all sources, in their order. Raises CancelledError as soon as `cancelled()` holds."""
    opened = sorted(
        iterate(sources, read_options=read_options, taken=taken, progress=progress, cancelled=cancelled),
        key=lambda opened: opened.order,
    )
    adapters = [found.result for found in opened if isinstance(found.result, Adapter)]
    failures = [found.result for found in opened if isinstance(found.result, Failure)]
    return adapters, failures


def iterate(
    sources: Sequence[str],
    *,
    read_options: ReadOptions = DEFAULTS,
    taken: Iterable[str] = (),
    progress: Callable[[Progress], None] = lambda _progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    choose: Choose | None = None,
) -> Iterator[Opened]:
    """Open the sources one result at a time: what is on this machine first, then what must be downloaded.

    `choose` says which adapters of a repo are downloaded; without it, all.
    Names are unique, and none is of `taken`. Raises CancelledError as soon as `cancelled()` holds.
    """
    names = set(taken)
    remote: list[tuple[int, Remote | Stored]] = []
    local: list[Local] = []
    places: list[tuple[int, Place]] = []
    for i, text in [(i, text) for i, pattern in enumerate(sources) for text in matches(pattern)]:
        try:
            source = Stored.of(text) or parse(text)
            if isinstance(source, Local):
                local.append(source)
                places += [(i, place) for place in interruptible(partial(expand, source, read_options), cancelled)]
            else:
                remote.append((i, source))
        except CancelledError:
            raise
        except InspectorError as error:
            skipped = isinstance(error, NotAnAdapterError)
            yield Opened((i, 0), Failure(text, str(error), skipped=skipped))
    named = {source.path for source in local}
    yield from _read(places, read_options, names, cancelled, named)
    for i, away in remote:
        if cancelled():
            raise CancelledError("Cancelled before all adapters were opened.")
        try:
            found = _fetched(away, read_options, choose, progress, cancelled)
        except CancelledError:
            raise
        except InspectorError as error:
            yield Opened((i, 0), Failure(sources[i], str(error)))
        else:
            yield from _read([(i, place) for place in found], read_options, names, cancelled)


def _fetched(
    away: Remote | Stored,
    read_options: ReadOptions,
    choose: Choose | None,
    progress: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> list[Place]:
    """Copied to this machine."""
    if isinstance(away, Stored):
        return interruptible(partial(fetch_stored, away, read_options, progress, cancelled), cancelled)
    from inspector.adapters.hub.fetch import everything, fetch

    chosen = choose or everything
    return fetch(away, read_options=read_options, choose=chosen, progress=progress, cancelled=cancelled)


def _read(
    places: Sequence[tuple[int, Place]],
    read_options: ReadOptions,
    names: set[str],
    cancelled: Callable[[], bool],
    named: Collection[Path] = (),
) -> Iterator[Opened]:
    """Read the headers of each place; its name joins `names`. No adapter is skipped unless it was `named` itself."""
    called = name_places([place for _, place in places], names)
    names.update(called)
    for n, ((i, place), name) in enumerate(zip(places, called, strict=True)):
        if cancelled():
            raise CancelledError("Cancelled before all adapters were opened.")
        if place.fault:
            yield Opened((i, n), Failure(place.source, place.fault, skipped=place.skipped))
            continue
        try:
            # A disk may be slow to answer, and a hundred thousand modules take seconds.
            adapter = interruptible(
                partial(read_adapter, place.path, name, place.source, read_options, listed=place.listed), cancelled
            )
            origin = origin_of(place.path, *place.components[:-3:-1], allow_pickle=read_options.allow_pickle)
            found = (*adapter.info.findings, *_read_there(origin), *beside(place.beside))
            info = replace(adapter.info, findings=found, origin=origin)
            yield Opened((i, n), replace(adapter, info=info))
        except CancelledError:
            raise
        except InspectorError as error:
            skipped = isinstance(error, NotAnAdapterError) and place.path not in named
            yield Opened((i, n), Failure(place.source, str(error), skipped=skipped))


def _read_there(origin: Origin) -> Iterator[HealthIssue]:
    """What files that other trainings left say of the run; of run.json and of names the reader knows."""
    if origin.told_by not in {"", RECORD, "name"}:
        yield HealthIssue("info", f"{origin.label}: as {origin.told_by} beside it says, not measured")


def content_digest(paths: Sequence[Path]) -> str:
    """The sha256 of the files' bytes, one after the other, in hexadecimal; raises InspectorError."""
    digest = hashlib.sha256()
    try:
        for path in paths:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
    except OSError as error:
        raise InspectorError(f"Cannot read {plain(error.filename)}: {error.strerror or error}.") from error
    return digest.hexdigest()


def identity(adapter: Adapter) -> str:
    """What an adapter is known by: sha256 of its weights, every module's scale, what else ΔW depends on, its tokens."""
    adapter = adapter.stored or adapter
    scales = sorted((str(id_), module.scale.value) for id_, module in adapter.modules.items())
    known = [content_digest(adapter.files), scales, *filter(None, (adapter.depends_on, adapter.invocation))]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
