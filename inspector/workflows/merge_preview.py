"""`inspector merge-preview`: weighted sources -> what their sum would be, and, where asked, the sum."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from inspector.adapters.alignment import aligned
from inspector.adapters.model import Adapter
from inspector.adapters.opening import Failure, iterate
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.peft.writer import refuse_destination
from inspector.adapters.sources import Local, parse
from inspector.analysis.analyse import analyse
from inspector.common.console import Progress, say, wrote
from inspector.common.errors import InspectorError
from inspector.common.text import plain
from inspector.merging.preview import Preview, refuse_activated, refuse_other_bases, refused
from inspector.merging.spectra import spectra
from inspector.merging.writing import (
    refuse_cut,
    refuse_other_kernels,
    refuse_to_write_other_bases,
    refuse_unaddable,
    write,
)
from inspector.study.export import refuse_unwritable, save
from inspector.study.study import Settings
from inspector.tables.merging import print_preview
from inspector.workflows.failures import Downloads, tell_findings, tell_side_by_side

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LEAST, _MOST = 1e-30, 1e30
"""Sizes of weights other than 0: squares of what they scale stay within float64."""


def weighted(text: str) -> tuple[str, float]:
    """`SOURCE:WEIGHT`: the weight is what follows the last colon, if that is 0 or of a usable size; else it is 1.

    A path that exists is a source as it is.
    """
    source, colon, weight = text.rpartition(":")
    if not colon or not _NUMBER.fullmatch(weight) or Path(text).exists():
        return text, 1.0
    if float(weight) and not _LEAST <= abs(float(weight)) <= _MOST:
        return text, 1.0
    return source, float(weight)


def _refuse_no_weight(text: str) -> None:
    """Raise InspectorError for a source that is here, if what follows it is not a weight: before anything is asked."""
    source, _, weight = text.rpartition(":")
    if weighted(text)[0] == text and _is_here(source) and not _is_here(text):
        what = f"{plain(source)!r} is here, but {plain(weight, 40)!r} after it is not a weight"
        raise InspectorError(f"{what}: write 0 or a number of {_LEAST:g} to {_MOST:g}, such as {plain(source)}:0.5.")


def _is_here(source: str) -> bool:
    try:
        return isinstance(parse(source), Local)
    except InspectorError:
        return False


def merge_preview(
    sources: Sequence[str],
    *,
    rank: int | None,
    dest: Path | None,
    out: Path | None,
    device: str,
    by: Sequence[str] = (),
    read_options: ReadOptions = DEFAULTS,
) -> int:
    """Print what Σ w·ΔW would be; write the numbers to `out`, the sum itself to `dest`, where these are given.

    `by`: `projection`, `layer`, or both, for a table of each.
    3 where some module could not be added, or where something of a parent is not in what was written.
    """
    if dest is not None:
        refuse_destination(dest)
    if out is not None:
        refuse_unwritable(out)
    tell = Progress()

    def telling(what: str) -> Callable[[int, int], None]:
        return lambda done, total: tell(f"{done}/{total} {what}", done, total)

    adapters, weights = _opened(sources, read_options)
    refuse_activated([adapter.info for adapter in adapters], weights)
    if dest is not None:
        refuse_to_write_other_bases(adapters, weights)
    refuse_other_bases([adapter.info for adapter in adapters], weights)
    adapters = aligned(adapters)
    study = analyse(adapters, Settings(device=device, reading=read_options.words), progress=telling("modules measured"))
    if not study.modules:
        raise InspectorError(f"No module can be added: {_first_error(adapters)}")
    if dest is not None:
        refuse_unaddable(study, weights)
        refuse_cut(adapters, weights)
        refuse_other_kernels(adapters, weights)
    tell_findings(study.adapters)
    tell_side_by_side(adapters)
    sigma = spectra(adapters, study, weights, device=device, progress=telling("modules added"))
    preview = Preview(study, weights, sigma)
    cannot = refused(study, weights)
    for module, reason in cannot:
        say(f"{plain(module)} is left out: {plain(reason, 300)}")
    lost = bool(cannot)
    if out is not None:
        wrote(*save(preview.in_study(), out))
    if dest is not None:
        written = write(dest, adapters, preview, base=read_options.base, progress=telling("modules made"))
        say("\n".join((*written.lost, *written.notes, written.text)))
        lost = bool(written.lost)
    print_preview(preview, rank or preview.default_rank, by)  # last: whoever reads it may leave before its end
    return 3 if lost else 0


def _opened(sources: Sequence[str], read_options: ReadOptions) -> tuple[list[Adapter], tuple[float, ...]]:
    """Every source, each with its weight: a sum that lacks a part is another sum.

    Other files beside the adapters of a folder or a pattern are skipped with a word.
    """
    for text in sources:
        _refuse_no_weight(text)
    wanted = [weighted(text) for text in sources]
    named = [source for source, _ in wanted]
    opened = iterate(named, read_options=read_options, progress=Downloads())
    adapters, weights, parts = [], [], Counter[int]()
    for found in sorted(opened, key=lambda found: found.order):
        if isinstance(found.result, Failure):
            if not found.result.skipped or found.result.source in named:
                raise InspectorError(found.result.message)
            say(str(found.result))
            continue
        weight = wanted[found.order[0]][1]
        _refuse_unusable(found.result, weight)
        adapters.append(found.result)
        weights.append(weight)
        parts[found.order[0]] += 1
    if not adapters:
        raise InspectorError("No source is an adapter.")
    if not np.any(weights):
        raise InspectorError("Every weight is 0, and so is the sum: write SOURCE:WEIGHT, such as out/sft:0.5.")
    for at, many in parts.items():
        if many > 1:
            source, weight = wanted[at]
            say(f"{plain(source, 300)} stands for {many} adapters, each added with the weight {weight:g}.")
    return adapters, tuple(weights)


def _refuse_unusable(adapter: Adapter, weight: float) -> None:
    """Raise InspectorError for an adapter without modules, and for one of unknown scale that is to count."""
    if not adapter.modules:
        raise InspectorError(f"{adapter.info.name} cannot be added: {_first_error([adapter])}")
    if weight:
        adapter.refuse_unscaled("added")


def _first_error(adapters: Sequence[Adapter]) -> str:
    errors = [f.text for a in adapters for f in a.info.findings if f.severity == "error"]
    return errors[0] if errors else "it has no usable module."
