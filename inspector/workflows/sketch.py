"""`inspector sketch`: sources, or a share of them, to a file of sketches that grows."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from inspector.common.console import Progress, say
from inspector.common.errors import InspectorError
from inspector.common.object_storage import Storage, is_stored, working_copy
from inspector.common.text import count, plain
from inspector.study.sketch_file import Appending, appending, is_part
from inspector.study.sketches import Sketch

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.adapters.opening import Failure
    from inspector.adapters.options import ReadOptions
    from inspector.workflows.on_ray import Ray

_SAVE_EVERY = 20.0
"""Seconds of work at most that a kill costs, and at least ten times what saving takes."""


class Sketched(NamedTuple):
    """The sources and digests that were found, in their order, and what could not be sketched."""

    found: list[tuple[str, str]]
    failures: list[Failure]


HUB = "hub:"
"""Before a base: the adapters of it on the Hub."""
MOST = 200
"""Of these, unless the user says how many."""


def sketch(sources: Sequence[str], out: str, *, shard: str = "0/1", most: int = MOST, read_options: ReadOptions) -> int:
    """Sketch what of the sources' share is not in the file yet; 3 if something could not be, 0 else."""
    share = shared(listed(sources, read_options, most), shard)
    if not share:  # of an array with more tasks than sources
        say(f"Share {shard} has no source: nothing to do.")
        return 0
    with working_copy(out) as (path, put), appending(path, put) as part:
        before = len(part.has)
        done = sketch_into(part, share, read_options)
        added = len(part.has) - before
    known = len(done.found) - added
    there = f"; {known} {'was' if known == 1 else 'were'} there" if known else ""
    say(f"Added {count(added, 'adapter')} to {plain(out, 400)}{there}.")
    return 0 if all(failure.skipped for failure in done.failures) else 3


def listed(sources: Sequence[str], read_options: ReadOptions, most: int = MOST) -> list[str]:
    """A source for each adapter of folders and patterns; of `@FILE` its lines; Hub ids as they are.

    Of `hub:BASE` the `most` downloaded repos that name this base. Raises InspectorError where a list cannot be read or
    the Hub does not answer. What holds no adapter stays, and its opening says why.
    """
    from inspector.adapters.locate import expand, matches
    from inspector.adapters.sources import Local, parse

    found: list[str] = []
    for source in _lines(sources):
        if source.startswith(HUB) and not os.path.lexists(source):
            found += _of_base(source.removeprefix(HUB), most)
            continue
        for text in matches(source):
            try:
                parsed = parse(text)
                if isinstance(parsed, Local) and not parsed.name:
                    found += [place.source for place in expand(parsed, read_options)]
                else:
                    found.append(text)
            except InspectorError:
                found.append(text)
    return found


def _of_base(base: str, most: int) -> list[str]:
    from inspector.adapters.hub.search import of_base

    repos = of_base(base, most + 1)
    if not repos:
        raise InspectorError(f"The Hub has no adapter that names the base {plain(base)!r}: write it as org/name.")
    if len(repos) > most:
        say(f"The Hub has more than {most} adapters of {plain(base)}: the most downloaded ones (--most).")
    return repos[:most]


def parts(sources: Sequence[str], scratch: Path) -> tuple[list[Path], list[str]]:
    """The files of sketches among sources, those in object storage copied here; and the other sources."""
    files: list[Path] = []
    others: list[str] = []
    for source in sources:
        if is_stored(source) and source.endswith(".parquet"):
            for url in Storage.of(source).matching() or [source]:
                files.append(scratch / f"part-{len(files)}.parquet")
                Storage.of(url).get(files[-1])
        elif is_part(Path(source)):
            files.append(Path(source))
        else:
            others.append(source)
    return files, others


