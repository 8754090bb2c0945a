"""A study with the names that tables, charts and sentences have: without what all of one's own names share."""

from __future__ import annotations

import re
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
        infos[i] = replace(infos[i], name=name, origin=replace(origin, method=_without(origin.method, found.shared)))
    return replace(study, adapters=tuple(infos)), found.shared


def _without(method: str, shared: str) -> str:
    """A method without the words that all names share; its last word stays."""
    words = method.split("-")
    return "-".join([word for word in words if word not in re.split(r"[-_./=:…]", shared)] or words[-1:])
