"""A small OpenAI-compatible server on localhost: models, chat completions, and faults on request."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.local_server import LocalServer


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose question contains `where`."""

    status: int = 0
    where: str = ""
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"error": {"message": "not now"}}'
    pause: float = 0.0
    cut: bool = False
    """Close the connection in the middle of the body."""


class ChatServer(LocalServer):
    """Serves until the `with` block ends. `reply(model, question)` is what a model says; `asked` lists what came."""

    def __init__(self, models: tuple[str, ...], reply: Callable[[str, str], str], key: str = "") -> None:
        super().__init__(_Handler, "chat")
        self.models, self.reply, self.key = models, reply, key
        self.cards: dict[str, dict[str, Any]] = {}
        """Model -> what /models says of it beside its name."""
        self.signed: dict[str, str] = {}
        """Model -> the name its answers bear instead of its own."""
        self.message: dict[str, Any] = {}
        """What every answer's message has beside its text."""
        self.unsent = 0
        """Tokens that are counted and of which nothing is sent."""
        self.faults: list[Fault] = []
        self.asked: list[dict[str, Any]] = []
        self.busiest = self.busy = 0
        self.lock = threading.Lock()
        self.url += "/v1"

    def fault(self, question: str) -> Fault:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.where in question:
                    fault.times -= 1
                    return fault
        return Fault()


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        if not self._allowed():
            return
        listed = [{"id": name, "object": "model", **self.chat.cards.get(name, {})} for name in self.chat.models]
        self._send(200 if listed else 404, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed():
            return
        question = body["messages"][-1]["content"]
        with self.chat.lock:
            self.chat.asked.append(body)
            self.chat.busy += 1
            self.chat.busiest = max(self.chat.busiest, self.chat.busy)
        fault = self.chat.fault(question)
        time.sleep(fault.pause)
        with self.chat.lock:
            self.chat.busy -= 1  # before the answer: whoever has it may ask again at once
        try:
            if fault.status:
                self._send(fault.status, fault.body, fault.headers)
            else:
                text = self.chat.reply(body["model"], question)
                choice = {
                    "message": {"role": "assistant", "content": text, **self.chat.message},
                    "finish_reason": "stop",
                }
                answer = {
                    "model": self.chat.signed.get(body["model"], body["model"]),
                    "choices": [choice],
                    "usage": {"completion_tokens": len(text) + self.chat.unsent},
                }
                self._send(200, answer, cut=fault.cut)
        except OSError:
            self.close_connection = True  # the other side hung up

    def _allowed(self) -> bool:
        if self.chat.key and self.headers.get("Authorization") != f"Bearer {self.chat.key}":
            self._send(401, {"error": "invalid key"})
            return False
        return True

    def _send(self, status: int, body: Any, headers: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut
