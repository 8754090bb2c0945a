"""Servers of tests on localhost: from the start of a `with` block to its end."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class LocalServer:
    """Answers by a handler, which finds this server under the name `of`; `left` is set when the block ends."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], of: str) -> None:
        self.left = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {of: self}))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # clients hang up
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.left.set()
        self._server.shutdown()
        self._server.server_close()
