"""The study that ships with the bundled adapters: shown if they are those that were measured. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.common.assets import DEMO, demo_sources, demo_study
from inspector.common.errors import InspectorError
from inspector.study.export import load
from inspector.study.study import Study

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


def shipped_study(adapters: Sequence[Adapter]) -> Study | None:
    """The study that ships, with these adapters' sources; None unless each has the digest that was measured."""
    from inspector.adapters.opening import identity

    try:
        study = load(demo_study())
        digests = {adapter.info.name: identity(adapter) for adapter in adapters}
    except InspectorError:  # damaged, or left out of an installation: the adapters can be measured
        return None
    if digests != {info.name: info.digest for info in study.adapters}:
        return None
    sources = {adapter.info.name: adapter.info.source for adapter in adapters}
    return replace(study, adapters=tuple(replace(info, source=sources[info.name]) for info in study.adapters))


def is_demo(named: Sequence[Sequence[str]]) -> bool:
    """Whether these (name, source) are the bundled adapters, all of them, under their own names."""
    return sorted(map(tuple, named)) == sorted(zip(DEMO, demo_sources(), strict=True))
