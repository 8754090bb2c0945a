"""`inspector sketch`: sources, or a share of them, to a file of sketches that grows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from inspector.common.console import Progress, say
from inspector.common.errors import InspectorError
from inspector.common.text import count, plain
from inspector.study.sketch_file import Appending, appending
from inspector.study.sketches import Sketch

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.adapters.opening import Failure
    from inspector.adapters.options import ReadOptions

_SAVE_EVERY = 20.0
"""Seconds of work at most that a kill costs, and at least ten times what saving takes."""


class Sketched(NamedTuple):
    """The sources and digests that were found, in their order, and what could not be sketched."""

    found: list[tuple[str, str]]
    failures: list[Failure]


def sketch(sources: Sequence[str], out: Path, *, shard: str = "0/1", read_options: ReadOptions) -> int:
    """Sketch what of the sources' share is not in the file yet; 3 if something could not be, 0 else."""
    share = shared(listed(sources, read_options), shard)
    if not share:  # of an array with more tasks than sources
        say(f"Share {shard} has no source: nothing to do.")
        return 0
    with appending(out) as part:
        before = len(part.has)
        done = sketch_into(part, share, read_options)
        added = len(part.has) - before
    known = len(done.found) - added
    there = f"; {known} {'was' if known == 1 else 'were'} there" if known else ""
    say(f"Added {count(added, 'adapter')} to {plain(out, 400)}{there}.")
    return 0 if all(failure.skipped for failure in done.failures) else 3


def listed(sources: Sequence[str], read_options: ReadOptions) -> list[str]:
    """A source for each adapter of folders and patterns; of `@FILE` its lines; Hub ids as they are.

    Raises InspectorError where a list cannot be read. What holds no adapter stays, and its opening says why.
    """
    from inspector.adapters.locate import expand, matches
    from inspector.adapters.sources import Local, parse

    found: list[str] = []
    for source in _lines(sources):
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


def sketch_into(part: Appending, sources: Sequence[str], read_options: ReadOptions) -> Sketched:
    """Add the sketches that a file does not hold, several at a time; one bad source does not stop the others."""
    from inspector.adapters.model import Adapter
    from inspector.adapters.opening import Failure, iterate
    from inspector.common.cores import allowed
    from inspector.geometry.threads import in_threads
    from inspector.workflows.failures import Downloads, tell_causes

    done, tell = Sketched([], []), Progress()

    def adapters() -> Iterator[Adapter]:
        for opened in iterate(sources, read_options=read_options, progress=Downloads()):
            if isinstance(opened.result, Adapter):
                yield opened.result
            else:
                done.failures.append(opened.result)

    saved, takes = time.monotonic(), 0.0
    results = in_threads(adapters(), partial(_sketched, part), allowed())
    for n, (source, digest, found) in enumerate(results, 1):
        if isinstance(found, InspectorError):
            done.failures.append(Failure(source, str(found)))
            continue
        done.found.append((source, digest))
        if found is not None:
            part.add(found)
        if time.monotonic() - saved > max(_SAVE_EVERY, 10 * takes):
            started = time.monotonic()
            part.save()
            saved = time.monotonic()
            takes = saved - started
        tell(f"{n}/{len(sources)} sketched", n, len(sources))
    tell_causes(done.failures, opened=len(done.found))
    return done


def _sketched(part: Appending, adapter: Adapter) -> tuple[str, str, Sketch | InspectorError | None]:
    """Source and digest, and the sketch if the file does not hold it; the error if it cannot be."""
    from inspector.adapters.opening import identity
    from inspector.analysis.sketching import sketch_of

    source = adapter.info.source
    try:
        digest = identity(adapter)
        return source, digest, None if (source, digest) in part.has else sketch_of(adapter)
    except InspectorError as error:
        return source, "", error
