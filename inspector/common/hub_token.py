"""The Hub's token stays with the Hub: not every address that huggingface_hub is given by a server is the Hub's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from huggingface_hub import constants, get_session
from huggingface_hub.utils import _http

from inspector.common.addresses import origin
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.interruptible import abandoned
from inspector.common.text import plain

AGENT = "adapter-inspector"
"""What requests of this program are known by: others of the same process are left alone."""


def guard() -> None:
    """Have the client of huggingface_hub, which all threads share, keep the token with HF_ENDPOINT.

    httpx drops it where a redirect leaves the origin. huggingface_hub adds it itself where a server says where to go
    on: for a file's metadata on huggingface.co, to verify an upload, for the tokens of Xet. It makes a new client
    whenever it could not connect, which must be one that keeps the token, too.
    """
    make = _http._GLOBAL_CLIENT_FACTORY  # noqa: SLF001
    if not isinstance(make, _Guarded):
        _http._GLOBAL_CLIENT_FACTORY = _Guarded(make)  # noqa: SLF001
    hooks = get_session().event_hooks["request"]
    if _keep not in hooks:  # a client that others have made before
        hooks.append(_keep)


@dataclass(frozen=True, slots=True)
class _Guarded:
    """Makes the clients that another factory makes, each with its token kept."""

    factory: Callable[[], Any]

    def __call__(self) -> Any:
        client = self.factory()
        client.event_hooks["request"].append(_keep)
        return client


def _keep(request: Any) -> None:
    """Raise InspectorError where a request would take the token elsewhere; a file's metadata comes without it.

    CancelledError ends a call that nobody waits for: each of its tries that cannot connect would have the library close
    the client under all other calls.
    """
    if abandoned():
        raise CancelledError("Nobody waits for it any more.")
    ours = AGENT in request.headers.get("User-Agent", "")
    if not ours or "Authorization" not in request.headers or origin(str(request.url)) == origin(constants.ENDPOINT):
        return
    if request.method != "HEAD":
        raise InspectorError(
            f"{plain(constants.ENDPOINT)} leads to {plain(request.url.copy_with(query=None))}, where your token does "
            "not go: if that is your Hub, name it in HF_ENDPOINT."
        )
    del request.headers["Authorization"]
