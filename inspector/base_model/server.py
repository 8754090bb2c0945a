"""Answers through any OpenAI-compatible server (vLLM with LoRA: one model name per adapter). No torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inspector.base_model.endpoint import Body, Endpoint, ProblemError
from inspector.base_model.generation import Answer, Hooks
from inspector.base_model.served import Served
from inspector.base_model.spread import Spread
from inspector.common.errors import InspectorError
from inspector.common.foreign import ForeignError, field
from inspector.common.text import plain, some

Messages = Sequence[dict[str, str]]


_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}")
"""What OpenAI adds to a name that stands for its newest version."""
_REASONING = ("reasoning_content", "reasoning")
"""Where servers send what a model thought before its answer: DeepSeek, SGLang, vLLM; newer vLLM, OpenRouter."""


@dataclass(frozen=True, slots=True)
class Server(Endpoint):
    """Chats, several at a time."""

    max_new_tokens: int
    concurrency: int = 16

    def served(self) -> dict[str, Served]:
        """Its models by name; empty where it does not tell. Raises InspectorError where it cannot be reached."""
        keys = ("id", "root", "parent", "owned_by")
        cards = [[found if isinstance(found := card.get(key), str) else "" for key in keys] for card in self.cards()]
        return {name: Served(name, *more) for name, *more in cards}

    def known_by(self, cards: Sequence[Served]) -> list[Any]:
        """What tells its answers from another server's: its address, and what it says of the models that answer.

        A name says little: another server has other weights under it.
        """
        return [self.root, [asdict(card) for card in cards]]

    def refuse_unknown(self, model: str) -> Served:
        """What the server says of a model; raises InspectorError if it lists its models, and this is none of them."""
        return self.card(model, self.served())

    def card(self, model: str, served: Mapping[str, Served]) -> Served:
        """The same, of what it serves."""
        if served and model not in served:
            raise InspectorError(
                f"{self.where} serves no model {plain(model)!r}, but {some(list(served), 8)}. "
                "Name the source as the server does, as in NAME=SOURCE, and the base with --base."
            )
        return served.get(model, Served(model))

    def refuse_other(self, asked: object, answered: object, root: str) -> None:
        """Raise InspectorError if an answer names another model than the one that was asked, or its `root`."""
        if not isinstance(answered, str) or answered in {"", asked, root}:
            return
        if answered.startswith(str(asked)) and _DATED.fullmatch(answered.removeprefix(str(asked))):
            return
        raise InspectorError(
            f"{self.where} was asked for {plain(asked)!r} and {plain(answered)!r} answered: its answers are not used. "
            "Name the model as its answers do, or ask the server that has it."
        )

    def answers(
        self, model: str, prompts: Sequence[Messages], hooks: Hooks, more: Callable[[int], Body] = lambda _index: {}
    ) -> Iterator[Answer]:
        """An answer to each chat, as they come; a chat the server refuses has none, and a note says why.

        `more` is called by the thread that asks prompt `index`, right before (it may wait there), for what else
        the request says; None leaves a field out.
        Raises InspectorError when the server fails for good, CancelledError when cancelled.
        """
        root = self.refuse_unknown(model).root
        yield from Spread((self,), model, root, prompts, more, hooks).answers()

    def answer(
        self, index: int, body: Body, root: str, stopped: Callable[[], bool], trying: Callable[[str], None]
    ) -> Answer:
        """One chat completion, at temperature 0 unless the body says otherwise, of the model that was asked."""
        body = {"temperature": 0, "max_tokens": self.max_new_tokens} | body
        found = self.ask("chat/completions", {k: v for k, v in body.items() if v is not None}, stopped, trying)
        self.refuse_other(body["model"], found.get("model"), root)
        try:
            text = field(found, str, "choices", 0, "message", "content", default="")
            reason = field(found, str, "choices", 0, "finish_reason", default="")
            tokens, before = (field(found, int, "usage", f"{of}_tokens", default=0) for of in ("completion", "prompt"))
            message = field(found, dict, "choices", 0, "message")
        except ForeignError as error:
            raise ProblemError(f"its answer is not a chat completion: {error}") from error
        thought = next((m for name in _REASONING if isinstance(m := message.get(name), str) and m), "")
        return Answer(index, text, tokens, "length" if reason == "length" else "stop", before, reasoning=thought)
