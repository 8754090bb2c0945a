"""Requests to an OpenAI-compatible server, retried where it may help. No torch."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import SplitResult, unquote, urlsplit

from inspector.base_model import exchange
from inspector.common import foreign
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.foreign import ForeignError
from inspector.common.text import plain

KEY = "OPENAI_API_KEY"
_BUSY = {408, 409, 425, 429, 500, 502, 503, 504}
_T = TypeVar("_T")

Body = dict[str, Any]


class ProblemError(Exception):
    """One request came to nothing: the text says why. Others may go on."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether the request itself is at fault: any other server would refuse it too."""
        return 400 <= self.status < 500 and self.status != 404 and self.status not in _BUSY


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask, and how patiently.

    huggingface_hub's own client would refuse any server under HF_HUB_OFFLINE, which is set where vLLM runs
    without a network: hence urllib.
    """

    url: str = field(repr=False)
    """May begin with `user:password@`, which is then sent instead of the key, and shown nowhere."""
    _: KW_ONLY
    key: str = field(default_factory=lambda: os.environ.get(KEY, "").strip(), repr=False)
    timeout: float = 600.0
    tries: int = 5
    listing: float = 30.0
    """Seconds for the list of its models: short, unlike an answer, and nothing goes on without it."""
    pause: float = 1.0
    """Seconds before the second try; doubles with each further one."""

    def cards(self) -> list[Body]:
        """What it says of its models; empty where it does not. Raises InspectorError where it cannot be reached."""
        try:
            cards: tuple[Body, ...] = foreign.field(self.ask("models", None), tuple[Body, ...], "data", default=())
        except ProblemError as error:
            if error.status == 404:
                return []
            raise InspectorError(f"{self.where}: {error}.") from error
        except ForeignError as error:
            raise InspectorError(f"{self.where} does not list its models as OpenAI does: {error}.") from error
        return [card for card in cards if isinstance(card.get("id"), str)]

    def ask(
        self,
        path: str,
        body: object,
        stopped: Callable[[], bool] = lambda: False,
        trying: Callable[[str], None] = lambda _reason: None,
    ) -> Body:
        """One request, again where it may help; `trying` is told why. Raises ProblemError, InspectorError for good."""
        found = self._patiently(path, body, stopped, foreign.parse_json, trying)
        return found if isinstance(found, dict) else {}

    def tell(self, path: str, body: object) -> None:
        """The same where nothing but success is to be read from the answer, which may be no JSON."""
        self._patiently(path, body, lambda: False, bytes)

    def _patiently(
        self,
        path: str,
        body: object,
        stopped: Callable[[], bool],
        read: Callable[[bytes], _T],
        trying: Callable[[str], None] = lambda _reason: None,
    ) -> _T:
        reason = ""
        for attempt in range(self.tries):
            if attempt:
                trying(reason)
                _sleep(self.pause * 2 ** (attempt - 1), stopped)
            try:
                return read(self._once(path, body, stopped))
            except HTTPError as error:
                self._refuse(error)
                reason = f"it answers {error.code}{_said(error)}"
                if error.code not in _BUSY:
                    raise ProblemError(reason, error.code) from error
                _sleep(_retry_after(error), stopped)
            except http.client.InvalidURL as error:  # its text may hold a part of the proxy's password
                raise InspectorError(
                    f"{self.where} cannot be asked: the proxy in HTTP_PROXY or HTTPS_PROXY is not an address."
                ) from error
            except (OSError, http.client.HTTPException) as error:  # refused, timed out, cut
                reason = self._broken(error, body, attempt)
            except ForeignError as error:
                reason = f"its answer is {error}"
        raise ProblemError(f"{reason}, {self.tries} times")

    def _broken(self, error: Exception, body: object, attempt: int) -> str:
        """Why there is no answer. Raises InspectorError if none can be had, ProblemError after two that never came."""
        cause = getattr(error, "reason", error)
        if isinstance(cause, ConnectionRefusedError | socket.gaierror):
            raise self._unreachable(cause) from error
        if not isinstance(cause, TimeoutError):
            return f"the connection broke ({plain(cause, 80)})"
        reason = f"no answer within {self._seconds(body):g} s"
        if attempt:  # a third wait as long would tell nothing new
            raise ProblemError(f"{reason}, twice") from error
        return reason

    def _once(self, path: str, body: object, stopped: Callable[[], bool]) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if userinfo := self._userinfo:
            headers["Authorization"] = f"Basic {b64encode(unquote(userinfo).encode()).decode()}"
        elif not (self.key.isascii() and self.key.isprintable()):  # http.client would quote it
            raise InspectorError(f"The key in {KEY} has characters that no header may have: copy it again.")
        elif self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        data = None if body is None else json.dumps(body).encode()
        return exchange.fetch(f"{self.root}/{path}", data, headers, self._seconds(body), stopped)

    def _seconds(self, body: object) -> float:
        """How long one try may take in all."""
        return self.timeout if body is not None else min(self.timeout, self.listing)

    @property
    def _parts(self) -> SplitResult:
        """The address. Raises InspectorError, which does not show a password, for what is none."""
        url = self.url if "://" in self.url else f"http://{self.url}"
        try:
            parts = urlsplit(url)
            if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
                return parts
        except ValueError:  # a port that is not a number
            pass
        shown = re.sub(r"(?<=//).*@", "", self.url if "://" in self.url else f"//{self.url}").removeprefix("//")
        raise InspectorError(f"{plain(shown)!r} is not a server: give its address, as in http://localhost:8000/v1.")

    @property
    def _userinfo(self) -> str:
        return self._parts.netloc.rpartition("@")[0]

    @property
    def root(self) -> str:
        """The address up to `/v1`, without user and password. Raises InspectorError where it is none."""
        parts = self._parts
        path = parts.path.rstrip("/").removesuffix("/chat/completions")
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{path if path.endswith('/v1') else f'{path}/v1'}"

    @property
    def where(self) -> str:
        """The server, in an error."""
        return f"The server {plain(self.root)}"

    def _refuse(self, error: HTTPError) -> None:
        """Raise InspectorError for what no other request will change."""
        if error.code in {401, 403}:
            known = "does not take the" if self.key else "needs a"
            wrong = f"it {known} key in {KEY}. Set that to the server's."
            if self._userinfo:
                wrong = "it does not take the user and password of its address."
            raise InspectorError(f"{self.where} answers {error.code}: {wrong}")
        if location := error.headers.get("Location") if 300 <= error.code < 400 else "":
            raise InspectorError(
                f"{self.where} redirects to {plain(location)}, and nothing is sent on: give the address it is at."
            )

    def _unreachable(self, cause: object) -> InspectorError:
        reason = plain(getattr(cause, "strerror", None) or cause, 80)
        return InspectorError(f"{self.where} cannot be reached ({reason}): start it, or check the address.")


def _sleep(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if stopped():
            raise CancelledError("Cancelled while waiting for the server.")
        time.sleep(min(left, 0.1))


def _retry_after(error: HTTPError) -> float:
    """Seconds the server asks for, at most a minute."""
    try:
        return min(60.0, max(0.0, float(error.headers.get("Retry-After") or 0)))
    except ValueError:
        return 0.0


def _said(error: HTTPError) -> str:
    """What an error's body explains."""
    try:
        found = foreign.parse_json(error.read())
    except ForeignError:
        return ""
    inner = found.get("error", found) if isinstance(found, dict) else ""
    text = inner.get("message", "") if isinstance(inner, dict) else inner
    return f" ({plain(text, 160)})" if text else ""
