"""A study with the names that tables, charts and sentences have: without what all of one's own names share."""

from __future__ import annotations

from dataclasses import replace

from inspector.common.labels import labels
from inspector.insights.nearest import own
from inspector.study.study import Study


def in_short(study: Study, width: int | None = None) -> tuple[Study, str]:
    """The study under short names, at most `width` cells long if given, and what is left out, for a title.

    Names of published adapters stay; a method that was read from a name loses what the name does.
    """
    who, infos = own(study) or list(range(len(study.names))), list(study.adapters)
    found = labels([study.names[i] for i in who])
    for i, name in zip(who, found.short if width is None else found.at(width), strict=True):
        origin = infos[i].origin
        infos[i] = replace(infos[i], name=name, origin=replace(origin, method=_without(origin.method, found.prefix)))
    return replace(study, adapters=tuple(infos)), found.shared


def _without(method: str, prefix: str) -> str:
    """A method without the words that it begins with as all names do; its last word stays."""
    words = method.split("-")
    shared = max((n for n in range(len(words)) if prefix.startswith("-".join([*words[:n], ""]))), default=0)
    return "-".join(words[shared:])
