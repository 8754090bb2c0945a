"""An OpenAI-compatible completions server on localhost that runs a tiny model: token ids in, log-probabilities out."""

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import torch

from tests.local_server import LocalServer


class CompletionsServer(LocalServer):
    """Serves models by name until the `with` block ends. `gives` says which answers have log-probabilities."""

    def __init__(self, models: Mapping[str, torch.nn.Module], *, gives: str = "logprobs") -> None:
        super().__init__(_Handler, "chat")
        self.models, self.gives = models, gives
        self.url += "/v1"


class _Handler(BaseHTTPRequestHandler):
    chat: CompletionsServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": name} for name in self.chat.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.chat.gives == "nothing":
            self._send(400, {"error": {"message": "echo is not supported"}})
            return
        ids = torch.tensor([body["prompt"]])
        with torch.inference_mode():
            logs = torch.log_softmax(self.chat.models[body["model"]](input_ids=ids).logits[0].float(), -1)
        own = logs[:-1].gather(1, ids[0, 1:, None])[:, 0].tolist()
        found = [None, *own, float(logs[-1].max())]
        if self.chat.gives == "one":
            found = found[-1:]
        logprobs = None if self.chat.gives == "text" else {"token_logprobs": found}
        self._send(200, {"model": body["model"], "choices": [{"text": "", "logprobs": logprobs}]})

    def _send(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
