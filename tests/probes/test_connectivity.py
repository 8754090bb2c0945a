"""Losses along a path against one unpadded example at a time on a densely merged model."""

from datetime import date

import numpy as np
import pytest
import torch
from tokenizers import processors

from inspector.base_model.attach import attach
from inspector.base_model.batches import Batches
from inspector.base_model.encode import Encoded, answers, prompt_ids
from inspector.probes.connectivity import Point, losses, on_path, points
from inspector.tasks.problems import Problem, Problems
from tests.base_model.bases import base, fitting, merged
from tests.base_model.tiny_model import tiny_tokenizer

PROBLEMS = Problems("sums", tuple(Problem(str(n), f"{n} plus {n * n}?", str(n + n * n)) for n in range(7)))


def reference(model: torch.nn.Module, example: Encoded) -> float:
    """Σ −log p of the target tokens, by the definition."""
    ids = torch.tensor([example.ids])
    with torch.no_grad():
        log_p = model(input_ids=ids).logits[0].double().log_softmax(-1)
    return -sum(float(log_p[t - 1, example.ids[t]]) for t in range(example.start, len(example.ids)))


def batches(size: int = 3) -> Batches:
    return Batches(size, lambda _text: None, lambda: False)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_losses_equal_the_definition(family: str) -> None:
    onto = base(family)
    a, b = fitting(onto, "a", 1), fitting(onto, "b", 2)
    examples = answers(onto.tokenizer, PROBLEMS, "boxed")
    dense = merged(onto, [(a, 0.3), (b, 0.7)])
    expected = [reference(dense, example) for example in examples]
    attached = attach(onto, [a, b])
    for size in (1, 3, 16):
        found = losses(attached, on_path("a", "b", 0.3), examples, batches(size), lambda _n: None)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_target_is_the_boxed_answer_after_the_prompt() -> None:
    onto = base()
    example = answers(onto.tokenizer, PROBLEMS, "boxed")[3]
    assert onto.tokenizer.decode(example.ids[example.start :]) == "\\boxed{12}"
    prompt = onto.tokenizer.decode(example.ids[: example.start])
    assert prompt.endswith("3 plus 9? Put the final answer in \\boxed{}.\n\nAnswer:")


def test_a_chat_template_is_the_whole_prompt_and_its_tokens_are_added_once() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing("<unk> $A", special_tokens=[("<unk>", 2)])
    ask = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1+1?"}]
    plain = tokenizer.decode(prompt_ids(tokenizer, ask))
    assert plain == "<unk>Note: Add.\n\nQuestion: 1+1?\n\nAnswer:"
    tokenizer.chat_template = (
        "<eos>{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    ids = prompt_ids(tokenizer, ask)
    assert tokenizer.decode(ids) == "<eos>[system]Add.[user]1+1?[assistant]"
    assert ids == tokenizer.apply_chat_template(ask, add_generation_prompt=True, return_dict=False)
    (example,) = answers(tokenizer, Problems("one", (Problem("1", "1+1?", "2"),)), "boxed")
    assert tokenizer.decode(example.ids[example.start :]) == "\\boxed{2}"


@pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d"])
def test_a_template_that_prints_the_date_is_given_one_for_all_days(form: str) -> None:
    """As Llama's and gpt-oss's do."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = f"{{{{ strftime_now('{form}') }}}}: {{{{ messages[0]['content'] }}}}"
    text = tokenizer.decode(prompt_ids(tokenizer, [{"role": "user", "content": "1+1?"}]))
    assert text == f"{date(2024, 7, 26).strftime(form)}: 1+1?"


def test_rollouts_are_predicted_to_their_end() -> None:
    onto = base()
    problems = Problems("r", (Problem("1", "why?", "2", "because 2"),))
    (example,) = answers(onto.tokenizer, problems, "rollouts")
    assert onto.tokenizer.decode(example.ids[example.start :]) == "because 2<eos>"


def test_every_token_is_counted_once() -> None:
    onto = base()
    examples = answers(onto.tokenizer, PROBLEMS, "boxed")
    seen: list[int] = []
    losses(attach(onto, []), Point(()), examples, batches(2), seen.append)
    assert sum(seen) == sum(len(example.ids) for example in examples)


def test_points_are_shared_between_paths() -> None:
    found = points([("a", "b"), ("a", "c"), ("b", "c")], (0.0, 0.25, 0.5, 0.75, 1.0))
    assert len(found) == len(set(found)) == 1 + 3 + 3 * 3
    assert found[:4] == [Point(()), *(Point(((name, 1.0),)) for name in "abc")]


def test_a_path_is_the_same_from_both_sides() -> None:
    assert on_path("a", "b", 0.3) == on_path("b", "a", 0.7)
    assert on_path("a", "b", 1.0) == Point((("a", 1.0),))
    assert on_path("a", "b", 0.0) == Point((("b", 1.0),))
    assert on_path("a", "b", 1.5) == Point((("a", 1.5), ("b", -0.5)))
