"""What vLLM 0.33.0 takes and says, read in its package: a server of tests refuses what vLLM would refuse or ignore.

From vllm/entrypoints: openai/completion/protocol.py (CompletionRequest), serve/lora/protocol.py, serve/lora/
api_router.py (JSON alone), openai/models/serving.py (the messages); vllm/config/lora.py (MAX_RANKS) and
lora/peft_helper.py. Unknown fields of a completion are ignored by vLLM, which nobody would notice: refused here.
"""

from typing import Any

INT64 = 2**63
MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


COMPLETION = {
    "model": lambda v: isinstance(v, str),
    "prompt": lambda v: isinstance(v, list) and v and all(_count(token) and token >= 0 for token in v),
    "seed": lambda v: _count(v) and -INT64 <= v < INT64,
    "temperature": lambda v: _number(v) and v >= 0,
    "top_p": lambda v: _number(v) and 0 < v <= 1,
    "max_tokens": lambda v: _count(v) and v >= 1,
    "top_k": lambda v: _count(v) and v >= -1,
    "min_p": lambda v: _number(v) and 0 <= v <= 1,
    "repetition_penalty": lambda v: _number(v) and v > 0,
    "presence_penalty": lambda v: _number(v) and -2 <= v <= 2,
    "frequency_penalty": lambda v: _number(v) and -2 <= v <= 2,
    "min_tokens": lambda v: _count(v) and v >= 0,
    "return_token_ids": lambda v: isinstance(v, bool),
}
LOAD = {"lora_name": lambda v: isinstance(v, str), "lora_path": lambda v: isinstance(v, str)}
UNLOAD = {"lora_name": lambda v: isinstance(v, str)}
REQUESTS = {"/v1/completions": COMPLETION, "/v1/load_lora_adapter": LOAD, "/v1/unload_lora_adapter": UNLOAD}


def fault(path: str, body: dict[str, Any], content_type: str) -> str:
    """What is wrong with a request, or nothing."""
    if content_type.lower().partition(";")[0] != "application/json":
        return "Unsupported Media Type: Only 'application/json' is allowed"
    fields = REQUESTS[path]
    if unknown := body.keys() - fields.keys():
        return f"unknown fields {sorted(unknown)}"
    wrong = [name for name, value in body.items() if not fields[name](value)]
    missing = sorted(fields.keys() - body.keys()) if path != "/v1/completions" else []
    return f"wrong {wrong}, missing {missing}" if wrong or missing else ""
