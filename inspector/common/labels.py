"""Names of adapters made short enough to stand side by side: what they all share is left out, and shown once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import count, pairwise

from rich.cells import cell_len

from inspector.common.text import distinct, plain

LEAST = 6
"""Shared text of fewer cells stays in the names: leaving out `run1-` would cost a reader more than it saves."""
NARROWEST = 4
"""A narrower column counts as one of this width: fewer cells cannot tell many names apart."""
_SEPARATORS = "-_./=:"
_SEPARATOR = re.compile(f"[{_SEPARATORS}]")
_NUMBER = re.compile(r"\d+(?:\.\d+)*(?:[eE]-?\d+)?")


@dataclass(frozen=True, slots=True)
class Labels:
    """Each name is `prefix + rest + ending`; `short` is the rest without the words of `middle`.

    `short` is as unique as the names are, and never empty.
    """

    prefix: str
    ending: str
    short: tuple[str, ...]
    middle: tuple[str, ...] = ()
    """Words that all rests share in this order; those that are neighbours in every rest are one text: `qwen3-4b`."""

    @property
    def shared(self) -> str:
        """What all names share, with `…` where they differ (`run-…-qwen3-4b-…`), for a title; empty if nothing."""
        if not (self.prefix or self.ending or self.middle):
            return ""
        return "…".join((self.prefix, *self.middle, self.ending))

    def at(self, width: int) -> tuple[str, ...]:
        """`short`, the longer ones cut in the middle (`…`): at most `width` cells each, and still unique."""
        return _at(self.short, max(width, NARROWEST))


def labels(names: Sequence[str]) -> Labels:
    """The labels of names that stand together: shared text ends, or begins, at one of `-_./=:` outside a number.

    Text that does not print is cleaned first. A name alone is its own label.
    """
    cleaned = tuple(name if name.isprintable() else plain(name) for name in names)
    alike = len(set(cleaned)) < len(set(names))
    return _labels(tuple(name if name.isprintable() else distinct(name) for name in names) if alike else cleaned)


@lru_cache(maxsize=64)
def _labels(names: tuple[str, ...]) -> Labels:
    prefix, ending = _shared(names) if len(set(names)) > 1 else (0, 0)
    one = names[0] if names else ""
    head, tail = one[:prefix], one[len(one) - ending :]
    if cell_len(head) + cell_len(tail) < LEAST:
        head, tail, short = "", "", names
    else:
        short = tuple(name[prefix : len(name) - ending] for name in names)
    rest, middle = _without_shared_words(short)
    return Labels(head, tail, rest, middle)


def _without_shared_words(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names without the words that all of them have in one order, and these; as they are if that saves little.

    They also stay if the rest of a name would be empty or the same as another's.
    """
    split = [_words(name) for name in names]
    bare = [[word.rstrip(_SEPARATORS) for word in words] for words in split]
    common = reduce(_common, bare) if len(set(names)) > 1 else []
    places = [_places(common, words) for words in bare]
    rest = tuple(
        "".join(word for n, word in enumerate(words) if n not in at).rstrip(_SEPARATORS if at else "")
        for words, at in zip(split, places, strict=True)
    )
    if not all(rest) or len(set(rest)) < len(set(names)) or sum(map(cell_len, common)) < LEAST:
        return names, ()
    runs = [split[0][places[0][0]]]
    for n in range(1, len(common)):
        text = split[0][places[0][n]]
        if all(at[n] == at[n - 1] + 1 for at in places):
            runs[-1] += text
        else:
            runs.append(text)
    return rest, tuple(runs)


def _words(name: str) -> list[str]:
    """`run1-`, `lr2e-4_`, `s1`: each with the separator behind it."""
    cuts = [0, *(at + 1 for at in sorted(_separators(name)) if at + 1 < len(name)), len(name)]
    return [name[a:b] for a, b in pairwise(cuts)]


