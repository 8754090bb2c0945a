"""A study as it may be published: no path of the machine it was measured on, whose folders name people."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePath, PureWindowsPath

from inspector.study.adapter_info import AdapterInfo
from inspector.study.study import ProbeInfo, Study

_WITHIN = re.compile(r"(?<![\w.<>/:~\\…-])(?:~[\w.-]*/|/[^\s/'\",;:()<>|]+/|[A-Za-z]:\\)[^\s'\",;:()<>|]*")
"""A path from the root or from a home within a sentence: of two steps at least, for `/s` is none."""


def published(study: Study) -> Study:
    """The study with its paths shortened: those below the working directory from there, others named for a reader."""
    reading = tuple(stated(word) for word in study.settings.reading)
    return replace(
        study,
        adapters=tuple(_adapter(adapter) for adapter in study.adapters),
        probes=tuple(_probe(info) for info in study.probes),
        settings=replace(study.settings, reading=reading),
    )


def stated(path: str, name: str = "") -> str:
    """A path for a command line: as it is, from the working directory, or `<path of NAME>` for the reader to fill in.

    Hub ids and what is not a path stay as they were written.
    """
    if not _foreign(path):
        return path
    return _below(path) or f"<path of {name or _end(path)}>"


def cleared(text: str) -> str:
    """A sentence with the paths in it shortened: from the working directory, else to `…/` and their last part."""
    return _WITHIN.sub(lambda found: _below(found[0]) or f"…/{_end(found[0])}", text)


def _foreign(path: str) -> bool:
    """Whether it starts at a root, at a home, or above where it is read."""
    parts = PurePath(path).parts
    return path.startswith(("/", "~")) or PureWindowsPath(path).drive != "" or ".." in parts


def _below(path: str) -> str:
    """The path from the working directory; empty where it is not below it."""
    here = Path.cwd()
    try:
        full = Path(path).expanduser()
        if PureWindowsPath(path).drive and not full.is_absolute():
            return ""
        return next((str(p.relative_to(here)) for p in (full, full.resolve()) if p.is_relative_to(here)), "")
    except (OSError, RuntimeError):  # an unknown ~user, a loop of links
        return ""


def _end(path: str) -> str:
    """The last part, of either kind of path."""
    return PureWindowsPath(path.rstrip("/\\")).name or "it"


def _adapter(adapter: AdapterInfo) -> AdapterInfo:
    """A base by its name alone, as bases are told apart; findings without the adapter's own path."""
    source = stated(adapter.source, adapter.name)
    known = adapter.source if _foreign(adapter.source) else ""
    findings = tuple(
        replace(finding, text=cleared(finding.text.replace(known, source) if known else finding.text))
        for finding in adapter.findings
    )
    base = _below(adapter.base) or _end(adapter.base) if _foreign(adapter.base) else adapter.base
    return replace(adapter, source=source, base=base, findings=findings)


def _probe(info: ProbeInfo) -> ProbeInfo:
    return replace(
        info, base=stated(info.base), prompts=stated(info.prompts), detail=cleared(info.detail), note=cleared(info.note)
    )
