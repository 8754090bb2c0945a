"""Token ids: the same for every method, ended once, cut rows counted; and the order in which they are seen."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from inspector.common.errors import InspectorError
from tests.base_model.tiny_model import tiny_tokenizer
from tests.trainer.rollout_rows import lists, rows_of
from trainer.methods import METHODS, method
from trainer.objectives.examples import by_length, examples, order
from trainer.objectives.preference import turned
from trainer.recipes.recipe import Recipe
from trainer.rollouts.schema import Rollout

TOKENIZER = tiny_tokenizer()
CHATML = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}#\n{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)


def rollout(group="0", text="4", reward=1.0, **more):
    prompt = ({"role": "user", "content": "2+2?"},)
    return Rollout(
        group_id=group, prompt=prompt, completion=({"role": "assistant", "content": text},), reward=reward, **more
    )


MIXED = [rollout(str(g), text, reward) for g in range(3) for text, reward in (("4", 1.0), ("5", 0.0), ("four", 1.0))]


def test_a_row_is_prompt_completion_end():
    row = rows_of([rollout()], TOKENIZER, 100).rows[0]
    assert TOKENIZER.decode(row.prompt) == "Question: 2+2?\n\nAnswer:"
    assert TOKENIZER.convert_ids_to_tokens(row.completion) == ["4", "<eos>"]


def test_no_newline_after_the_end_with_chatml():
    """The template writes `#\\n` after an answer; a model that samples stops at its end token."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHATML
    row = rows_of([rollout()], tokenizer, 100).rows[0]
    assert tokenizer.decode(row.ids) == "<user>2+2?#\n<a>4<eos>"


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].data != "prompts"])
def test_every_method_sees_the_same_ids(name):
    rows = rows_of(MIXED, TOKENIZER, 100)
    known = {tuple(row.ids) for row in rows.rows}
    columns = examples(method(name), Recipe(), rows).columns
    if "input_ids" in columns:
        found = {tuple(ids) for ids in columns["input_ids"]}
        for ids, labels in zip(lists(columns["input_ids"]), lists(columns["labels"]), strict=True):
            assert labels[-2:] == ids[-2:]
            assert [label for label in labels if label != -100] == ids[labels.count(-100) :]
    else:
        ends = [name for name in columns if name in {"chosen_ids", "rejected_ids", "completion_ids"}]
        found = {(*p, *c) for e in ends for p, c in zip(columns["prompt_ids"], columns[e], strict=True)}
    assert found <= known
    wanted = [row for row in rows.rows if name != "rft" or row.reward > 0]
    if method(name).data != "pairs":
        assert len(found) == len({tuple(row.ids) for row in wanted})


def test_online_methods_see_the_same_prompts():
    rows = rows_of([replace(r, solution=r.group_id) for r in MIXED], TOKENIZER, 100)
    columns = examples(method("online-grpo"), Recipe(), rows).columns
    assert {tuple(ids) for ids in columns["ids"]} == {tuple(row.prompt) for row in rows.rows}
    assert columns["gold"] == ["0", "1", "2"]


def test_a_prompt_stays_though_its_rows_were_cut():
    cut = [rollout(text="44", finish_reason="length"), rollout(group="1", text="2")]
    assert [prompt.group for prompt in rows_of(cut, TOKENIZER, 100).prompts] == [r.group_id for r in cut]


@pytest.mark.parametrize("cut", ["drop", "mask"])
def test_cut_rows_are_counted_and_not_learned(cut):
    """One hit the teacher's limit, one is longer than fits; both are wrong answers of group 0."""
    given = [rollout(), rollout(text="44", reward=0.0, finish_reason="length"), rollout(text="4" * 99, reward=0.0)]
    rows = rows_of(given, TOKENIZER, 40, cut)
    assert (rows.cut, rows.too_long) == (1, 1)
    assert "1 cut by the teacher's token limit, 1 longer than max_length" in rows.account()
    assert [row.targets for row in rows.rows] == ([2] if cut == "drop" else [2, 0, 0])
    assert all(len(row.ids) <= 40 for row in rows.rows)
    found = examples(method("offline-grpo"), Recipe(), rows)
    assert found.columns["weight"][0] == pytest.approx(1 - 1 / 3 + 0.1), "the mean is over all three, either way"
    assert found.weights == pytest.approx(
        {"least": 23 / 30, "largest": 23 / 30, "mean": 23 / 30, "std": 0, "groups_cut": 1}
    )
    with pytest.raises(InspectorError, match="dpo has nothing to learn here: no group"):
        examples(method("dpo"), Recipe(), rows)


@pytest.mark.parametrize(
    ("how", "cut"),
    [
        ({"finish_reason": "", "completion_tokens": 8}, 1),
        ({"finish_reason": "", "completion_tokens": 7}, 0),
        ({"finish_reason": "stop", "completion_tokens": 8}, 0),
        ({"finish_reason": "", "completion_tokens": -1, "max_tokens": -1}, 0),
    ],
)
def test_an_unknown_end_at_the_token_limit_is_cut(how, cut):
    assert rows_of([rollout(), rollout(**{"max_tokens": 8} | how)], TOKENIZER, 100).cut == cut


