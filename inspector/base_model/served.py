"""Which of a server's models is the base that adapters were trained on, and whether what it says agrees. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.common.errors import InspectorError
from inspector.common.text import plain, some
from inspector.study.module_id import same_base

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Served:
    """What a server says of one of its models, as far as it stays the same from request to request."""

    name: str
    root: str = ""
    """Where its weights are from: a Hub id or a path of the server."""
    parent: str = ""
    """Of an adapter: the name of the base it is served on."""
    owner: str = ""


def served_base(
    served: Mapping[str, Served], trained_on: Mapping[str, str], named: str = "", *, needed: bool = True
) -> tuple[str, str]:
    """The base's name at the server, and a caution if only the user says that it is the adapters' base.

    `trained_on`: adapter -> the base it names, or nothing; `named`: the base by the user. Raises InspectorError if
    what the server says contradicts it, and if the base is `needed` and not clear.
    """
    bases = sorted({base for base in trained_on.values() if base})
    if needed and not named and any(not same_base(bases[0], base) for base in bases):
        raise InspectorError(f"The adapters name different bases ({some(bases)}): choose one with --base.")
    found = named or _found(served, trained_on, bases, needed=needed)
    card, caution = served.get(found, Served(found)), ""
    for name, own in trained_on.items():
        parent = served[name].parent if name in served else ""
        under = served.get(parent, Served(parent)) if parent else card
        if needed and found in served and not _one(under, card):
            raise InspectorError(
                f"The server has {plain(name)!r} on the base {plain(parent)!r}, not on {plain(found)!r}: "
                f"say --base {plain(parent)}."
            )
        if own and _differs(under, own):
            what = f"{plain(under.name)!r} of the server is {plain(under.root or under.name)}"
            caution = f"{what}, the base of {plain(name)} is {plain(own)}"
            if not named:
                raise InspectorError(f"{caution}: if they are one model, say --base {plain(under.name)}.")
    return found, caution


def _found(served: Mapping[str, Served], trained_on: Mapping[str, str], bases: Sequence[str], *, needed: bool) -> str:
    """What the adapters are served on, else the model with the name of their base, else the only one that is left."""
    parents = [served[name].parent for name in trained_on if name in served and served[name].parent]
    others = [card for card in served.values() if card.name not in trained_on and not card.parent]
    alike = [c.name for c in others if any(same_base(n, b) for n in (c.name, c.root) if n for b in bases)]
    exact = [card.name for card in others if card.name in bases]
    if found := [*parents, *exact, *alike, *([others[0].name] if len(others) == 1 else [])]:
        return found[0]
    if not needed or not others:
        if bases or not needed:
            return bases[0] if bases else "base"
        raise InspectorError("The server names no base model: give its name with --base, or leave it out (--no-base).")
    which = some([card.name for card in others], 8)
    raise InspectorError(f"Which model of the server is the adapters' base: {which}? Name it with --base.")


def _one(a: Served, b: Served) -> bool:
    """Whether two names of a server are one model: vLLM serves a base under several."""
    return a.name == b.name or "" != a.root == b.root


def _differs(card: Served, base: str) -> bool:
    """Whether a server's model has a Hub id, and it is another one than the base's: a path says nothing."""
    known = [name for name in (card.name, card.root) if _HUB_ID.fullmatch(name)]
    return bool(known) and not any(same_base(name, base) for name in known)