def _common(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """The longest sequence of words, empty ones aside, that both have in this order."""
    best: list[list[str]] = [[] for _ in range(len(other) + 1)]
    for word in one:
        before = best[:]
        for n, same in enumerate(other):
            both = [*before[n], word] if word and word == same else []
            best[n + 1] = max(both, before[n + 1], best[n], key=len)
    return best[-1]


def _places(common: Sequence[str], words: Sequence[str]) -> list[int]:
    """Where the common words stand in all words: each at the first place behind the one before."""
    found: list[int] = []
    for word in common:
        found.append(words.index(word, found[-1] + 1 if found else 0))
    return found


def _shared(names: tuple[str, ...]) -> tuple[int, int]:
    """How many characters of all names are the same at their beginning and at their end; some of each is left."""
    least, cuts = min(map(len, names)), [_separators(name) for name in names]
    same = _same(names)
    after = set.intersection(*({at + 1 for at in found} for found in cuts))
    prefix = max((at for at in after if at <= min(same, least - 1)), default=0)
    same = min(_same([name[::-1] for name in names]), least - prefix - 1)
    before = set.intersection(*({len(name) - at for at in found} for name, found in zip(names, cuts, strict=True)))
    return prefix, max((at for at in before if at <= same), default=0)


def _separators(name: str) -> set[int]:
    """Where the separators of a name are, without those inside of a number such as `2e-4` or `1.5`."""
    inside = {at for number in _NUMBER.finditer(name) for at in range(*number.span())}
    return {found.start() for found in _SEPARATOR.finditer(name)} - inside


@lru_cache(maxsize=256)
def _at(names: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Names cut to a width: those that fit stay whole; of others that would look the same, other parts are kept."""
    found = {name: name for name in names if cell_len(name) <= width}
    long = [name for name in dict.fromkeys(names) if name not in found]
    _settle(long, "", width, found)
    return tuple(found[name] for name in names)


def _settle(names: Sequence[str], label: str, width: int, found: dict[str, str]) -> None:
    """Add to `found` a label for each name; `label` is what an earlier cut made of them all.

    What they begin with gives way to what tells them apart; where no cut tells them apart, they are numbered.
    """
    differs = _same(names) if len(names) > 1 else 0
    groups = _alike(names, lambda name: _window(name, differs, label, width))
    for again, same in groups.items():
        if len(same) == 1 and again not in found.values():
            found[same[0]] = again
        elif len(groups) > 1 and len(same) > 1:
            _settle(same, again, width, found)
        else:
            for name in same:
                numbered = (f"{_head(again, width - 1 - len(str(n)))}…{n}"[-width:] for n in count(1))
                found[name] = next(text for text in numbered if text not in found.values())


def _window(name: str, differs: int, label: str, width: int) -> str:
    """A name from the word in which it differs, cut in the middle if it is long.

    Before it stands what an earlier label began with, or as much as there is room for.
    """
    word = max((at + 1 for at in _separators(name[:differs])), default=0)
    start = word if differs - word <= width // 4 else differs
    if not label and start <= width // 4:
        start = 0
    lead = _head(label, (width - 2) // 3).rstrip("…")
    rest = _middle(name[start:], width - cell_len(lead) - (start > 0))
    if not label:
        lead = _head(name[:start], width - 1 - cell_len(rest))
    return f"{lead}…{rest}" if start else rest


def _middle(text: str, width: int) -> str:
    """All of a text that fits, else its two ends, `…` between them."""
    if cell_len(text) <= width:
        return text
    tail = _head(text[::-1], (width - 1) // 2)[::-1]
    return f"{_head(text, width - 1 - cell_len(tail))}…{tail}"


def _head(text: str, width: int) -> str:
    """As much of the beginning as fits."""
    kept = text[: max(width, 0)]
    while kept and cell_len(kept) > width:
        kept = kept[:-1]
    return kept


def _same(names: Sequence[str]) -> int:
    """How many characters all names begin with."""
    least, most = min(names, default=""), max(names, default="")
    return next((at for at, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), min(len(least), len(most)))


def _alike(names: Iterable[str], cut: Callable[[str], str]) -> dict[str, list[str]]:
    """The names of each label."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(cut(name), []).append(name)
    return groups
