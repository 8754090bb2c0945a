"""Completions of the online methods from a running vLLM server that serves the adapter as it stands, unmerged.

Before each batch of completions the adapter is written as a float32 PEFT folder, loaded under a new name, and the one
before it unloaded. vLLM keys its prefix cache by the adapter's name: one name for two contents would mix them, so the
name follows from the content (and is the same on every process without a word between them).

vLLM computes with other kernels, and with the factors in the base's dtype: its probabilities differ a little from the
training model's. The ratio is computed with the training model's own, as TRL does, without importance correction.
tests/trainer/vllm_server.py stands in for vLLM, by the source of 0.33.0 (its request classes, LoRA endpoints and
messages); no vLLM has run against this.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from inspector.base_model.at_once import concurrently
from inspector.base_model.endpoint import Body, Endpoint, ProblemError
from inspector.base_model.generation import Answer, end_tokens
from inspector.common.errors import InspectorError
from inspector.common.foreign import ForeignError, field
from inspector.common.text import plain, some
from trainer.objectives.groups import Draw
from trainer.rollouts.draws import Sampling
from trainer.saving import outcome, start

CONCURRENCY = 64
_TIMEOUT = 3600.0
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Those that vLLM takes as --max-lora-rank [vllm/config/lora.py]."""
_HOW = "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve {base} --enable-lora --max-lora-rank {rank}"
_PLAIN = {
    "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "min_tokens": 0,
}  # fmt: skip
"""Nothing but temperature and top-p, as here: vLLM takes what is left out from the model's generation_config."""
_IDS = {"return_token_ids": True}


@dataclass(frozen=True, slots=True)
class Place:
    """Which server, and what it has to serve."""

    url: str
    base_id: str
    rank: int

    def endpoint(self) -> Endpoint:
        """A client for answers that take long."""
        return Endpoint(self.url, timeout=_TIMEOUT)

    @property
    def how(self) -> str:
        """The command that serves it."""
        rank = next((rank for rank in _RANKS if rank >= self.rank), _RANKS[-1])
        return f"`{_HOW.format(base=plain(self.base_id), rank=rank)}`"

    def context(self) -> int:
        """How many tokens prompt and completion may have there, 0 if it does not tell. Raises InspectorError."""
        server = self.endpoint()
        cards = {str(card["id"]): card for card in server.cards()}
        if self.base_id not in cards:
            raise InspectorError(
                f"{server.where} serves {some(list(cards), 8) or 'nothing that it tells of'}, not the base "
                f"{plain(self.base_id)}: start it with {self.how} (a folder also with --served-model-name)."
            )
        try:
            return int(field(cards[self.base_id], int, "max_model_len", default=0))
        except ForeignError as error:
            raise InspectorError(f"{server.where} does not describe its models as vLLM does: {error}.") from error

    def check(self) -> None:
        """Find out before the base is loaded whether this server can do it. Raises InspectorError with what to do."""
        self.context()
        server = self.endpoint()
        try:
            server.tell("load_lora_adapter", {"lora_name": "", "lora_path": ""})
        except ProblemError as error:
            if error.status not in {400, 422}:  # which is how it refuses empty names where it would load others
                raise InspectorError(
                    f"{server.where} loads no adapters ({error}): start it with {self.how}."
                ) from error
        try:
            choice = _choice(server.ask("completions", {"model": self.base_id, "prompt": [1], "max_tokens": 1} | _IDS))
        except ProblemError as error:
            raise InspectorError(f"{server.where} completes nothing: {error}.") from error
        if not choice.get("token_ids"):
            raise InspectorError(f"{server.where} returns no token ids: it must be vLLM 0.10.2 or newer.")