def _lines(sources: Sequence[str]) -> Iterator[str]:
    for source in sources:
        if not source.startswith("@"):
            yield source
            continue
        try:
            lines = Path(source[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", "") or "it is no UTF-8 text"
            raise InspectorError(f"Cannot read the list {plain(source[1:], 400)}: {why}.") from error
        yield from (line.strip() for line in lines if line.strip() and not line.startswith("#"))


def shared(sources: Sequence[str], shard: str) -> list[str]:
    """Every n-th source from the i-th on, of `i/n` with 0 ≤ i < n."""
    i, slash, n = shard.partition("/")
    if not (slash and i.isdecimal() and n.isdecimal() and int(i) < int(n)):
        raise InspectorError(f"--shard {shard!r} is not i/n with 0 ≤ i < n: the first of eight shares is 0/8.")
    return list(sources[int(i) :: int(n)])


def sketch_into(
    part: Appending, sources: Sequence[str], read_options: ReadOptions, engine: Ray | None = None
) -> Sketched:
    """Add the sketches that a file does not hold, several at a time; one bad source does not stop the others.

    Without an engine in threads of this process. Names, rows and their order are the same either way.
    """
    from inspector.adapters.opening import Failure
    from inspector.workflows.failures import tell_causes

    done, tell = Sketched([], []), Progress()
    saved, takes = time.monotonic(), 0.0
    results = _here(part, sources, read_options) if engine is None else _there(part, sources, read_options, engine)
    for n, (source, digest, found) in enumerate(results, 1):
        if isinstance(found, Failure):
            done.failures.append(found)
        else:
            done.found.append((source, digest))
        if isinstance(found, Sketch):
            part.add(found)
        if time.monotonic() - saved > max(_SAVE_EVERY, 10 * takes):
            started = time.monotonic()
            part.save()
            saved = time.monotonic()
            takes = saved - started
        tell(f"{n}/{max(n, len(sources))} sketched", n, max(n, len(sources)))
    tell_causes(done.failures, opened=len(done.found))
    return done


class One(NamedTuple):
    """An adapter of a source: its sketch, None if it is known by source and digest, or why it has none."""

    source: str
    digest: str
    found: Sketch | Failure | None


def _here(part: Appending, sources: Sequence[str], read_options: ReadOptions) -> Iterator[One]:
    """Opened one after the other, sketched in threads."""
    from inspector.adapters.model import Adapter
    from inspector.adapters.opening import iterate
    from inspector.common.cores import allowed
    from inspector.geometry.threads import in_threads
    from inspector.workflows.failures import Downloads

    failures: list[Failure] = []

    def adapters() -> Iterator[Adapter]:
        for opened in iterate(sources, read_options=read_options, progress=Downloads()):
            if isinstance(opened.result, Adapter):
                yield opened.result
            else:
                failures.append(opened.result)

    yield from in_threads(adapters(), partial(_sketched, has=part.has), allowed())
    yield from (One(failure.source, "", failure) for failure in failures)


def _there(part: Appending, sources: Sequence[str], read_options: ReadOptions, engine: Ray) -> Iterator[One]:
    """Opened and sketched a source a task, those on this machine first; named as if all were opened together."""
    from inspector.adapters.locate import expand
    from inspector.adapters.opening import Failure
    from inspector.adapters.sources import Local, Place, name_places, parse

    places: dict[int, list[Place]] = {}
    for n, text in enumerate(sources):
        with suppress(InspectorError):  # a task says why
            if isinstance(parsed := parse(text), Local):
                places[n] = expand(parsed, read_options)
    names = iter(name_places([place for found in places.values() for place in found]))
    called = {n: [next(names) for _ in found] for n, found in places.items()}
    taken = {name for found in called.values() for name in found}
    order = [*places, *(n for n in range(len(sources)) if n not in places)]
    work = partial(sketch_source, read_options=read_options, has=frozenset(part.has))
    for n, found in zip(order, engine.run(work, (sources[n] for n in order)), strict=True):
        if isinstance(found, InspectorError):
            yield One(sources[n], "", Failure(sources[n], str(found)))
            continue
        if len(called.get(n, ())) != len(found):  # of the Hub, or a worker sees other files
            called[n] = name_places([Place(Path(), one.source, (name,), name) for name, one in found], taken)
            taken.update(called[n])
        for name, (_, one) in zip(called[n], found, strict=True):
            yield one._replace(found=replace(one.found, name=name)) if isinstance(one.found, Sketch) else one


def sketch_source(source: str, *, read_options: ReadOptions, has: Collection[tuple[str, str]]) -> list[tuple[str, One]]:
    """The adapters of a source, each with its name among these: opened and sketched in this process."""
    from inspector.adapters.model import Adapter
    from inspector.adapters.opening import iterate

    found = sorted(iterate([source], read_options=read_options), key=lambda opened: opened.order)
    results = [opened.result for opened in found]
    return [
        (one.info.name, _sketched(one, has)) if isinstance(one, Adapter) else (one.source, One(one.source, "", one))
        for one in results
    ]


def _sketched(adapter: Adapter, has: Collection[tuple[str, str]]) -> One:
    """Its sketch, unless the file has it."""
    from inspector.adapters.opening import Failure, identity
    from inspector.analysis.sketching import sketch_of

    source = adapter.info.source
    try:
        digest = identity(adapter)
        return One(source, digest, None if (source, digest) in has else sketch_of(adapter))
    except InspectorError as error:
        return One(source, "", Failure(source, str(error)))
