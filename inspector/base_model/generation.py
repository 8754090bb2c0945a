"""Answers of a transformers model in batches: greedy, unless a caller chooses the tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from inspector.common.errors import CancelledError, InspectorError

if TYPE_CHECKING:
    from torch import Tensor

AUTO_BATCH = {"cpu": 16, "cuda": 64}
_LOOK_EVERY = 8
"""Tokens between two looks for text that ends an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to prompt `index`: its text, its length in tokens, and why it ended there."""

    index: int
    text: str
    tokens: int
    finish: Literal["stop", "length"]
    prompt_tokens: int = 0
    """Length of the prompt in tokens, where a server tells it."""
    ids: tuple[int, ...] = ()
    """The tokens with the one that ended it, where they are known."""
    reasoning: str = ""
    """What it thought before, where a server sends that apart."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who hears of the work while it runs, who may end it, and who chooses the tokens."""

    cancelled: Callable[[], bool] = lambda: False
    note: Callable[[str], None] = lambda _text: None
    step: Callable[[int], None] = lambda _tokens: None
    """Receives how many tokens were made since the last call."""
    choose: Callable[[Sequence[int]], Any] | None = None
    """Prompt indices of a batch, in its order -> a LogitsProcessor that leaves one token a row; None: greedy."""
    begin: Callable[[Tensor, Tensor], None] = lambda _ids, _mask: None
    """Receives the padded prompts of a batch, and their mask, before they run."""


_NO_HOOKS = Hooks()


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    batch: int = 0,
    until: str = "",
    hooks: Hooks = _NO_HOOKS,
) -> Iterator[Answer]:
    """The most probable (or the chosen) token at every step, for prompts of token ids; answers come batch by batch.

    The longest prompts go first, so that memory runs out at once or never; then the batch is halved for good,
    a note says so, and nothing is lost. `until` is text that ends an answer besides the end-of-text tokens. The
    limit of a prompt is `room`, the same in every batch. Batches of other sizes round differently: in 16 bits a
    near tie may fall the other way.
    Raises CancelledError within one token, InspectorError when one prompt alone is too large.
    """
    size = batch or AUTO_BATCH.get(str(model.device).partition(":")[0], 16)
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    at = 0
    while at < len(order):
        if hooks.cancelled():
            raise CancelledError("Cancelled between two batches.")
        limits = [room(model, len(prompts[i]), max_new_tokens) for i in order[at : at + size]]
        chosen = [i for i, limit in zip(order[at : at + size], limits, strict=True) if limit == limits[0]]
        made = _attempt(model, tokenizer, {i: prompts[i] for i in chosen}, limits[0], until, hooks)
        if made is None:
            size = _halved(min(size, len(chosen)), len(prompts[chosen[0]]), hooks.note)
            continue
        at += len(chosen)
        yield from (replace(answer, index=i) for i, answer in zip(chosen, made, strict=True))


def room(model: Any, prompt: int, wanted: int) -> int:
    """How many tokens may follow a prompt of this length: `wanted`, or what the model's context leaves."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return wanted if context is None else max(0, min(wanted, int(context) - prompt))


def _attempt(
    model: Any, tokenizer: Any, prompts: Mapping[int, Sequence[int]], limit: int, until: str, hooks: Hooks
) -> list[Answer] | None:
    """The answers of one batch (index -> prompt) by row, or None where memory ran out."""
    from inspector.base_model.batches import out_of_memory

    try:
        return _batch(model, tokenizer, prompts, limit, until, hooks)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None


def _halved(size: int, length: int, note: Callable[[str], None]) -> int:
    """Half the batch; called outside of the except block, so that the failed batch's tensors are free again."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if size == 1:
        raise InspectorError(
            f"Out of memory on a single prompt of {length} tokens: lower --max-new-tokens, or use a larger device."
        )
    note(f"out of memory: going on with batches of {size // 2}")
    return size // 2


def _batch(
    model: Any, tokenizer: Any, prompts: Mapping[int, Sequence[int]], limit: int, until: str, hooks: Hooks
) -> list[Answer]:
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    from inspector.base_model.batches import filler_of

    ends, filler = end_tokens(model, tokenizer), filler_of(tokenizer)
    longest = max(map(len, prompts.values()))
    ids = torch.full((len(prompts), longest), filler)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts.values()):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    device = model.get_input_embeddings().weight.device
    hooks.begin(ids, mask)
    # What a model's own generation_config asks for (sampling, penalties) fills every field left out here.
    greedy = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False, num_beams=1, temperature=1.0, top_p=1.0, top_k=50, repetition_penalty=1.0,
        no_repeat_ngram_size=0, max_new_tokens=limit, max_length=None, min_length=0, min_new_tokens=None,
        eos_token_id=sorted(ends) or None, pad_token_id=filler, use_cache=True,
    )  # fmt: skip
    stopping = _stopping(tokenizer, longest, ends | {filler}, until, hooks)
    choosing = LogitsProcessorList([hooks.choose(list(prompts))] if hooks.choose else [])
    with torch.inference_mode():
        out = model.generate(
            ids.to(device), attention_mask=mask.to(device), generation_config=greedy, stopping_criteria=[stopping],
            logits_processor=choosing,
        )  # fmt: skip
    if hooks.cancelled():
        raise CancelledError("Cancelled in the middle of a batch.")
    return [_answer(tokenizer, row, ends, filler, until) for row in out[:, longest:].tolist()]


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """The tokens that end an answer: the model's and the tokenizer's."""
    own = getattr(model.generation_config, "eos_token_id", None)
    ids = own if isinstance(own, list) else [own]
    return {int(token) for token in (*ids, tokenizer.eos_token_id) if token is not None}


def _answer(tokenizer: Any, new: list[int], ends: set[int], filler: int, until: str) -> Answer:
    """One row up to its end, with index 0: what follows is padding."""
    end = next((at for at, token in enumerate(new) if token in ends), len(new))
    stopped = end < len(new)
    while not stopped and end and new[end - 1] == filler:  # a row that `until` ended
        end -= 1
    text = str(tokenizer.decode(new[:end], skip_special_tokens=True))
    ended = until != "" and until in text
    if ended:
        text = text.partition(until)[0]
    ids = tuple(new[: end + stopped])
    return Answer(0, text, len(ids), "stop" if stopped or ended else "length", ids=ids)


def _stopping(tokenizer: Any, start: int, silent: set[int], until: str, hooks: Hooks) -> Any:
    """What generation asks after every token: which rows are done."""
    import torch
    from transformers import StoppingCriteria

    class Stopping(StoppingCriteria):
        def __call__(self, input_ids: Tensor, _scores: Any, **_more: Any) -> Tensor:
            last: list[int] = input_ids[:, -1].tolist()
            hooks.step(sum(token not in silent for token in last))
            done = torch.full((len(last),), hooks.cancelled(), dtype=torch.bool, device=input_ids.device)
            made = input_ids.shape[1] - start
            if until and made % _LOOK_EVERY == 0:
                for row, text in enumerate(tokenizer.batch_decode(input_ids[:, start:])):
                    done[row] = done[row] | (until in text)
            return done

    return Stopping()
