"""Text from outside (names, configs, tensor keys) made fit to show."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from inspector.addresses import without_password


def plain(text: object, limit: int = 200) -> str:
    """One line of printable characters, no longer than `limit`: no escapes, bidi or zero-width marks.

    Passwords of addresses (`user:password@`) are left out.
    """
    text = without_password(str(text))
    if len(text) <= limit and text.isprintable():
        return text
    words = " ".join(text[: 4 * limit].split())
    kept = "".join(c for c in words if c.isprintable())
    return kept if len(kept) <= limit else f"{kept[: limit - 1]}…"


def distinct(text: str, limit: int = 300) -> str:
    """`plain`, with a mark where that changed the text: two that differ never come to the same."""
    shown = plain(text, limit)
    return shown if shown == text else f"{shown}#{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def some(names: Sequence[object], limit: int = 3) -> str:
    """The first names and how many there are: `a, b, c, … (7 in all)`."""
    shown = ", ".join(plain(name, 80) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown}, … ({len(names)} in all)"


def first(names: Sequence[object], limit: int = 3) -> str:
    """The first names, each whole, so that it can be copied: `a, b, c, …`."""
    return ", ".join([plain(name, 4000) for name in names[:limit]] + ["…"] * (len(names) > limit))


def count(number: int, noun: str) -> str:
    """`1 tensor`, `3 tensors`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def rounded(number: int) -> str:
    """`412`, `5.0 K`, `39.1 M`, `1.2 B`."""
    if number < 1000:
        return str(number)
    unit, factor = next(((u, f) for u, f in (("K", 1e3), ("M", 1e6)) if number < 999.95 * f), ("B", 1e9))
    return f"{number / factor:.1f} {unit}"
