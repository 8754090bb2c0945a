"""One question to the Hub: asked in a thread of its own, again when the Hub says when, and no longer than patience."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from inspector.common.hub_token import guard
from inspector.common.interruptible import Pulse, interruptible

_T = TypeVar("_T")


def patience() -> float:
    """Seconds without a byte after which a call is given up: three times what one read may take."""
    return 3.0 * max(constants.HF_HUB_DOWNLOAD_TIMEOUT, constants.HF_HUB_ETAG_TIMEOUT)


def asked(call: Callable[[], _T], cancelled: Callable[[], bool] = lambda: False, pulse: Pulse | None = None) -> _T:
    """The answer. 429 with a time to wait is waited for, all in all as long as `patience`.

    Raises what `call` raises, CancelledError, and TimeoutError where the pulse (of its own: `patience`) stalls.
    """
    guard()  # makes the client: what is wrong in the environment's proxies is not an answer of the Hub
    left = patience()
    while True:
        pulse = pulse or Pulse(patience())
        pulse.beat()
        try:
            return interruptible(call, cancelled, pulse)
        except HfHubHTTPError as error:
            wait = wanted(error)
            if wait is None or wait > left:
                raise
            left -= max(wait, 1.0)
        interruptible(partial(time.sleep, wait), cancelled)


def wanted(error: HfHubHTTPError) -> float | None:
    """The seconds after which the Hub wants to be asked again; None where it does not say."""
    if error.response.status_code != 429:
        return None
    headers = error.response.headers
    found = re.fullmatch(r"\s*(\d{1,9})\s*", headers.get("Retry-After", ""))
    found = found or re.search(r"\bt\s*=\s*(\d{1,9})", headers.get("RateLimit", ""))
    return float(found[1]) if found else None
