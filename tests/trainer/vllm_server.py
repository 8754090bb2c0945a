"""A stand-in for a vLLM server on localhost: it loads the LoRA folders it is told of with PEFT, and samples from them.

What it answers follows the source of vLLM 0.33.0: names, statuses, error bodies, the plain text after a load; what it
takes is vllm_schema.py. It draws as this program's own sampler does: equal adapters and seeds give equal completions.
"""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file

from inspector.base_model.base import load_base
from inspector.base_model.generation import Hooks, generate
from tests.local_server import LocalServer
from tests.trainer import vllm_schema as schema
from trainer.rollouts.draws import Sampling
from trainer.rollouts.sampling import Chooser


@dataclass
class Fault:
    """What goes wrong with the next `times` requests to a path that contains `where`."""

    where: str
    status: int
    body: str = '{"error": {"message": "not now"}}'
    times: int = 1


class VllmServer(LocalServer):
    """Serves `base` under `name` until the `with` block ends. `loads`: (name, path, tensors) of each adapter loaded."""

    def __init__(self, base: Path, name: str, *, updating: bool = True, context: int = 512) -> None:
        super().__init__(_Handler, "vllm")
        self.name, self.updating, self.context = name, updating, context
        self.returns_ids, self.returns_end, self.sees_files = True, True, True
        self.rank = 64
        self.base = load_base(str(base), "cpu", "float32")
        self.adapters: dict[str, PeftModel] = {}
        self.loads: list[tuple[str, str, dict[str, torch.Tensor]]] = []
        self.most = 0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[Fault] = []
        self.refused: list[str] = []
        self.lock = threading.Lock()
        self._path = base

    def fault(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.where in path:
                fault.times -= 1
                return fault
        return None

    def load(self, name: str, path: str) -> tuple[int, Any]:
        if not name or not path:
            return 400, _error("Both 'lora_name' and 'lora_path' must be provided.", "InvalidUserInput", 400)
        if name in self.adapters:
            told = f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, set "
            return 400, _error(f"{told}'load_inplace' to True.", "InvalidUserInput", 400)
        if not self.sees_files or not Path(path, "adapter_config.json").is_file():
            told = f"Loading lora {name} failed: No adapter found for {path}"
            return 404, _error(told, "NotFoundError", 404)
        rank = json.loads(Path(path, "adapter_config.json").read_text())["r"]
        if rank > self.rank:
            told = f"LoRA rank {rank} is greater than max_lora_rank {self.rank}."
            return 500, _error(told, "InternalServerError", 500)
        self.loads.append((name, path, load_file(Path(path) / "adapter_model.safetensors")))
        plain = load_base(str(self._path), "cpu", "float32").model
        self.adapters[name] = PeftModel.from_pretrained(plain, path).eval()
        self.most = max(self.most, len(self.adapters))
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, name: str) -> tuple[int, Any]:
        if self.adapters.pop(name, None) is None:
            return 404, _error(f"The lora adapter '{name}' cannot be found.", "NotFoundError", 404)
        return 200, f"Success: LoRA adapter '{name}' removed successfully."

    def complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        model = self.base.model if body["model"] == self.name else self.adapters.get(body["model"])
        if model is None:
            return 404, _error(f"The model `{body['model']}` does not exist.", "NotFoundError", 404)
        how = Sampling(body.get("temperature", 0.7), body.get("top_p", 0.8), body["max_tokens"])
        choose = Hooks(choose=lambda _rows: Chooser([body.get("seed", 0)], how))
        answer = next(iter(generate(model, self.base.tokenizer, [body["prompt"]], how.max_tokens, hooks=choose)))
        ids = list(answer.ids)
        if answer.finish == "stop" and not self.returns_end:
            ids.pop()
        choice = {"index": 0, "text": answer.text, "finish_reason": answer.finish, "stop_reason": None}
        if body.get("return_token_ids") and self.returns_ids:
            choice |= {"token_ids": ids, "prompt_token_ids": body["prompt"]}
        return 200, {"object": "text_completion", "model": body["model"], "choices": [choice]}


class _Handler(BaseHTTPRequestHandler):
    vllm: VllmServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        always = {"object": "model", "created": 1, "owned_by": "vllm", "permission": []}
        card = {"id": self.vllm.name, "root": self.vllm.name, "parent": None, "max_model_len": self.vllm.context}
        adapters = [
            {"id": name, "root": "", "parent": self.vllm.name, "max_model_len": None} for name in self.vllm.adapters
        ]
        listed = [always | one for one in (card, *adapters)]
        self._send(200, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.vllm.lock:  # the random state of torch and the adapters are one for all threads
            self.vllm.asked.append((self.path, body))
            fault = self.vllm.fault(self.path)
            wrong = schema.fault(self.path, body, self.headers.get("Content-Type", ""))
            self.vllm.refused += [wrong] if wrong else []
            if wrong:
                answer: tuple[int, Any] = 400, _error(wrong, "BadRequestError", 400)
            elif fault:
                answer = fault.status, fault.body
            elif self.path == "/v1/completions":
                answer = self.vllm.complete(body)
            elif not self.vllm.updating:
                answer = 404, {"detail": "Not Found"}
            elif self.path == "/v1/load_lora_adapter":
                answer = self.vllm.load(body["lora_name"], body["lora_path"])
            else:
                answer = self.vllm.unload(body["lora_name"])
        self._send(*answer)

    def _send(self, status: int, body: Any) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _error(message: str, kind: str, code: int) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code}}
