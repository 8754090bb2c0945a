"""The summary of sets small enough to count by hand."""

import pytest

from tests.trainer.rollout_rows import rollout
from trainer.rollouts.summary import Spread, lines, pairs, spread, summarise

REWARDS = {0: (1, 1, 0, 0), 1: (1, 1, 1, 1), 2: (0, 0, 0, 0), 3: (1, 0, 0, 0)}


def rows(rewards):
    return [rollout(g, k, float(r)) for g, group in rewards.items() for k, r in enumerate(group)]


def test_four_groups_by_hand():
    """Pairs: 2·2 in group 0, 1·3 in group 3."""
    found = summarise(rows(REWARDS))
    assert (found.rows, found.groups, found.right, found.mean_reward) == (16, 4, 7, 7 / 16)
    assert (found.mixed, found.all_right, found.all_wrong, found.all_pairs) == (2, 1, 1, 7)
    assert (found.smallest_group, found.largest_group, found.repeated) == (4, 4, 0)
    assert found.completion_tokens == Spread(16, 4.5, 4.5, 6, 6)
    assert found.finishes == (("stop", 16),)


def test_the_order_of_rows_is_no_matter():
    assert summarise(rows(REWARDS)) == summarise(rows(REWARDS)[::-1])


@pytest.mark.parametrize(
    ("rewards", "count"),
    [((1, 0), 1), ((1, 1, 1), 0), ((0, 0), 0), ((1,), 0), ((1, 0.5, 0), 3), ((1, 1, 0.5, 0), 5), ((1, 0) * 4, 16)],
)
def test_pairs(rewards, count):
    by_hand = sum(a != b for i, a in enumerate(rewards) for b in rewards[i + 1 :])
    assert pairs(rewards) == count == by_hand


def test_rewards_below_zero_are_wrong():
    """As RIFT has them: +1 and -0.2."""
    found = summarise(rows({0: (-0.2, -0.2), 1: (1, -0.2), 2: (1, 1)}))
    assert (found.right, found.mixed, found.all_right, found.all_wrong) == (3, 1, 1, 1)
    assert found.mean_reward == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([7], Spread(1, 7.0, 7.0, 7, 7)),
        ([1, 2, 3, 10], Spread(4, 4.0, 2.5, 10, 10)),
        (list(range(1, 101)), Spread(100, 50.5, 50.5, 95, 100)),
    ],
)
def test_spread(values, expected):
    assert spread(values) == expected


def test_unknown_lengths_are_left_out():
    found = summarise([rollout(0, 0), rollout(0, 1, completion_tokens=-1, prompt_tokens=-1)])
    assert found.completion_tokens == Spread(1, 3.0, 3.0, 3, 3)
    assert summarise([rollout(prompt_tokens=-1)]).prompt_tokens is None


def test_what_is_printed():
    odd = [
        rollout(4, 0, 0.0, reward_status="unparsable_answer", finish_reason="length", text="same"),
        rollout(4, 1, 0.0, reward_status="timeout", finish_reason="", text="same", teacher="\x1b[31mred"),
    ]
    text = "\n".join(lines(summarise(rows(REWARDS) + odd)))
    for said in (
        "18 of 5 prompts, 2-4 each from sums", "7 (38.9 %), mean reward 0.3889", "2 (one a mixed group), 7 (all)",
        "stop 16 (88.9 %), length 1 (5.6 %), unknown 1 (5.6 %)", "1 timeout, 1 unparsable answer",
        "1 (5.6 %): the text", "t (17), [31mred (1)",
    ):  # fmt: skip
        assert said in text, (said, text)
    assert "\x1b" not in text
