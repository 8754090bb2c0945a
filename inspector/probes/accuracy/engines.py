"""What answers the problems: a base in this process with its adapters attached, or a server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from inspector.base_model.attach import Attached
from inspector.base_model.generation import Answer, Hooks, generate, room
from inspector.base_model.served import Served
from inspector.base_model.server import Server
from inspector.base_model.servers import Servers
from inspector.common.errors import InspectorError
from inspector.common.text import plain
from inspector.probes.accuracy.records import Run
from inspector.study.study import ProbeInfo
from inspector.tasks.problems import Problems


class Engine(Protocol):
    """Greedy answers of the base (None) or an adapter (its name)."""

    @property
    def base(self) -> str:
        """The base as it is shown."""
        ...

    def run(self, task: str, name: str | None, digest: str) -> Run:
        """What the records of this model are kept under; `digest` is the adapter's `identity`, empty for the base."""
        ...

    def info(self) -> ProbeInfo:
        """How it answers; the task is not in it."""
        ...

    def prompts(self, problems: Problems) -> list[Any]:
        """What a model is shown for each problem, as JSON can hold it; None where it does not fit."""
        ...

    def answers(self, name: str | None, prompts: Sequence[Any], hooks: Hooks) -> Iterator[Answer]:
        """The answers, as they come; none where there is none, and a note says why."""
        ...


@dataclass(frozen=True, slots=True)
class Local:
    """A base with adapters attached, through transformers."""

    attached: Attached
    max_new_tokens: int
    batch: int = 0

    @property
    def base(self) -> str:
        return self.attached.base.name

    def run(self, task: str, name: str | None, digest: str) -> Run:  # noqa: ARG002 - an adapter is its content
        base = self.attached.base
        device = base.device.partition(":")[0]
        return Run(task, base.digest, digest, f"transformers, {device}, {base.dtype}, {_greedy(self.max_new_tokens)}")

    def info(self) -> ProbeInfo:
        base = self.attached.base
        note = "; ".join(filter(None, (base.caution, *self.attached.other_bases.values())))
        detail = _greedy(self.max_new_tokens)
        return ProbeInfo("accuracy", base.name, base.digest, base.device, base.dtype, detail=detail, note=note)

    def prompts(self, problems: Problems) -> list[Any]:
        from inspector.base_model.encode import prompt_ids

        base = self.attached.base
        ids = [prompt_ids(base.tokenizer, problems.messages(problem)) for problem in problems.problems]
        return [prompt if room(base.model, len(prompt), 1) else None for prompt in ids]

    def answers(self, name: str | None, prompts: Sequence[Any], hooks: Hooks) -> Iterator[Answer]:
        base, hooks = self.attached.base, replace(hooks, begin=self.attached.begin)
        if note := self.attached.heard(name, prompts):
            hooks.note(note)
        # Without a chat template the prompt reads `Question: … Answer:`, and models go on with the next question.
        until = "" if getattr(base.tokenizer, "chat_template", None) else "\n\nQuestion:"
        self.attached.use(name)
        try:
            yield from generate(base.model, base.tokenizer, prompts, self.max_new_tokens, self.batch, until, hooks)
        finally:
            self.attached.use(None)


@dataclass(frozen=True, slots=True)
class Remote:
    """A server that knows the base and every adapter by a name.

    Answers are known by the server's address, by what its /models says of the model and of the base, and by the base
    that the adapters name.
    """

    server: Server | Servers
    base: str
    served: Mapping[str, Served]
    """What /models said when this began."""
    trained_on: Mapping[str, str]
    """Adapter -> the base it names."""
    caution: str = ""

    def run(self, task: str, name: str | None, digest: str) -> Run:
        cards = [self._card(model) for model in (self.base, *([name] if name else []))]
        bases = [self.trained_on[name]] if name else sorted({*self.trained_on.values()} - {""})
        known = json.dumps([*self.server.known_by(cards), bases], ensure_ascii=False)
        return Run(task, "", digest, f"server, {known}, {_greedy(self.server.max_new_tokens)}")

    def info(self) -> ProbeInfo:
        detail = f"{_greedy(self.server.max_new_tokens)}, answered by {plain(self.server.root)}"
        return ProbeInfo("accuracy", self.base, device="server", detail=detail, note=self.caution)

    def prompts(self, problems: Problems) -> list[Any]:
        return [problems.messages(problem) for problem in problems.problems]

    def answers(self, name: str | None, prompts: Sequence[Any], hooks: Hooks) -> Iterator[Answer]:
        model = name or self.base
        if self.server.refuse_unknown(model) != self._card(model):
            raise InspectorError(
                f"{self.server.where} says something else of {plain(model)!r} than when this began: another server "
                "has taken its place. Run again to ask that one."
            )
        yield from self.server.answers(model, prompts, hooks)

    def _card(self, model: str) -> Served:
        return self.served.get(model, Served(model))


def _greedy(tokens: int) -> str:
    return f"greedy, at most {tokens} new tokens"
