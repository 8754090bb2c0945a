"""`--against SET`: the published adapters of a set of claims, opened beside one's own where the base is the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.claims.model import REFERENCE, ClaimSet
from inspector.common.errors import InspectorError
from inspector.common.text import plain, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import same_base

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


def reference_sources(claims: ClaimSet) -> list[str]:
    """`ref.NAME=SOURCE` of the adapters that stand for a publication."""
    found = claims.sources(claims.reference)
    if not found:
        raise InspectorError(f"{plain(claims.address)} names no source of an adapter to stand against.")
    return [f"{REFERENCE}{source}" for source in found]


def compared(
    claims: ClaimSet, own: Sequence[Adapter], say: Callable[[str], None]
) -> tuple[list[Adapter], Sequence[str]]:
    """One's own adapters, with a finding on those of another base; and the sources to open beside them.

    No source where no adapter shares the base: nothing is downloaded in vain. An adapter that names no base is
    compared as far as its shapes agree.
    """
    strangers = [adapter.info.name for adapter in own if not same_base(adapter.info.base, claims.base)]
    text = f"trained on another base than {plain(claims.base)}: not comparable with {plain(claims.address)}"
    marked = [
        replace(a, info=replace(a.info, findings=(*a.info.findings, HealthIssue("warning", text))))
        if a.info.name in strangers
        else a
        for a in own
    ]
    if strangers:
        who = f"All {len(own)} adapters" if len(strangers) == len(own) > 1 else some(strangers)
        say(f"{who}: {text}.")
    return marked, () if len(strangers) == len(own) else reference_sources(claims)
