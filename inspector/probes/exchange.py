"""One HTTP exchange with a server that is not trusted: bounded in size and time, and nothing is sent elsewhere."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from inspector.adapters.progress import Pulse, interruptible
from inspector.addresses import origin
from inspector.foreign import LARGEST, ForeignError

_EXPLANATION = 20_000
"""Bytes of an error's body that are read."""


def fetch(
    url: str, data: bytes | None, headers: Mapping[str, str], seconds: float, stopped: Callable[[], bool]
) -> bytes:
    """The body of the answer, all of it within `seconds`: also a server that sends a byte now and then is given up.

    A redirect is followed by GET, and within the origin (scheme, host and port): headers may hold a key.
    Raises HTTPError (its body in memory; a redirect that is not followed is one), OSError with TimeoutError,
    HTTPException, ForeignError for an answer that is too large, CancelledError.
    """
    return interruptible(partial(_exchange, Request(url, data, dict(headers)), seconds), stopped, Pulse(seconds))  # noqa: S310 - the caller's to check


def _exchange(request: Request, seconds: float) -> bytes:
    try:
        with build_opener(_WithinOrigin).open(request, timeout=seconds) as response:
            body = bytes(response.read(LARGEST + 1))
            if len(body) > LARGEST:
                raise ForeignError(f"longer than {LARGEST // 2**20} MB")
            if response.length:
                raise http.client.IncompleteRead(body, response.length)
            return body
    except HTTPError as error:
        with error:
            said = io.BytesIO(error.read(_EXPLANATION))
        raise HTTPError(error.url, error.code, error.reason, error.headers, said) from None


class _WithinOrigin(HTTPRedirectHandler):
    """urllib's own takes every header along, to any host."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        """The next request; None, which makes an HTTPError of the redirect, where it leaves the origin or is a POST."""
        stays = req.get_method() == "GET" and origin(newurl) == origin(req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl) if stays else None
