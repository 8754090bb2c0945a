"""A server on localhost that answers as a test says, byte by byte where it must; and what it was sent."""

import socket
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.local_server import LocalServer


class OddServer(LocalServer):
    """`answer(handler, body)` answers each request; `asked` lists (method, path, headers)."""

    def __init__(self, answer: Callable[[Any, bytes], None] | None = None) -> None:
        super().__init__(_Handler, "odd")
        self.answer = answer or (lambda handler, _body: reply(handler, 200, b"{}"))
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []

    @property
    def credentials(self) -> set[str]:
        """Every header that came and holds one."""
        kinds = ("Authorization", "Proxy-Authorization", "Cookie")
        return {headers[kind] for _, _, headers in self.asked for kind in kinds if kind in headers}


class _Handler(BaseHTTPRequestHandler):
    odd: OddServer

    def log_message(self, *_args: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        self.odd.asked.append((self.command, self.path, self.headers))
        self.odd.answer(self, self._received())

    def _received(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    do_POST = do_HEAD = do_PUT = do_GET


def reply(handler: Any, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """A whole answer."""
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def drip(handler: Any, head: bytes) -> None:
    """`head`, then a byte every twentieth of a second, until the server ends or the client leaves."""
    try:
        handler.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handler.wfile.write(head)
        while not handler.odd.left.wait(0.05):
            handler.wfile.write(b" ")
    except OSError:
        handler.close_connection = True
