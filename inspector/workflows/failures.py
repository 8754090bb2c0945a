"""Opening for a command: what could not be, by cause, and what is odd about the rest, on stderr. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from inspector.common.console import StatusLine, clear, rewritable, say
from inspector.common.errors import InspectorError
from inspector.common.text import count, in_bytes, plain, some
from inspector.study.adapter_info import AdapterInfo
from inspector.study.warnings import finding_lines, of_folders

if TYPE_CHECKING:
    from inspector.adapters.hub.progress import Progress
    from inspector.adapters.model import Adapter
    from inspector.adapters.opening import Failure
    from inspector.adapters.options import ReadOptions

_REPO = "\0"
"""Stands for the repo in a cause; texts from outside have no control characters."""
_NAMED = 3


def opened(
    sources: Sequence[str], read_options: ReadOptions, *, taken: Sequence[str] = (), instead: str = ""
) -> tuple[list[Adapter], list[Failure]]:
    """The adapters at these sources, and what could not be opened, which is reported.

    `taken` are the names of adapters that are open already. Raises InspectorError if then none is, with what to do
    `instead`.
    """
    from inspector.adapters.opening import open_sources

    adapters, failures = open_sources(sources, read_options=read_options, taken=taken, progress=Downloads())
    tell_causes(failures, opened=len(adapters) + len(taken), instead=instead)
    return adapters, failures


class Downloads:
    """How many bytes of a source are to come, then how many have."""

    def __init__(self) -> None:
        self._source, self._line = "", StatusLine()

    def __call__(self, at: Progress) -> None:
        if at.source != self._source:
            self._source, self._line = at.source, StatusLine(at_once=True)
        size = f"{in_bytes(at.done)} of {in_bytes(at.total)}"
        if not rewritable():
            self._line.show(f"Downloading {at.source}: {size if at.done else in_bytes(at.total)}")
        elif at.done < at.total:
            self._line.show(f"{size} · {at.source} {at.file}")
        else:
            clear()


def tell_findings(adapters: Iterable[AdapterInfo]) -> None:
    """What is odd about adapters, and what lies beside them, on stderr."""
    found = {adapter.name: adapter.findings for adapter in adapters}
    for line in (*finding_lines(found), *finding_lines(found, of_folders)):
        say(line)


def tell_side_by_side(adapters: Sequence[Adapter]) -> None:
    """What keeps them from being compared."""
    from inspector.checking.together import together

    for finding in together(adapters).findings():
        if finding.severity != "info":
            say(f"{finding.severity}: side by side: {finding.text}")


def causes(failures: Sequence[Failure]) -> list[str]:
    """A sentence a cause, in the order they came up; of several adapters it says how many and which."""
    groups: dict[tuple[str, bool], list[tuple[Failure, str, str]]] = {}
    for failure in failures:
        name, repo = _called(failure.source)
        cause = failure.message.replace(repo, _REPO) if repo else failure.message
        groups.setdefault((cause, failure.skipped), []).append((failure, name, repo))
    return [_told(cause, group) for (cause, _), group in groups.items()]


def tell_causes(failures: Sequence[Failure], *, opened: int, instead: str = "") -> None:
    """Say why these were not opened; raises InspectorError where nothing was, with what to do `instead`."""
    if not opened and len(failures) == 1:
        raise InspectorError(failures[0].message + instead)
    sentences = causes(failures)
    if not opened and len(sentences) == 1:
        raise InspectorError(sentences[0] + instead)
    for cause in sentences:
        say(cause)
    if not opened:
        raise InspectorError(f"No adapter could be opened.{instead}")


def _told(cause: str, group: Sequence[tuple[Failure, str, str]]) -> str:
    first = group[0][0]
    if len(group) == 1:
        return str(first)
    repos = some(list(dict.fromkeys(repo for *_, repo in group)))
    names = [plain(name, 80) for _, name, _ in group[:_NAMED]] + ["…"] * (len(group) > _NAMED)
    who = f"{count(len(group), 'adapter')} ({', '.join(names)})"
    return f"{'Skipped: ' if first.skipped else ''}{who}: {cause.replace(_REPO, repos)}"


def _called(source: str) -> tuple[str, str]:
    """The name it goes by in a list, and its repo; no repo where it is not a Hub id."""
    from inspector.adapters.sources import Remote, parse

    try:
        parsed = parse(source)
    except InspectorError:
        return source, ""
    return parsed.name or source, parsed.repo if isinstance(parsed, Remote) else ""
