"""Batched greedy answers against one prompt at a time, token by token."""

import pytest
import torch

from inspector.base_model.generation import Hooks, generate, room
from inspector.common.errors import CancelledError, InspectorError
from tests.base_model.tiny_model import tiny_model, tiny_tokenizer

QUESTIONS = ["1 + 1 = ", "What is 3 + 4 - 2? ", "7", "Say it again: 12 12 12 ", "x" * 40, "y: "]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model(tokenizer)


@pytest.fixture(scope="module")
def prompts(tokenizer):
    return [tokenizer(text)["input_ids"] for text in QUESTIONS]


def greedy(model, prompt, limit, eos):
    """One argmax after the other, without a cache, padding or the library's generation."""
    ids, new = list(prompt), []
    while len(new) < limit and (not new or new[-1] != eos):
        with torch.inference_mode():
            new.append(int(model(torch.tensor([ids + new])).logits[0, -1].argmax()))
    return new


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_answers_are_those_of_one_prompt_alone(model, tokenizer, prompts, batch):
    answers = list(generate(model, tokenizer, prompts, 24, batch))
    assert sorted(a.index for a in answers) == list(range(len(prompts)))
    finishes = set()
    for answer in answers:
        new = greedy(model, prompts[answer.index], 24, tokenizer.eos_token_id)
        assert answer.tokens == len(new)
        assert answer.finish == ("stop" if new[-1] == tokenizer.eos_token_id else "length")
        assert answer.text == tokenizer.decode(new, skip_special_tokens=True)
        finishes.add(answer.finish)
    assert finishes == {"stop", "length"}


def test_longest_first(model, tokenizer, prompts):
    lengths = [len(prompts[a.index]) for a in generate(model, tokenizer, prompts, 2, 2)]
    assert lengths == sorted(lengths, reverse=True)


def test_the_models_own_sampling_is_not_used(model, tokenizer, prompts, recwarn):
    plain = list(generate(model, tokenizer, prompts, 8, 4))
    config = model.generation_config
    config.do_sample, config.temperature, config.repetition_penalty, config.max_length = True, 5.0, 3.0, 3
    try:
        assert list(generate(model, tokenizer, prompts, 8, 4)) == plain
    finally:
        config.do_sample, config.temperature, config.repetition_penalty, config.max_length = False, 1.0, 1.0, 20
    assert not recwarn.list


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("x"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_halves_the_batch_and_loses_nothing(model, tokenizer, prompts, monkeypatch, error):
    expected = list(generate(model, tokenizer, prompts, 8, 1))
    real, sizes, notes = model.generate, [], []

    def small(ids, **more):
        sizes.append(len(ids))
        if len(ids) > 2:
            raise error
        return real(ids, **more)

    monkeypatch.setattr(model, "generate", small)
    answers = list(generate(model, tokenizer, prompts, 8, 6, hooks=Hooks(note=notes.append)))
    assert sorted(answers, key=lambda a: a.index) == sorted(expected, key=lambda a: a.index)
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]
    assert notes == [f"out of memory: going on with batches of {n}" for n in (3, 1)]


def test_one_prompt_too_large_is_said(model, tokenizer, prompts, monkeypatch):
    def never(*_args, **_more):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(model, "generate", never)
    notes = []
    with pytest.raises(InspectorError, match="single prompt of 40 tokens"):
        list(generate(model, tokenizer, prompts, 8, 4, hooks=Hooks(note=notes.append)))
    assert notes == [f"out of memory: going on with batches of {n}" for n in (2, 1)]


def test_other_errors_are_not_swallowed(model, tokenizer, prompts, monkeypatch):
    def broken(*_args, **_more):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(model, "generate", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        list(generate(model, tokenizer, prompts, 8, 4))


def test_cancel_within_a_batch(model, tokenizer, prompts):
    """Cancelled at the third token of the second batch: the first batch was handed out."""
    made, got = [], []
    hooks = Hooks(cancelled=lambda: len(made) >= 3 and len(got) == 2, step=made.append)
    with pytest.raises(CancelledError):
        got.extend(generate(model, tokenizer, prompts, 100, 2, hooks=hooks))
    assert len(got) == 2


def test_steps_count_the_tokens_that_end_nothing(model, tokenizer, prompts):
    made = []
    answers = list(generate(model, tokenizer, prompts, 24, 3, hooks=Hooks(step=made.append)))
    assert sum(made) == sum(answer.tokens - (answer.finish == "stop") for answer in answers) > 0


def test_generation_ends_with_the_tokenizers_end_token_if_the_model_names_none(model, tokenizer, prompts, monkeypatch):
    monkeypatch.setattr(model.generation_config, "eos_token_id", None)
    made = []
    answers = list(generate(model, tokenizer, prompts, 24, 1, hooks=Hooks(step=made.append)))
    assert len(made) == sum(answer.tokens for answer in answers) < 24 * len(prompts)


def test_text_that_ends_an_answer(model, tokenizer, prompts):
    free = {a.index: a for a in generate(model, tokenizer, prompts, 40, 3)}
    until = free[0].text[9:11]
    ended = list(generate(model, tokenizer, prompts, 40, 3, until))
    assert sorted(answer.index for answer in ended) == sorted(free)
    for answer in ended:
        whole = free[answer.index]
        assert answer.text == whole.text.partition(until)[0]
        assert answer.finish == ("stop" if until in whole.text else whole.finish)
        assert answer.tokens <= min(whole.tokens, len(answer.text) + len(until) + 8)
        assert answer.tokens % 8 == 0 or answer.tokens == whole.tokens, "the text is looked at every eighth token"


def test_the_context_is_not_overrun(tokenizer, prompts):
    """A context of 44: the prompt of 40 has room for 4, the others for what was asked."""
    model = tiny_model(tokenizer, context=44)
    answers = {a.index: a for a in generate(model, tokenizer, prompts, 12, 16)}
    assert len(answers) == len(prompts)
    assert answers[4].tokens <= 4
    assert room(model, 40, 12) == 4
    assert room(model, 50, 12) == 0
    alone = next(iter(generate(model, tokenizer, [prompts[1]], 12, 16)))
    assert alone.text == answers[1].text