def test_only_the_train_split():
    rows = rows_of([rollout(), rollout("1", split="test")], TOKENIZER, 100)
    assert rows.groups == ["0"]


def test_nothing_left_is_an_error():
    with pytest.raises(InspectorError, match="1 row left out"):
        rows_of([rollout(finish_reason="length")], TOKENIZER, 100)
    with pytest.raises(InspectorError, match="no end-of-text token"):
        rows_of([rollout()], SimpleNamespace(eos_token_id=None), 100)


def test_rows_of_two_days_are_the_same(monkeypatch):
    """With a clock that jumps a year the template's own date moves, and the rows do not."""
    from transformers.utils import chat_template_utils

    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ strftime_now('%Y') }}{{ messages[0]['content'] }}"
    digests, dated = set(), set()
    for year in (2031, 2032):
        monkeypatch.setattr(
            chat_template_utils, "datetime", SimpleNamespace(now=lambda year=year: datetime(year, 1, 2, tzinfo=UTC))
        )
        dated.add(tokenizer.apply_chat_template([{"role": "user", "content": ""}], tokenize=False))
        digests.add(rows_of([rollout()], tokenizer, 100).digest)
    assert dated == {"2031", "2032"}
    assert len(digests) == 1


def test_a_template_that_refuses_names_the_rollout():
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('no user turns') }}"
    with pytest.raises(InspectorError, match=r"Rollout 1 \(id x\): .* refuses its prompt \(no user turns\)"):
        rows_of([rollout(id="x")], tokenizer, 100)


def test_unique_leaves_the_first():
    rows = rows_of([rollout(), rollout(text="5"), rollout(), rollout("1")], TOKENIZER, 100)
    assert rows.repeats == [False, False, True, True]
    assert len(examples(method("rft"), Recipe().where(unique=True), rows)) == 2


@pytest.mark.parametrize(
    ("name", "rewards", "says"),
    [
        ("rft", (0.0, 0.0), "rft has nothing to learn here: no row has a reward above 0"),
        ("dpo", (1.0, 1.0), "dpo has nothing to learn here: no group has right and wrong answers"),
        ("simpo", (0.0, 0.0), "no group has right and wrong"),
        ("kto", (1.0, 1.0), "every row has a reward above 0"),
    ],
)
def test_unlearnable_set_ups_are_said(name, rewards, says):
    rows = rows_of([rollout(text=str(n), reward=r) for n, r in enumerate(rewards)], TOKENIZER, 100)
    with pytest.raises(InspectorError, match=says):
        examples(method(name), Recipe(), rows)


def test_weights_that_are_all_zero_are_said():
    rows = rows_of(MIXED, TOKENIZER, 100)
    with pytest.raises(InspectorError, match="every row's weight is 0"):
        examples(method("rift"), Recipe().where(reward_right=0, reward_wrong=0), rows)


def test_pairs_one_or_all():
    """Each group: two right, one wrong."""
    rows = rows_of(MIXED, TOKENIZER, 100)
    assert len(examples(method("dpo"), Recipe(), rows)) == 3
    assert len(examples(method("dpo"), Recipe().where(pairs="all"), rows)) == 6


def test_order_is_whole_epochs_and_a_longer_run_begins_the_same():
    found = order(10, 35, seed=7)
    for epoch in range(3):
        assert sorted(found[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert len(set(found[30:])) == 5
    assert found[:20] == order(10, 20, seed=7)
    assert found != order(10, 35, seed=8)
    assert found[:10] != found[10:20]


def test_kto_pairs_with_a_neighbour_of_its_micro_batch():
    laid = turned({"completion_ids": [[0], [1], [2], [3]]}, [3, 1, 0, 2, 2, 3], 2)
    assert laid["completion_ids"] == [[3], [1], [0], [2], [2], [3]]
    assert laid["KL_completion_ids"] == [[1], [3], [2], [0], [3], [2]]
    for a, b in itertools.batched(range(6), 2) if hasattr(itertools, "batched") else ((0, 1), (2, 3), (4, 5)):
        own, turned_ids = (Counter(map(tuple, laid[c][a : b + 1])) for c in ("completion_ids", "KL_completion_ids"))
        assert own == turned_ids


def test_a_step_keeps_its_rows_the_longest_first():
    laid, tokens = order(10, 35, seed=7), [5, 3, 9, 3, 8, 1, 9, 2, 4, 4]
    found = by_length(laid, tokens, 8)
    for at in range(0, 35, 8):
        assert Counter(found[at : at + 8]) == Counter(laid[at : at + 8])
        lengths = [tokens[n] for n in found[at : at + 8]]
        assert lengths == sorted(lengths, reverse=True)
