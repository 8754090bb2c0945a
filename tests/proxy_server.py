"""A small proxy on localhost: it tunnels (CONNECT), forwards plain HTTP, and goes wrong on request.

`with ProxyServer(hub.port) as proxy:` then give `proxy.url` to a new process as HTTPS_PROXY. Whatever host is asked
for, it is reached at that port here: a name such as hub.test exists for those who come this way, and for nobody else.
"""

import base64
import socket
import struct
import threading
from collections.abc import Iterable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.local_server import LocalServer

_HOP = {"connection", "proxy-authorization", "proxy-connection", "keep-alive", "transfer-encoding"}


class ProxyServer(LocalServer):
    """Serves until the `with` block ends; `asked` lists (method, target) of what came this way."""

    def __init__(
        self,
        port: int,
        *,
        login: str = "",
        refuses: str = "",
        cuts: Iterable[int] = (),
        reset: bool = False,
        silent: bool = False,
    ) -> None:
        """`login` is the `user:password` it wants; `refuses` what each tunnel is answered, as `403 Forbidden`.

        The first tunnels end after `cuts` bytes towards the client, with `reset` not even closed as TCP asks for;
        `silent` accepts and never answers.
        """
        super().__init__(_Handler, "proxy")
        self.port, self.login, self.refuses, self.silent = port, login, refuses, silent
        self.cuts, self.reset = list(cuts), reset
        self.asked: list[tuple[str, str]] = []
        self._server.block_on_close = False
        self._server.shutdown_request = self._server.close_request  # no FIN before a reset
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.address}"


class _Handler(BaseHTTPRequestHandler):
    proxy: ProxyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Nothing on stderr."""

    def do_CONNECT(self) -> None:
        if not self._welcome():
            return
        if self.proxy.refuses:
            self._refuse(*self.proxy.refuses.split(" ", 1))
            return
        self.send_response(200, "Connection established")
        self.end_headers()
        with socket.create_connection(("127.0.0.1", self.proxy.port)) as server:
            up = threading.Thread(target=_pump, args=(self.connection, server), daemon=True)
            up.start()
            if _pump(server, self.connection, self.proxy.cuts.pop(0) if self.proxy.cuts else None):
                if self.proxy.reset:  # closing sends RST, and drops what is on its way
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.shutdown(socket.SHUT_RD)
                up.join()  # which reads from it: only then is it closed at once
        self.close_connection = True

    def do_GET(self) -> None:
        if not self._welcome():
            return
        url = urlsplit(self.path)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
        there = HTTPConnection("127.0.0.1", self.proxy.port)
        there.request(self.command, f"{url.path}?{url.query}" if url.query else url.path, headers=headers)
        answer = there.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
        there.close()

    do_HEAD = do_GET

    def _welcome(self) -> bool:
        """Whether the client may pass; it is told where it may not."""
        self.proxy.asked.append((self.command, self.path))
        if self.proxy.silent:
            self.proxy.left.wait()
            self.close_connection = True
            return False
        wanted = f"Basic {base64.b64encode(self.proxy.login.encode()).decode()}"
        if self.proxy.login and self.headers.get("Proxy-Authorization") != wanted:
            self._refuse("407", "Proxy Authentication Required")
            return False
        return True

    def _refuse(self, status: str, reason: str) -> None:
        self.send_response(int(status), reason)
        if status == "407":
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.end_headers()


def _pump(source: socket.socket, sink: socket.socket, limit: int | None = None) -> bool:
    """Copy until either side hangs up, or until `limit` bytes are through: then True."""
    sent = 0
    try:
        while piece := source.recv(16 * 1024):
            if limit is not None and sent + len(piece) > limit:
                sink.sendall(piece[: limit - sent])
                return True
            sink.sendall(piece)
            sent += len(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    return False
