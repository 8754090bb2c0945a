"""The app in a browser, through textual-serve: on this machine's own interface, and only for its own pages."""

from __future__ import annotations

import getpass
import hmac
import ipaddress
import secrets
import shlex
import socket
import sys
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from textual_serve.server import Server

from inspector.errors import InspectorError
from inspector.text import plain

_COOKIE = "inspector_token"
_POLICY = "default-src 'self' 'unsafe-inline' data: ws: wss:"
"""Nothing is loaded from elsewhere: textual-serve's page would ask for a web font."""


def serve(arguments: Sequence[str], host: str, port: int, *, expose: bool) -> None:
    """Serve `inspector ARGUMENTS` until interrupted. Raises InspectorError for an address that cannot be used.

    Everyone who reaches the page drives an app that reads files with your rights: addresses other than this
    machine's own need `expose`, and then every visitor a token.
    """
    alone = _loopback(host)
    if not alone and not expose:
        raise InspectorError(
            f"--host {plain(host, 80)} lets other machines drive an app that reads your files: add --expose to do so, "
            "with a token. Safer: leave it out and reach this machine with ssh -L."
        )
    _refuse_taken(host, port)
    token = "" if alone else secrets.token_urlsafe(16)
    command = shlex.join([sys.executable, "-m", "inspector", *arguments])
    _Server(command, host=host, port=port, title="adapter-inspector", token=token).serve()


def _loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_taken(host: str, port: int) -> None:
    """Raise InspectorError where nothing can listen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        why = error.strerror or str(error)
        raise InspectorError(
            f"Cannot listen on {plain(host, 80)} port {port} ({why}): choose another --port."
        ) from error


class _Server(Server):
    """textual-serve's, which answers only its own pages, under whatever port a tunnel gives them."""

    def __init__(self, command: str, *, token: str, **more: Any) -> None:
        super().__init__(command, **more)
        self._token = token

    def initialize_logging(self) -> None:
        """Its log would write over the terminal."""

    async def on_startup(self, app: web.Application) -> None:  # noqa: ARG002 - aiohttp's signature
        """How to reach it, on stderr."""
        shown = self.host if self._token else "localhost"
        query = f"/?token={self._token}" if self._token else ""
        lines = [f"Serving on http://{shown}:{self.port}{query}  (Ctrl-C ends it)"]
        if not self._token:
            user = f"{getpass.getuser()}@{socket.gethostname()}"
            lines.append(
                f"From your own machine: ssh -L {self.port}:localhost:{self.port} {user}, then open that address."
            )
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    async def handle_index(self, request: web.Request) -> Any:
        """The page with addresses as the browser sees them: through a tunnel the port is another."""
        self.public_url = f"{request.scheme}://{request.host}"
        return await super().handle_index(request)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Refuse what another site's page sends to this address, and without the token everything."""
        name = request.host.rpartition(":")[0] or request.host
        origin = request.headers.get("Origin")
        if not self._token and not _loopback(name.strip("[]")):
            raise web.HTTPForbidden(text="This server answers to localhost alone.\n")
        if origin is not None and origin.partition("://")[2] != request.host:
            raise web.HTTPForbidden(text="A page of another site may not drive this app.\n")
        if self._token:
            given = request.query.get("token", "")
            if hmac.compare_digest(given.encode(), self._token.encode()):
                found = web.HTTPFound("/")
                found.set_cookie(_COOKIE, self._token, httponly=True, samesite="Strict")
                raise found
            if not hmac.compare_digest(request.cookies.get(_COOKIE, "").encode(), self._token.encode()):
                raise web.HTTPUnauthorized(text="Open the address with ?token=… that the server printed.\n")
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
        return response
