"""One HTTP exchange with a server that is not trusted: bounded in size and time, and nothing is sent elsewhere."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import HTTPRedirectHandler, Request, build_opener

from inspector.common.addresses import origin
from inspector.common.foreign import LARGEST, ForeignError
from inspector.common.interruptible import Pulse, interruptible

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

    def http_error_302(self, req: Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """The answer it leads to; None, which makes an HTTPError of it, where it leaves the origin, and for a POST."""
        try:
            leads_to = origin(urljoin(req.full_url, headers.get("Location", "")))
        except ValueError:
            return None
        if req.get_method() != "GET" or leads_to != origin(req.full_url):
            return None
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