class VllmSampler:
    """A `Sampler` of groups.py; `serve` the adapter first. What it leaves behind goes when it is closed."""

    def __init__(
        self, place: Place, run: str, folder: Path, sampling: Sampling, tokenizer: Any, ends: Collection[int]
    ) -> None:
        self._place, self._server = place, place.endpoint()
        self._run, self._folder = run, folder.resolve()
        self._sampling, self._tokenizer, self._ends = sampling, tokenizer, frozenset(ends)
        self._served, self._loaded = "", ""
        self._vocabulary = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._loaded:
            self._drop()
            shutil.rmtree(self._folder, ignore_errors=True)
        self._served = self._loaded = ""

    def serve(self, model: Any, accelerator: Any) -> None:
        """Have the adapter of `model` answer from here on; every process calls it, the main one loads.

        Raises InspectorError with what to do.
        """
        lora = model.peft_config["default"]
        content = repr((start.tensors_digest(start.adapter(model)), lora.r, lora.lora_alpha, str(self._folder)))
        name = f"{self._run}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        if name != self._served and accelerator.is_main_process:
            if not self._loaded:
                shutil.rmtree(self._folder, ignore_errors=True)  # of a run that was killed
            outcome.save_adapter(model, self._folder / name, self._place.base_id, "float32")
            self._load(name)
            self._drop()
            self._loaded = name
        accelerator.wait_for_everyone()
        self._served, self._vocabulary = name, model.get_input_embeddings().num_embeddings

    def __call__(self, draws: Sequence[Draw]) -> list[Answer]:
        """A completion of each draw, in their order. Raises InspectorError where one does not come."""
        found: dict[int, Answer] = {}
        for made in concurrently(len(draws), CONCURRENCY, lambda n, stopped: self._answer(n, draws[n], stopped)):
            if isinstance(made, ProblemError):
                raise InspectorError(
                    f"{self._server.where} does not complete a prompt: {made}. Once it does, the same command goes on "
                    "from the last checkpoint."
                ) from made
            if isinstance(made, Exception):
                raise made
            found[made.index] = made
        return [found[n] for n in range(len(draws))]

    def _answer(self, index: int, draw: Draw, stopped: Callable[[], bool]) -> Answer:
        prompt, seed = draw
        how = self._sampling
        asked = {"model": self._served, "prompt": list(prompt.ids), "seed": seed, "temperature": how.temperature,
                 "top_p": how.top_p, "max_tokens": how.max_tokens}  # fmt: skip
        choice = _choice(self._server.ask("completions", asked | _PLAIN | _IDS, stopped))
        try:
            ids, reason = list(field(choice, tuple[int, ...], "token_ids")), field(choice, str, "finish_reason")
        except ForeignError as error:
            raise ProblemError(f"its answer is no completion with token ids: {error}") from error
        if reason not in {"stop", "length"} or not all(0 <= token < self._vocabulary for token in ids):
            raise ProblemError(f"its answer has an unknown end ({plain(reason, 40)}), or tokens the base does not have")
        ended = reason == "stop"
        if ended and not (ids and (ids[-1] in self._ends or ids[-1] == choice.get("stop_reason"))):
            ids.append(self._tokenizer.eos_token_id)
        text = str(self._tokenizer.decode(ids[: len(ids) - ended], skip_special_tokens=True))
        return Answer(index, text, len(ids), "stop" if ended else "length", ids=tuple(ids))

    def _load(self, name: str) -> None:
        folder = self._folder / name
        try:
            self._server.tell("load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
        except ProblemError as error:
            said = str(error)
            if "already been loaded" in said:  # a first try whose answer was lost: the name tells the content
                return
            if error.status == 404 and "dapter" in said:
                raise InspectorError(
                    f"{self._server.where} finds no adapter in {plain(folder)}: it must see the files of this machine "
                    "under the same path. Run it here, or put --out on a file system that both share."
                ) from error
            raise InspectorError(
                f"{self._server.where} does not load the adapter: {said}. Start it with {self._place.how}."
            ) from error

    def _drop(self) -> None:
        """Unload what this process loaded last; where that fails it does no harm, as nobody asks for it again."""
        if self._loaded:
            with suppress(ProblemError, InspectorError):
                self._server.tell("unload_lora_adapter", {"lora_name": self._loaded})
            shutil.rmtree(self._folder / self._loaded, ignore_errors=True)


def sampler(trainer: Any, place: Place, run: str, folder: Path) -> VllmSampler:
    """A sampler for this OnlineTrainer. Raises InspectorError where the server's context is too short."""
    longest, limit = max(len(prompt.ids) for prompt in trainer.prompts), trainer.sampling.max_tokens
    context = place.context()
    if 0 < context < longest + limit:
        raise InspectorError(
            f"{place.endpoint().where} takes {context} tokens of prompt and completion, and here they have up to "
            f"{longest} + {limit}: start it with a larger --max-model-len, or --set max_new_tokens lower."
        )
    ends = end_tokens(trainer.model, trainer.processing_class)
    return VllmSampler(place, run, folder, trainer.sampling, trainer.processing_class, ends)


def _choice(answer: Body) -> Body:
    try:
        return dict(field(answer, dict, "choices", 0))
    except ForeignError as error:
        raise ProblemError(f"its answer is no completion: {error}") from error
