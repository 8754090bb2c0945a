"""Addresses of servers: where a credential may go, and that it is not shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_USERINFO = re.compile(r"(?<=://)(?!user:password@)[^/\s?#]*@")  # those words are advice


def without_password(text: str) -> str:
    """The text without the `user:password@` of the addresses in it."""
    return _USERINFO.sub("", text) if "://" in text else text


def origin(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an address; None where it is not one."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return parts.scheme, parts.hostname or "", port
