"""What methods say of rewards, of a run, and of names that are not known."""

import re

import pytest

from inspector.common.errors import InspectorError
from tests.trainer.methods.graded import Graded
from trainer.methods import METHODS, STUDY, chosen, method
from trainer.methods.krafton import KraftonCode, KraftonPost
from trainer.methods.online import OnlineDapo, OnlineGrpo
from trainer.methods.page import _lines
from trainer.methods.rewards import RewardStatistics, pairs, statistics
from trainer.methods.weighted import Dft, OfflineGrpo, Rft, Rift, RiftLinear, Sft

NOTHING = "No answer is right: there is nothing here that was rewarded."
CLIPPED = "One step on each batch of completions: the ratio is 1 and nothing is clipped"
SFT_HERE = "Every answer is right: RIFT is SFT here."
UNMIXED = "No group has right and wrong answers: "
TIMES = f"{UNMIXED}Offline GRPO is b times SFT here."
OWN = "Rewards are not 1 and 0 alone: RIFT takes each row's own, "


@pytest.mark.parametrize(
    ("objective", "rewards", "groups", "remark"),
    [
        (Sft(), [0, 1], "aa", ""),
        (Sft(), [0, -1], "aa", NOTHING),
        (Dft(), [0, 0.1], "aa", ""),
        (Rift(), [1, 1], "aa", SFT_HERE),
        (Rift(), [1, 0.5], "aa", f"{OWN}0.5 to 1: none is negative, so that nothing is unlearned."),
        (Rift(), [1, -0.5], "aa", f"{OWN}-0.5 to 1."),
        (Rift(), [0, -0.5], "aa", NOTHING),
        (Rift(), [1, 0], "aa", ""),
        (Rift(), [0, 0], "aa", NOTHING),
        (RiftLinear(0.2), [1, 1], "ab", SFT_HERE),
        (RiftLinear(0.2), [1, 0.5], "ab", ""),
        (OfflineGrpo(), [1, 0, 1], "aab", ""),
        (OfflineGrpo(), [1, 1, 0], "aab", TIMES),
        (KraftonPost(), [0, 0, 0], "aab", f"{UNMIXED}b alone teaches here."),
        (KraftonCode(), [1, 1, 0], "aab", f"{UNMIXED}b alone teaches here."),
        (KraftonCode(), [1, 0, 0], "aab", ""),
        (OnlineGrpo(), [0, 1], "aa", CLIPPED),
        (OnlineGrpo(), [0, 0], "aa", NOTHING),
        (OnlineDapo(iterations=2), [0, 1], "aa", ""),
        (OnlineDapo(iterations=2), [0, 0], "aa", NOTHING),
    ],
)
def test_what_rewards_make_of_a_method(objective, rewards, groups, remark):
    found = objective.remark(Graded(rewards, list(groups)))
    assert found.startswith(remark) if remark else not found


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (9, ["aaa, bbb,", "cc"]),
        (8, ["aaa,", "bbb, cc"]),
        (1, ["aaa,", "bbb,", "cc"]),
        (13, ["aaa, bbb, cc"]),
        (12, ["aaa, bbb,", "cc"]),
    ],
)
def test_a_formula_is_cut_where_a_line_is_full(width, lines):
    assert list(_lines("aaa, bbb, cc", width)) == lines
    assert list(_lines("f(a, b); g", width)) == ["f(a, b);", "g"], "not within brackets"


def test_of_equal_answers_the_first_alone():
    class Rows(Graded):
        repeats = (False, False, True, True)

    rows = Rows([1.0, 0.0, 1.0, 0.0], list("aaaa"))
    assert Rft().weights(rows) == [1, 0, 1, 0]
    assert Rft(unique=True).weights(rows) == [1, 0, 0, 0]


def test_weights_by_reward():
    rows = Graded([1.0, 0.25, 0.0, -1.0], list("aaaa"))
    assert Sft().weights(rows) == [1] * 4
    assert Rift(reward_right=3, reward_wrong=-2).weights(rows) == rows.rewards
    assert Rift().weights(Graded([1.0, 0.0], list("aa"))) == [1, -0.2]
    assert Rift(reward_right=3, reward_wrong=-2).weights(Graded([1.0, 0.0], list("aa"))) == [3, -2]
    assert RiftLinear(0.5).weights(rows) == [0.5, 0.875, 1, 1.5]
    with pytest.raises(InspectorError, match="rift-linear needs its λ"):
        RiftLinear()


def test_means_are_over_all_graded_rows():
    """Those too that are left out for their length."""

    class Rows(Graded):
        graded = ([1.0, 0.0, 0.0, 0.0, 1.0, 1.0], list("aaaabb"))

    rows = Rows([1.0, 0.0, 1.0], list("aab"))
    assert OfflineGrpo().weights(rows) == pytest.approx([0.85, -0.15, 0.1])
    assert KraftonCode(b=0.3).weights(rows) == pytest.approx([0.75, -0.25, 0.3])
    assert KraftonPost(b=0.3).weights(rows) == pytest.approx([1.5, -0.5, 0.3]), "their spread is ½"
    assert OfflineGrpo().remark(Rows([1.0], ["b"])) == ""


@pytest.mark.parametrize(("vanished", "words"), [(0, ""), (3, "3 of 7 negatives had a probability of 0 in float32")])
def test_negatives_that_vanished(vanished, words):
    found = Rift().afterword({"vanished": vanished, "negatives": 7})
    assert found.startswith(words) if words else not found
    assert Sft().afterword({"vanished": 3, "negatives": 7}) == Rift().afterword({}) == ""


def test_what_can_be_learned_from():
    rewards, groups = [1, 0, 0.5, 1, 0, -1, 0.2], list("abacbda")
    assert statistics(rewards, groups) == RewardStatistics(
        rows=7, positive=4, groups=4, mixed=0, all_right=2, all_wrong=2, mean=pytest.approx(1.7 / 7)
    )
    assert statistics([1, 0, 0, 1, 1, 0], list("aabbbc")) == RewardStatistics(6, 3, 3, 2, 0, 1, 0.5)
    assert statistics([], []) == RewardStatistics(0, 0, 0, 0, 0, 0, 0.0)


def test_pairs_of_mixed_groups():
    rewards, groups = [0, 1, -1, 1, 0.5, 0, 1, 0], list("abaaabbc")
    assert pairs(rewards, groups) == [(3, 0), (1, 5)]
    assert pairs(rewards, groups, every=True) == [(3, 0), (3, 2), (4, 0), (4, 2), (1, 5), (6, 5)]


def test_names():
    assert [of.name for of in chosen("all")] == list(STUDY)
    assert chosen("kto") == (METHODS["kto"],)
    with pytest.raises(InspectorError, match=r"^No method 'stf': there are sft, .*, and all\. Did you mean sft\?$"):
        method("stf")
    with pytest.raises(InspectorError, match=r"and all\.$"):
        method("something else")
    with pytest.raises(InspectorError, match=re.escape("rift has no variant 'x': choose rift, rift-linear.")):
        method("rift").variant("x")


@pytest.mark.parametrize(
    ("clipped", "masked", "words"),
    [
        (0.049, False, ""),
        (0.05, False, "5% of the completions were cut at max_new_tokens, 9, and learned from as they stand"),
        (0.5, True, "50% of the completions were cut at max_new_tokens, 9, and not learned from."),
    ],
)
def test_completions_that_the_limit_cut(clipped, masked, words):
    objective = OnlineGrpo(max_new_tokens=9, mask_truncated=masked)
    found = objective.afterword({"clipped": clipped})
    assert found.startswith(words) if words else not found
    assert objective.afterword({}) == ""
