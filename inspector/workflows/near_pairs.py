"""Exact cosines of the near pairs of an atlas: so many adapters opened at a time, in threads here or on Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from inspector.common.arrays import Floats
from inspector.common.console import Progress, say
from inspector.common.errors import InspectorError
from inspector.common.text import count
from inspector.insights.atlas import Pairs, blocks
from inspector.study.sketches import Sketches

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions
    from inspector.workflows.on_ray import Ray

_OPEN = 64
"""Adapters that a thread has open at once: what is read of their files stays mapped."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Together:
    """Adapters that are opened together, by source and digest; pairs (P, 2) of them, and blocks of alike ones."""

    adapters: tuple[tuple[str, str], ...]
    pairs: Pairs
    blocks: tuple[tuple[int, ...], ...]


def measured(sketches: Sketches, pairs: Pairs, read_options: ReadOptions, engine: Ray | None = None) -> Floats:
    """Their exact cosines (P,); NaN where one of the two is not what was sketched any more.

    Raises InspectorError if a cluster cannot do a part.
    """
    cosines, lost, done, tell = np.full(len(pairs), np.nan), set[str](), 0, Progress()
    parts = list(_parts(sketches, pairs))
    work = partial(measured_together, read_options=read_options)
    run = engine.run if engine is not None else _here
    for (where, _), found in zip(parts, run(work, (together for _, together in parts)), strict=True):
        if isinstance(found, InspectorError):
            raise found
        cosines[where] = found[0]
        lost |= found[1]
        done += len(where)
        tell(f"{done}/{len(pairs)} pairs measured", done, len(pairs))
    if lost:
        say(f"{count(len(lost), 'adapter')} cannot be opened here: their cosines are estimates.")
    return cosines


def _here(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    from inspector.common.cores import allowed
    from inspector.geometry.threads import in_threads

    return in_threads(items, work, allowed())


def _parts(sketches: Sketches, pairs: Pairs) -> Iterator[tuple[NDArray[np.int_], Together]]:
    """The pairs in parts of so many adapters, those within a block of alike ones together: their places, and they."""
    alike = blocks(sketches, pairs)
    block = {i: n for n, members in enumerate(alike) for i in members}
    few, who = list[int](), set[int]()
    for n in sorted(range(len(pairs)), key=lambda n: sorted(block[i] for i in pairs[n].tolist())):
        two = set(pairs[n].tolist())
        if len(who | two) > _OPEN:
            yield np.array(few), _together(sketches, pairs[few], alike)
            few, who = [], set()
        few.append(n)
        who |= two
    if few:
        yield np.array(few), _together(sketches, pairs[few], alike)


def _together(sketches: Sketches, pairs: Pairs, alike: Sequence[Sequence[int]]) -> Together:
    who = np.unique(pairs).tolist()
    at = {i: n for n, i in enumerate(who)}
    inside = (tuple(at[i] for i in block if i in at) for block in alike)
    adapters = tuple((sketches.all[i].source, sketches.all[i].digest) for i in who)
    return Together(adapters, np.searchsorted(who, pairs), tuple(block for block in inside if block))


def measured_together(together: Together, read_options: ReadOptions) -> tuple[Floats, set[str]]:
    """Their exact cosines, NaN where an adapter is not what was sketched any more; and the sources of these."""
    from inspector.adapters.opening import identity, open_sources
    from inspector.analysis.exact_pairs import exact_cosines

    opened, _ = open_sources([source for source, _ in together.adapters], read_options=read_options)
    here = {(adapter.info.source, identity(adapter)): adapter for adapter in opened}
    there = [n for n, key in enumerate(together.adapters) if key in here]
    at = {n: k for k, n in enumerate(there)}
    both = np.isin(together.pairs, there).all(1)
    cosines = np.full(len(together.pairs), np.nan)
    if both.any():
        inside = ([at[n] for n in block if n in at] for block in together.blocks)
        places = np.searchsorted(there, together.pairs[both])
        adapters = [here[together.adapters[n]] for n in there]
        cosines[both] = exact_cosines(adapters, places, [block for block in inside if block])
    return cosines, {source for source, digest in together.adapters if (source, digest) not in here}
