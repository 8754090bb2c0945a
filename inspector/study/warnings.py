"""What is odd about adapters, in lines: of many adapters with one fault there is one line, not one each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from inspector.common.text import count, first, some
from inspector.study.adapter_info import HealthIssue

_ALIKE = 3
"""Findings of one kind that are told in full."""
_BESIDE = " beside it, opened only if named: "


def severe(findings: Sequence[HealthIssue]) -> tuple[HealthIssue, ...]:
    """Those that limit how an adapter's numbers may be read."""
    return tuple(finding for finding in findings if finding.severity != "info")


def beside(paths: Sequence[str]) -> tuple[HealthIssue, ...]:
    """What lies beside an adapter and is not opened with it: those with a number in their path are checkpoints."""
    if not paths:
        return ()
    noun = "checkpoint" if all(re.search(r"\d", path) for path in paths) else "adapter"
    return (HealthIssue("info", f"{count(len(paths), noun)}{_BESIDE}{first(paths)}"),)


def of_folders(findings: Sequence[HealthIssue]) -> tuple[HealthIssue, ...]:
    """Those of `beside`."""
    return tuple(finding for finding in findings if _BESIDE in finding.text)


def finding_lines(
    found: Mapping[str, Sequence[HealthIssue]],
    chosen: Callable[[Sequence[HealthIssue]], Sequence[HealthIssue]] = severe,
) -> Iterator[str]:
    """Every chosen finding once, with the adapters (name -> findings) it is about: `error: a, b: …`, errors first.

    Findings that differ in numbers and names alone are of one kind: beyond `_ALIKE`, only who has them.
    """
    kinds: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name, findings in found.items():
        for finding in chosen(findings):
            texts = kinds.setdefault((finding.severity, _kind(finding.text)), {})
            texts.setdefault(finding.text, []).append(name)
    for (severity, _), texts in sorted(kinds.items(), key=lambda kind: kind[0][0]):
        listed = list(texts.items())
        for text, names in listed[:_ALIKE]:
            who = f"all {len(names)} adapters" if len(names) == len(found) > 1 else some(names)
            yield f"{severity}: {who}: {text}"
        if rest := list(dict.fromkeys(name for _, names in listed[_ALIKE:] for name in names)):
            yield f"{severity}: {some(rest)}: the same with other numbers; `inspector check` prints each."


def _kind(text: str) -> str:
    """The words before what differs from adapter to adapter: lists after a colon or in brackets, and numbers."""
    return re.sub(r"\d[\d.,]*", "#", re.split(r"[:(]", text, maxsplit=1)[0])
