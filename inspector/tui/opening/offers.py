"""What the dialog that opens things offers for what is typed. No widgets; nothing asks the Hub."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from inspector.adapters.files.config_file import CONFIG
from inspector.common.assets import DEMO

DEMO_WORD = "demo"
MOST = 200
"""Offers at a time; of a folder with more entries the first that fit."""
KEPT = 12
"""Sources that are remembered."""
_LOOKED_AT = 5000
"""Entries of one folder that are looked at."""
_WEIGHTS = (".safetensors", ".gguf", ".npz", ".bin", ".pt", ".pth")
_STUDY = ".parquet"


@dataclass(frozen=True, slots=True)
class Offer:
    """A source, or the beginning of one, and what it is."""

    text: str
    note: str = ""


_DEMO = Offer(DEMO_WORD, f"{len(DEMO)} bundled adapters, measured")


def offers(typed: str, recent: Sequence[str], cached: Sequence[str]) -> list[Offer]:
    """Untyped: the demo, recent sources, repos in the cache. Else paths that begin so, then what else holds the words.

    A `NAME=` in front of what is typed stays in front of what is offered.
    """
    name, equals, rest = typed.partition("=")
    front, words = (f"{name}=", rest) if equals and "/" not in name else ("", typed)
    known = [Offer(text, "recent") for text in recent] + [Offer(repo, "in the Hub's cache") for repo in cached]
    if not typed:
        return _apart([_DEMO, *known])
    found = [Offer(f"{front}{path.text}", path.note) for path in paths(words)]
    found += [Offer(f"{front}{offer.text}", offer.note) for offer in known if words.lower() in offer.text.lower()]
    demo = [_DEMO] * DEMO_WORD.startswith(typed)
    return _apart([*demo, *found])


def recently(known: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    """The sources in front of those known from before."""
    return tuple(dict.fromkeys([*sources, *known]))[:KEPT]


def _apart(found: Sequence[Offer]) -> list[Offer]:
    """Each text once."""
    known: dict[str, Offer] = {}
    for offer in found:
        known.setdefault(offer.text.rstrip("/"), offer)
    return list(known.values())[:MOST]


def paths(typed: str) -> Iterator[Offer]:
    """Folders, studies and files of weights whose path begins so; a hidden one only if its dot is typed."""
    begun = typed.rpartition("/")[2]
    shown = typed[: len(typed) - len(begun)]
    entries: list[os.DirEntry[str]] = []
    unlisted = suppress(OSError, ValueError, RuntimeError)  # not a folder; a NUL; an unknown ~user
    with unlisted, os.scandir(Path(shown or ".").expanduser()) as listing:
        entries = [
            entry
            for entry in islice(listing, _LOOKED_AT)
            if entry.name.startswith(begun) and (begun or not entry.name.startswith("."))
        ]
    for entry in sorted(entries, key=lambda entry: entry.name)[:MOST]:
        with suppress(OSError):
            if entry.is_dir():
                yield Offer(f"{shown}{entry.name}/", "adapter" if Path(entry.path, CONFIG).is_file() else "folder")
            elif entry.name.lower().endswith((*_WEIGHTS, _STUDY)):
                yield Offer(f"{shown}{entry.name}", "study" if entry.name.lower().endswith(_STUDY) else "file")


def completed(typed: str, found: Sequence[Offer]) -> str:
    """What is typed, longer by all that the offers that begin so have in common."""
    going_on = [offer.text for offer in found if offer.text.startswith(typed)]
    return os.path.commonprefix(going_on) or typed  # noqa: RUF071 - the beginning of a name too
