"""The app in a browser, through textual-serve: for whoever has the printed address, and for no other site's page."""

from __future__ import annotations

import asyncio
import getpass
import hmac
import ipaddress
import logging
import os
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web
from aiohttp.web_runner import GracefulExit
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from inspector.common.errors import InspectorError
from inspector.common.text import plain

SESSIONS = 8
"""At a time: each is a process with adapters of its own."""
_QUIT, _LAST = 10.0, 2.0
"""Seconds an app has to end by itself: when its page is closed, and when the server ends."""
_HEADERS = {
    # Nothing is loaded from elsewhere (textual-serve's page would ask for a web font), and no page may frame this one.
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data: ws:; frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_FOCUS = """<script>
addEventListener("load", () => {
  const take = () => document.body.matches(".-loaded") && document.querySelector(".xterm-helper-textarea").focus();
  new MutationObserver(take).observe(document.body, {attributes: true});
  addEventListener("focus", take);
});
</script>"""
"""Keys go to the app as soon as it is connected, and when the page is returned to: textual-serve waits for a click."""
_FULL = f"This server runs {SESSIONS} sessions at a time, and all are in use: close one of its pages, then reload.\n"


def serve(arguments: Sequence[str], host: str, port: int, *, expose: bool) -> None:
    """Serve `inspector ARGUMENTS` until interrupted. Raises InspectorError for an address that cannot be used.

    Whoever reaches the app reads files with your rights: every request needs the token of the printed address.
    """
    if not _loopback(host) and not expose:
        raise InspectorError(
            f"--host {plain(host, 80)} lets other machines drive an app that reads your files: add --expose to do so. "
            "Safer: leave it out and reach this machine with ssh -L."
        )
    _refuse_taken(host, port)
    _Server([sys.executable, "-m", "inspector", *arguments], host, port).serve()


def _loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refuse_taken(host: str, port: int) -> None:
    """Raise InspectorError where nothing can listen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        where = f"{plain(host, 80)} port {port} ({error.strerror or error})"
        raise InspectorError(f"Cannot listen on {where}: choose another --port.") from error


class _Session(AppService):
    """One app for one page, in a process group that ends with the session."""

    arguments: Sequence[str]

    async def _open_app_process(self, width: int = 80, height: int = 24) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        self._process = process = await asyncio.create_subprocess_exec(
            *self.arguments, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True,
            env=self._build_environment(width, height),
        )  # fmt: skip
        self._stdin = process.stdin
        return process

    async def stop(self, within: float = _QUIT) -> None:
        """Have the app quit, as `q` does; then kill it, and what it started."""
        if self._process is None or self._task is None:
            return
        try:
            await self._download_manager.cancel_app_downloads(self.app_service_id)
            await self.send_meta({"type": "quit"})
            await asyncio.wait({self._task}, timeout=within)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()  # also of a page that was cut off meanwhile


class _Server(Server):
    """textual-serve's, which answers only its own pages, under whatever port a tunnel gives them."""

    def __init__(self, arguments: Sequence[str], host: str, port: int) -> None:
        super().__init__(shlex.join(arguments), host=host, port=port, title="adapter-inspector")
        self._arguments = arguments
        self._token = secrets.token_urlsafe(24)
        self._cookie = f"inspector_{secrets.token_hex(4)}"  # browsers send cookies to every port of a host
        self._sessions: dict[_Session, web.WebSocketResponse] = {}

    def serve(self, debug: bool = False) -> None:  # noqa: ARG002 - textual-serve's signature
        """Run until SIGINT, SIGTERM, or the terminal is closed."""
        logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # what a stranger sends is not for this terminal
        web.run_app(self._make_app(), host=self.host, port=self.port, print=None, shutdown_timeout=1.0)

    async def _make_app(self) -> web.Application:
        """textual-serve's own, without its listing of /static/."""
        app = web.Application(middlewares=[self._guard])
        aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(self.templates_path))
        app.add_routes(
            [
                web.get("/", self.handle_index, name="index"),
                web.get("/ws", self.handle_websocket, name="websocket"),
                web.get("/download/{key}", self.handle_download, name="download"),
                web.static("/static", self.statics_path, name="static"),
            ]
        )
        app.on_response_prepare.append(_add_headers)
        app.on_startup.append(self.on_startup)
        app.on_shutdown.append(self.on_shutdown)
        return app

    async def on_startup(self, app: web.Application) -> None:  # noqa: ARG002 - aiohttp's signature
        """How to reach it, on stderr."""
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _end)
        lines = [f"Serving on http://{self._shown}:{self.port}/?token={self._token}  (Ctrl-C ends it)"]
        if _loopback(self.host):
            user = f"{getpass.getuser()}@{socket.gethostname()}"
            tunnel = f"ssh -L {self.port}:localhost:{self.port} {user}"
            lines.append(f"From your own machine: {tunnel}, then open that address.")
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()

    async def on_shutdown(self, app: web.Application) -> None:  # noqa: ARG002 - aiohttp's signature
        """End every session: aiohttp would wait for their pages to leave."""
        apps = [session.stop(_LAST) for session in self._sessions]
        pages = [page.close() for page in self._sessions.values()]
        await asyncio.gather(*apps, *pages, return_exceptions=True)

    @property
    def _shown(self) -> str:
        """The host of the printed address."""
        address = _address(self.host)
        if address is None or address.is_unspecified:
            return socket.gethostname() if address else self.host
        if address.is_loopback and address.version == 4:
            return "localhost"
        return f"[{address}]" if address.version == 6 else str(address)

    async def handle_index(self, request: web.Request) -> Any:
        """The page with addresses as the browser sees them: through a tunnel the port is another."""
        if len(self._sessions) >= SESSIONS:
            raise web.HTTPServiceUnavailable(text=_FULL)
        self.public_url = f"{request.scheme}://{request.host}"
        page: Any = await super().handle_index(request)
        page.text = page.text.replace("</body>", f"{_FOCUS}</body>")
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """The session of a page."""
        if len(self._sessions) >= SESSIONS:
            raise web.HTTPServiceUnavailable(text=_FULL)
        page = web.WebSocketResponse(heartbeat=15, timeout=1.0)
        session = _Session(
            self.command, write_bytes=page.send_bytes, write_str=page.send_str,
            close=page.close,  # type: ignore[arg-type]  # nobody reads what it returns
            download_manager=self.download_manager,
        )  # fmt: skip
        session.arguments = self._arguments
        self._sessions[session] = page
        width, height = (to_int(request.query.get(name, ""), size) for name, size in (("width", 80), ("height", 24)))
        try:
            await page.prepare(request)
            await session.start(min(max(width, 1), 1000), min(max(height, 1), 1000))
            with suppress(ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError, OSError):
                await self._process_messages(page, session)  # a message that is not of its page ends the session
        finally:
            try:
                await session.stop()
            finally:
                del self._sessions[session]
        await page.close()
        return page

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Refuse names that are not this server's (DNS rebinding), pages of other sites, and who has no token."""
        host = request.host
        name = (host.rpartition(":")[0] if not host.endswith("]") else "").strip("[]") or host.strip("[]")
        if not self._answers_to(name):
            raise web.HTTPForbidden(text="This server does not go by that name: open the address that it printed.\n")
        if request.headers.get("Origin", own := f"{request.scheme}://{host}") != own:
            raise web.HTTPForbidden(text="A page of another site may not drive this app.\n")
        if self._matches(request.query.get("token", "")):
            if request.path != "/":
                return await handler(request)  # type: ignore[no-any-return]
            found = web.HTTPFound(request.rel_url.without_query_params("token"))  # out of the address bar
            found.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict")
            raise found
        if not self._matches(request.cookies.get(self._cookie, "")):
            raise web.HTTPUnauthorized(text="Open the address with ?token=… that the server printed.\n")
        return await handler(request)  # type: ignore[no-any-return]

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token.encode())

    def _answers_to(self, name: str) -> bool:
        """Whether this server may be meant: no site has a name that is an address or this machine's own."""
        if _loopback(self.host):
            return _loopback(name)
        own = {"localhost", self.host, socket.gethostname(), socket.getfqdn()}
        return _address(name) is not None or name.lower() in {each.lower() for each in own}


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _end() -> None:
    raise GracefulExit
