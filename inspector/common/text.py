"""Text from outside (names, configs, tensor keys) made fit to show."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from inspector.common.addresses import without_password


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


def in_bytes(size: int) -> str:
    """`412 B`, `13.1 kB`, `132.2 MB`, `3.7 GB`."""
    if size < 1000:
        return f"{size} B"
    for unit, factor in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if size < 1000 * factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e12:,.1f} TB"


def duration(seconds: float) -> str:
    """`40 s`, `3:20 min`, `1:05 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"
