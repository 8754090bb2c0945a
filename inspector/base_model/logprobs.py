"""Log-probabilities of given tokens: of a base and adapters run here, and of what a server has under a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.base_model.at_once import concurrently
from inspector.base_model.attach import Attached
from inspector.base_model.encode import Encoded
from inspector.base_model.endpoint import ProblemError
from inspector.base_model.server import Server
from inspector.common.errors import InspectorError
from inspector.common.foreign import ForeignError, field
from inspector.common.text import plain

Logs = list[list[float]]
"""ln p of every token but the first of each text, in nats."""
_HOW = "receipt needs a completions endpoint with `echo` and `logprobs`, as vLLM and SGLang have"


def local(attached: Attached, texts: Sequence[Encoded], done: Callable[[int], None] = lambda _n: None) -> Logs:
    """Of what is active on the base, a text at a time."""
    import torch

    model, found = attached.base.model, []
    for text in texts:
        with torch.inference_mode():
            ids = torch.tensor([text.ids], device=model.device)
            attached.begin(ids, torch.ones_like(ids))
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
            logs = torch.log_softmax(logits, -1).gather(1, ids[0, 1:, None])[:, 0]
        found.append([float(x) for x in logs.double().cpu()])
        done(1)
    return found


def served(server: Server, name: str, texts: Sequence[Encoded], done: Callable[[int], None] = lambda _n: None) -> Logs:
    """Of a model of a server, which is sent the token ids and echoes them.

    Raises InspectorError if it does not have the model, or gives no log-probabilities of a prompt.
    """
    root = server.refuse_unknown(name).root

    def ask(n: int, stopped: Callable[[], bool]) -> tuple[int, list[float]]:
        ids = list(texts[n].ids)
        asked = {"model": name, "prompt": ids, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
        answer = server.ask("completions", asked, stopped)
        server.refuse_other(name, answer.get("model"), root)
        return n, _echoed(server, answer, len(ids))

    logs: Logs = [[] for _ in texts]
    for found in concurrently(len(texts), server.concurrency, ask):
        if isinstance(found, ProblemError):
            raise InspectorError(f"{server.where} cannot be asked for log-probabilities: {found}; {_HOW}.") from found
        if isinstance(found, Exception):
            raise found
        logs[found[0]] = found[1]
        done(1)
    return logs


def _echoed(server: Server, answer: object, length: int) -> list[float]:
    """Those of the prompt, in an answer that may go on behind it."""
    kind = tuple[float | None, ...]
    try:
        found: tuple[float | None, ...] = field(answer, kind, "choices", 0, "logprobs", "token_logprobs", default=())
    except ForeignError as error:
        raise InspectorError(f"{server.where} gives no log-probabilities: {plain(error, 80)}; {_HOW}.") from error
    if len(found) <= 1:
        raise InspectorError(f"{server.where} gives no log-probabilities of the tokens of a prompt: {_HOW}.")
    if not length <= len(found) <= length + 1:
        raise InspectorError(
            f"{server.where} answers with {len(found)} tokens to a prompt of {length}: its tokenizer is another, "
            "or it does not echo. Name the base that it serves with --base."
        )
    values = [x for x in found[1:length] if x is not None]
    if len(values) != length - 1:
        raise InspectorError(f"{server.where} leaves out log-probabilities of the prompt: {_HOW}.")
    return values
