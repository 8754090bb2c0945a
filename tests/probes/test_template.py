"""What all prompts share, by hand: at the start, at the end, and where the two would meet."""

import pytest
import torch

from inspector.base_model.encode import Encoded
from inspector.probes.template import Template, distinct, template_of


def encoded(*texts: str) -> list[Encoded]:
    """One token a letter."""
    return [Encoded(tuple(map(ord, text)), len(text)) for text in texts]


@pytest.mark.parametrize(
    ("texts", "start", "end"),
    [
        (("<s>2+3</s>", "<s>14+9</s>"), 3, 4),
        (("<s>2+3</s>", "<s>2+4</s>", "<s>9+4</s>"), 3, 4),
        (("abc", "xyz"), 0, 0),
        (("axz", "ayz"), 1, 1),
        (("<s>1+1</s>", "<s>1+1+1</s>"), 6, 3),
        (("aaaa", "aaa"), 2, 0),
    ],
)
def test_common_start_and_end(texts, start, end):
    found = template_of(encoded(*texts))
    assert (found.start, found.end) == (start, end)
    assert all(found.own(len(text)) for text in texts), "every prompt keeps a position"


def test_one_prompt_alone_shows_no_template():
    for texts in (("<s>2+3</s>",), ("<s>2+3</s>", "<s>2+3</s>")):
        assert template_of(encoded(*texts)) == Template()
        assert template_of(encoded(*texts), first=1) == Template(1, 0)


def test_the_first_token_is_left_out_where_asked_and_nothing_else_is_lost():
    assert template_of(encoded("abz", "xyz"), first=1) == Template(1, 1)
    assert template_of(encoded("<a", "<b"), first=1) == Template(1, 0)
    assert template_of(encoded("a", "b"), first=1) == Template(0, 0)


def test_the_mask_is_of_own_positions_under_padding():
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    found = Template(1, 2).mask(mask)
    assert found.tolist() == [[False, True, True, True, False, False], [False, True, False, False, False, False]]


def test_rows_are_distinct_by_the_tokens_up_to_them():
    """After `<`: 1, 1+, 1+2 of the first; 1, 1+, 1+3 of the second; 2, 2+, 2+3 of the third: 7 of 9 differ."""
    prompts = encoded("<1+2>", "<1+3>", "<2+3>")
    assert distinct(prompts, Template(1, 1), each_token=True) == (7, 9)
    assert distinct(prompts, Template(1, 1), each_token=False) == (3, 3)
    assert distinct([*prompts, prompts[0]], Template(1, 1), each_token=False) == (3, 4)
    assert distinct(prompts, Template(), each_token=True) == (8 + 3, 15), "the bracket once, each end of its own"
    assert distinct(encoded("ababab", "aabbab", "babbaa"), Template(), each_token=True) == (6 + 5 + 6, 18)


def test_words():
    assert Template(23, 5).words == " without the first 23 tokens and the last 5 tokens of every prompt"
    assert Template(1, 0).words == " without the first 1 token of every prompt"
    assert Template().words == ""
