"""Who answers the prompts: an OpenAI-compatible server, or a transformers model in this process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from inspector.base_model.endpoint import Body
from inspector.base_model.served import Served
from inspector.base_model.server import Server
from inspector.base_model.servers import Servers, at
from inspector.common.errors import InspectorError
from inspector.common.foreign import ForeignError, parse_json
from inspector.common.text import count, plain, some
from trainer.rollouts.draws import Draw, Sample, Sampling
from trainer.rollouts.schema import UNKNOWN

if TYPE_CHECKING:
    from inspector.base_model.base import Base
    from inspector.base_model.generation import Answer, Hooks

_TRIES = 8
"""Of one request: with doubling pauses about two minutes, beside what the server asks for."""


class Teacher(Protocol):
    """Draws completions."""

    @property
    def name(self) -> str:
        """The model, as every row records it: never a path of the machine."""
        ...

    @property
    def identity(self) -> str:
        """What makes its draws its own, beside the sampling parameters."""
        ...

    def samples(
        self, draws: Sequence[Draw], wanted: Collection[int], sampling: Sampling, hooks: Hooks
    ) -> Iterator[list[Sample]]:
        """The draws whose index is wanted, some at a time; a draw that comes to nothing is noted and left out.

        All draws of a run are given, also those there are already: a local model forms the same batches again.
        Raises CancelledError, and InspectorError where nothing more can come.
        """
        ...


@dataclass(frozen=True, slots=True)
class Remote:
    """A model of a server. Draws with one seed are alike only as far as the server keeps to seeds."""

    server: Server | Servers
    served: Served
    """What /models says of the model."""
    per_minute: float = 0.0
    """Requests started a minute, 0 for no limit."""
    extra: Body = field(default_factory=dict)
    """More fields of every request; None leaves one out that this server does not take."""

    @property
    def name(self) -> str:
        return self.served.name

    @property
    def identity(self) -> str:
        """The model as its server describes it; where the server listens changes from job to job."""
        return json.dumps([asdict(self.served), self.extra], sort_keys=True)

    def samples(
        self, draws: Sequence[Draw], wanted: Collection[int], sampling: Sampling, hooks: Hooks
    ) -> Iterator[list[Sample]]:
        """One request a draw, as the answers come."""
        places = [index for index in range(len(draws)) if index in wanted]
        common = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
        pace = _Pace(self.per_minute)

        def more(n: int) -> Body:
            pace()
            return common | {"seed": draws[places[n]].seed} | self.extra

        prompts = [draws[index].messages for index in places]
        for answer in self.server.answers(self.name, prompts, hooks, more):
            yield [_sample(answer, places[answer.index], answer.prompt_tokens)]


@dataclass(frozen=True, slots=True)
class Local:
    """A transformers model, in batches of consecutive draws.

    A draw depends on its prompt and seed, and by rounding on what shares its batch: hence batches are those of the
    whole run, and one that was cut is made again. On a CPU a resumed run then draws what an uninterrupted one does.
    """

    base: Base
    batch: int

    @property
    def name(self) -> str:
        return plain(Path(self.base.name).name) if Path(self.base.name).is_dir() else self.base.name

    @property
    def identity(self) -> str:
        return self.base.digest

    def samples(
        self, draws: Sequence[Draw], wanted: Collection[int], sampling: Sampling, hooks: Hooks
    ) -> Iterator[list[Sample]]:
        """Batch by batch, each by index."""
        for start in range(0, len(draws), self.batch):
            if any(index in wanted for index in range(start, start + self.batch)):
                made = self._batch(draws[start : start + self.batch], sampling, hooks)
                samples = (replace(sample, index=start + sample.index) for sample in made)
                yield [sample for sample in samples if sample.index in wanted]

    def _batch(self, draws: Sequence[Draw], sampling: Sampling, hooks: Hooks) -> list[Sample]:
        from inspector.base_model.encode import prompt_ids
        from inspector.base_model.generation import generate, room
        from trainer.rollouts.sampling import Chooser

        model, tokenizer = self.base.model, self.base.tokenizer
        prompts = [prompt_ids(tokenizer, draw.messages) for draw in draws]
        fits = [n for n, ids in enumerate(prompts) if room(model, len(ids), 1)]
        if len(fits) < len(draws):
            hooks.note(f"{count(len(draws) - len(fits), 'prompt')} longer than the context of {self.name}: left out")
        seeds = [draws[n].seed for n in fits]
        # Without a chat template the prompt reads `Question: … Answer:`, and models go on with the next question.
        until = "" if getattr(tokenizer, "chat_template", None) else "\n\nQuestion:"
        choosing = replace(hooks, choose=lambda rows: Chooser([seeds[row] for row in rows], sampling))
        shown = [prompts[n] for n in fits]
        answers = generate(model, tokenizer, shown, sampling.max_tokens, len(draws), until, choosing)
        made = [_sample(a, fits[a.index], len(shown[a.index])) for a in answers]
        return sorted(made, key=lambda sample: sample.index)


def remote(urls: Sequence[str], name: str, concurrency: int, per_minute: float, extra: str) -> Remote:
    """The model `name` of a server, or the only one it has. Raises InspectorError with what to do."""
    server = at(urls, 0, concurrency, tries=_TRIES)
    served = server.served()
    names = list(served)
    if not name and len(names) != 1:
        known = f"it serves {some(names, 8)}" if names else "it does not tell which it has"
        raise InspectorError(f"Which model of {plain(server.root)}? Name it with --teacher: {known}.")
    if name and names and name not in names:
        raise InspectorError(
            f"{plain(server.root)} serves no model {plain(name)!r}, but {some(names, 8)}: see --teacher."
        )
    name = name or names[0]
    return Remote(server, served.get(name, Served(name)), per_minute, _fields(extra))


def local(
    name: str,
    device: str,
    dtype: str,
    batch: int,
    hooks: Hooks,
    progress: Callable[[str, int, int], None],
) -> Local:
    """A folder, a Hub id, or `smollm2`, loaded. Raises InspectorError with what to do."""
    from inspector.base_model.base import load_base
    from inspector.base_model.generation import AUTO_BATCH

    base = load_base(name, device, dtype, note=hooks.note, progress=progress, cancelled=hooks.cancelled)
    return Local(base, batch or AUTO_BATCH.get(base.device.partition(":")[0], 16))


def _fields(extra: str) -> Body:
    try:
        found = parse_json(extra or "{}")
    except ForeignError as error:
        raise InspectorError(f"--body is {error}: write it as '{{\"top_k\": 20}}'.") from error
    if not isinstance(found, dict):
        raise InspectorError("--body must be an object of request fields, as in '{\"top_k\": 20}'.")
    return found


def _sample(answer: Answer, index: int, prompt_tokens: int) -> Sample:
    counted = prompt_tokens or UNKNOWN, answer.tokens or UNKNOWN
    return Sample(index, answer.text, answer.finish, *counted, answer.reasoning)


class _Pace:
    """Lets through so many calls a minute, evenly, from any thread."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + self._gap
        time.sleep(mine - now)
