"""What each method makes of rows with any rewards, and what a round of groups draws, at limits."""

# ruff: noqa: E501 - a case a line

import numpy as np
import pytest
import torch

from inspector.base_model.generation import Answer
from inspector.common.errors import InspectorError
from tests.trainer.methods.graded import Graded
from tests.trainer.rollout_rows import lists
from trainer.methods import METHODS, method
from trainer.methods.krafton import KraftonCode
from trainer.methods.rewards import group_means, pairs, statistics
from trainer.methods.rewards import pairs as pairs_of
from trainer.methods.weighted import Dft, OfflineGrpo, Rft, Rift, RiftLinear, Sft
from trainer.objectives.examples import Examples, by_length, examples, order, refuse_unlearnable, taken, widest
from trainer.objectives.groups import Groups, Place
from trainer.objectives.preference import turned
from trainer.objectives.weighted import kl, token_mean
from trainer.recipes.recipe import Recipe
from trainer.rollouts.rows import Prompt, Row, Rows

REWARDS, GROUPS = [1.0, 0.5, 0.0, -1.0, 2.0], ["a", "a", "b", "b", "b"]
"""More than right and wrong: above 0 is right."""
SAMPLE = Graded(REWARDS, GROUPS)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (Rft().weights(SAMPLE), [1, 1, 0, 0, 1]),
        (Rift(2.0, -3.0).weights(SAMPLE), REWARDS),
        (Rift(2.0, -3.0).weights(Graded([1.0, 0.0], ["a", "a"])), [2, -3]),
        (RiftLinear(0.5).weights(SAMPLE), [0.5, 0.75, 1, 1.5, 0]),
        (OfflineGrpo(0.5).weights(SAMPLE), [0.75, 0.25, 1 / 6, -5 / 6, 13 / 6]),
        (OfflineGrpo().weights(SAMPLE), [0.35, -0.15, -1 / 3 + 0.1, -4 / 3 + 0.1, 5 / 3 + 0.1]),
        (KraftonCode(0.5).weights(SAMPLE), [0.75, 0.25, -1 / 3, -4 / 3, 5 / 3]),
        (KraftonCode().weights(Graded([1.0, 0.5], ["a", "b"])), [0.1, 0.1]),
        (KraftonCode().weights(Graded([1.0, 0.0], ["a", "a"])), [0.5, -0.5]),
        (list(group_means(REWARDS, GROUPS).values()), [0.75, 1 / 3]),
        (pairs(REWARDS, GROUPS), [(4, 2)]),
        (pairs(REWARDS, GROUPS, every=True), [(4, 2), (4, 3)]),
        (pairs([1, 1, 0, 0], ["a"] * 4, every=True), [(0, 2), (0, 3), (1, 2), (1, 3)]),
    ],
)
def test_weights_of_any_rewards(made, expected):
    assert made == pytest.approx(expected) if not isinstance(expected[0], tuple) else made == expected


@pytest.mark.parametrize(
    ("rewards", "groups", "counts"),
    [
        (REWARDS, GROUPS, (5, 3, 2, 1, 1, 0, 0.5)),
        ([0, 0, 1, 1], ["a", "a", "b", "c"], (4, 2, 3, 0, 2, 1, 0.5)),
        ([1, 0, 0, 0, 1], ["a", "a", "b", "b", "b"], (5, 2, 2, 2, 0, 0, 0.4)),
        ([-1], ["a"], (1, 0, 1, 0, 0, 1, -1)),
        ([], [], (0, 0, 0, 0, 0, 0, 0)),
    ],
)
def test_statistics_of_any_rewards(rewards, groups, counts):
    told = statistics(rewards, groups)
    found = (told.rows, told.positive, told.groups, told.mixed, told.all_right, told.all_wrong, told.mean)
    assert found == pytest.approx(counts)


def rows(*given, prompts=()):
    """(reward, group, prompt tokens, completion tokens) each; ids count on, so that no two rows are alike."""
    made, at = [], 100
    for reward, group, start, learned in given:
        head = tuple(range(ord(group[0]), ord(group[0]) + start))
        made.append(Row(np.array([*head, *range(at, at + learned)], np.int32), start, reward, group))
        at += learned
    return Rows(tuple(made), prompts=tuple(prompts))


SOME = rows((1.0, "a", 3, 2), (0.0, "a", 3, 4), (0.5, "b", 2, 5), (-1.0, "b", 2, 1), (0.0, "c", 4, 0), (1.0, "c", 4, 3))


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("sft", {}, [1, 1, 1, 1, 1, 1]),
        ("dft", {}, [1, 1, 1, 1, 1, 1]),
        ("rft", {}, [1, 0, 1, 0, 0, 1]),
        ("rift", {"reward_right": 0.7, "reward_wrong": -0.4}, [1, 0, 0.5, -1, 0, 1]),
        ("rift", {"variant": "rift-linear", "rift_lambda": 0.5}, [0.5, 1, 0.75, 1.5, 1, 0.5]),
        ("offline-grpo", {"b": 0.25}, [0.75, -0.25, 1, -0.5, -0.25, 0.75]),
        ("offline-grpo", {"variant": "krafton-code", "b": 0.25}, [0.5, -0.5, 0.75, -0.75, -0.5, 0.5]),
    ],
)
def test_a_weight_for_each_row(name, settings, expected):
    recipe = Recipe().where(**settings)
    assert recipe.objective(method(name)).weights(SOME) == pytest.approx(expected)
    found = examples(method(name), recipe, SOME)
    kept = [n for n in range(6) if name != "rft" or expected[n]]
    assert found.columns["weight"] == pytest.approx([expected[n] for n in kept])
    assert lists(found.columns["input_ids"]) == lists(SOME.rows[n].ids for n in kept)
    assert lists(found.columns["labels"]) == [
        [-100] * SOME.rows[n].start + SOME.rows[n].completion.tolist() for n in kept
    ]
    assert (found.noun, found.tokens, len(found)) == ("row", tuple(len(SOME.rows[n].ids) for n in kept), len(kept))


def test_the_spread_of_weights_is_of_rows_that_are_learned():
    """The third row has no target: its weight, the largest, counts nothing."""
    given = rows((1.0, "a", 3, 2), (0.0, "a", 3, 4), (-2.0, "b", 2, 0), (0.5, "b", 2, 5))
    found = examples(method("rift"), Recipe().where(variant="rift-linear", rift_lambda=0.5), given)
    assert found.columns["weight"] == pytest.approx([0.5, 1, 2, 0.75])
    assert found.weights == pytest.approx(
        {"least": 0.5, "largest": 1, "mean": 0.75, "std": (1 / 24) ** 0.5, "groups_cut": 1}
    )


def test_pairs_and_labels_are_of_rows_that_are_learned():
    """Row 4 has no target: group c is not mixed any more, and no example."""
    found = examples(method("dpo"), Recipe().where(pairs="all"), SOME)
    columns = found.columns
    assert lists(columns["prompt_ids"]) == lists([SOME.rows[0].prompt, SOME.rows[2].prompt])
    assert lists(columns["chosen_ids"]) == lists([SOME.rows[0].completion, SOME.rows[2].completion])
    assert lists(columns["rejected_ids"]) == lists([SOME.rows[1].completion, SOME.rows[3].completion])
    assert (found.noun, found.tokens) == ("pair", (5 + 7, 7 + 3))
    found = examples(method("kto"), Recipe(), SOME)
    learned = [row for row in SOME.rows if row.targets]
    assert found.columns["label"] == [True, False, True, False, True]
    assert lists(found.columns["completion_ids"]) == lists(row.completion for row in learned)
    assert lists(found.columns["prompt_ids"]) == lists(row.prompt for row in learned)
    assert (found.noun, found.tokens) == ("row", (5, 7, 7, 3, 7))


def test_one_pair_a_group_or_all():
    given = rows((1.0, "a", 2, 3), (0.0, "a", 2, 2), (0.5, "a", 2, 4), (1.0, "a", 2, 1))
    one, every = (len(examples(method("dpo"), Recipe().where(pairs=pairs), given)) for pairs in ("one", "all"))
    assert one < every
    assert every == len(pairs_of([1.0, 0.0, 0.5, 1.0], list("aaaa"), every=True))


def test_groups_of_two_prompts_are_refused():
    given = tuple(Row(np.array([1, n, 3], np.int32), 2, 1.0 - n, "g") for n in (0, 1))
    with pytest.raises(InspectorError, match="Group 'g' holds answers to different prompts"):
        examples(method("dpo"), Recipe(), Rows(given))


def test_rows_with_a_weight_and_no_target_teach_nothing():
    with pytest.raises(InspectorError, match="every row's weight is 0"):
        examples(
            method("offline-grpo"), Recipe().where(b=0.0), rows((1.0, "a", 2, 3), (1.0, "a", 2, 3), (0.0, "b", 2, 0))
        )
    untold = rows((0.0, "a", 2, 3), (0.0, "a", 2, 3), (1.0, "b", 2, 0), (0.0, "b", 2, 0))
    assert OfflineGrpo(0.0).weights(untold) == [0, 0, 0.5, -0.5]
    with pytest.raises(InspectorError, match="every row's weight is 0"):
        examples(method("offline-grpo"), Recipe().where(b=0.0), untold)
    weightless = Rows(tuple(Row((1, 2, 3, n), 2, 1.0, "a", 0.0) for n in (4, 5)))
    with pytest.raises(InspectorError, match="every row's weight is 0"):
        examples(method("sft"), Recipe(), weightless)


PROMPTS = (Prompt((1, 2, 3), "4", "a"), Prompt((1,), "", "b"), Prompt((5,) * 7, "6", "c"), Prompt((6,) * 8, "6", "d"))


def test_prompts_that_can_be_graded_and_fit():
    """Their tokens count G answers each, as long as the shared ones are on average (masked rows left out)."""
    how = {"generations": 4, "max_length": 11, "max_new_tokens": 4}
    given = rows((1.0, "a", 3, 2), (0.0, "a", 3, 4), (0.0, "b", 3, 0), prompts=PROMPTS)
    found = examples(method("online-grpo"), Recipe().where(**how), given)
    assert found.columns == {"ids": [(1, 2, 3), (5,) * 7], "gold": ["4", "6"]}
    assert (found.noun, found.tokens, found.left_out) == ("prompt", (4 * (3 + 3), 4 * (7 + 3)), 1)
    assert widest(method("online-grpo"), Recipe().where(**how), found) == 7 + 4
    short = examples(method("online-grpo"), Recipe().where(**how | {"max_new_tokens": 2}), given)
    assert short.tokens == (4 * (3 + 2), 4 * (7 + 2), 4 * (8 + 2)), "an answer is not longer than the limit"
    thirds = rows((1.0, "a", 3, 2), (0.0, "a", 3, 4), (0.0, "b", 3, 2), prompts=PROMPTS)
    found = examples(method("online-grpo"), Recipe().where(**how), thirds)
    assert repr(found.tokens) == "(23, 39)", "4·(3 + 8/3) and 4·(7 + 8/3), whole"
    masked = rows((1.0, "a", 3, 0), (0.0, "a", 3, 0), prompts=PROMPTS)
    assert examples(method("online-grpo"), Recipe().where(**how), masked).tokens == (12, 28)
    with pytest.raises(
        InspectorError, match="longer than the 2 tokens that max_new_tokens, 4, leaves of max_length, 6"
    ):
        examples(method("online-grpo"), Recipe().where(**how | {"max_length": 6}), given)
    with pytest.raises(InspectorError, match="no gold answers"):
        examples(method("online-grpo"), Recipe().where(**how), rows((1.0, "a", 3, 2), prompts=PROMPTS[1:2]))


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("sft", {"steps": 7, "batch": 6}, 42),
        ("online-grpo", {"steps": 7, "batch": 8, "generations": 4, "iterations": 1}, 14),
        ("online-grpo", {"steps": 7, "batch": 8, "generations": 4, "iterations": 2}, 8),
        ("online-dapo", {"steps": 6, "batch": 8, "generations": 2, "iterations": 3}, 8),
    ],
)
def test_how_many_examples_a_run_reads(name, settings, count):
    assert taken(method(name), Recipe().where(**settings)) == count


RIGHT, WRONG, BOTH = [(1.0, "a"), (1.0, "b")], [(0.0, "a"), (0.0, "b")], [(1.0, "a"), (0.0, "a"), (1.0, "b")]


@pytest.mark.parametrize(
    ("name", "given", "iterations", "words"),
    [
        ("offline-grpo", RIGHT, 1, "Offline GRPO is b times SFT"), ("offline-grpo", BOTH, 1, ""),
        ("rift", RIGHT, 1, "RIFT is SFT"), ("rift", BOTH, 1, ""), ("rift", WRONG, 1, "nothing here that was rewarded"),
        ("sft", WRONG, 1, "nothing here that was rewarded"), ("sft", RIGHT, 1, ""), ("sft", BOTH, 1, ""),
        ("online-grpo", BOTH, 1, "nothing is clipped"), ("online-grpo", BOTH, 2, ""), ("online-dapo", WRONG, 1, "nothing here that was rewarded"),
    ],
)  # fmt: skip
def test_what_is_odd_of_the_rewards(name, given, iterations, words):
    some = Graded(*zip(*given, strict=True))
    said = Recipe().where(iterations=iterations).objective(method(name)).remark(some)
    assert (words in said) if words else not said


@pytest.mark.parametrize("name", METHODS)
def test_what_nothing_can_be_learned_from(name):
    """Each method by what it needs, on rewards that lack one of them."""
    given = {"positive": WRONG, "negative": RIGHT, "mixed": [*RIGHT, (0.0, "c")]}
    lacking = {need for need, some in given.items() if _refused(name, some)}
    needs = set(method(name).needs)
    assert needs <= lacking
    assert not _refused(name, BOTH)
    assert not _refused(name, [(1.0, "a"), (0.0, "a")])
    assert ("mixed" in lacking) == ("mixed" in needs)


def _refused(name, some):
    try:
        refuse_unlearnable(method(name), [r for r, _ in some], [g for _, g in some], gold=True)
    except InspectorError as error:
        right = sum(r > 0 for r, _ in some)
        return f"({len(some)} rows, {right} of them right, {len({g for _, g in some})} groups)" in str(error)
    return False


def test_the_longest_pair_is_as_long_as_its_longer_answer_on_both_sides():
    columns = {"prompt_ids": [[1] * 3, [1] * 9], "chosen_ids": [[2] * 2, [2]], "rejected_ids": [[3] * 7, [3]]}
    assert widest(method("dpo"), Recipe(), Examples(columns, "pair", (15, 20))) == 2 * (3 + 7)
    columns["chosen_ids"][1] = [2] * 4
    assert widest(method("dpo"), Recipe(), Examples(columns, "pair", (15, 23))) == 2 * (9 + 4)


def test_orders():
    assert [len(order(4, n, 0)) for n in (1, 4, 5, 8)] == [1, 4, 5, 8]
    assert sorted(order(4, 4, 3)) == [0, 1, 2, 3]
    assert by_length([0, 1, 2, 1, 0, 2], [5, 9, 5], 3) == [1, 0, 2, 1, 0, 2]
    assert by_length([2, 0, 1, 0], [5, 9, 7], 2) == [2, 0, 1, 0]
    assert by_length([0, 1, 2, 3], [1, 2, 3, 4], 4, processes=2) == [3, 1, 2, 0]
    assert by_length([0, 1, 2, 3, 4, 5, 6, 7], range(8), 8, processes=2, dealt=2) == [7, 6, 3, 2, 5, 4, 1, 0]
    laid = turned({"completion_ids": [[0], [1], [2]], "x": [7, 8, 9]}, [2, 1, 0, 1, 2], 3)
    assert laid == {
        "completion_ids": [[2], [1], [0], [1], [2]],
        "x": [9, 8, 7, 8, 9],
        "KL_completion_ids": [[0], [2], [1], [2], [1]],
    }


def test_a_round_in_numbers():
    """Two processes: prompts 0 and 1 are mixed, 4 too; what the first draws again is counted where it is drawn."""
    asked = []

    def sample(draws):
        asked.append([prompt.ids[0] for prompt, _ in draws])
        return [
            Answer(n, "r" if prompt.ids[0] in {0, 1, 4} and n % 2 else "w", 1, "stop", ids=(1,))
            for n, (prompt, _) in enumerate(draws)
        ]

    every = [Prompt((n,), "g", "") for n in range(6)]
    made = Groups(every, sample, lambda text, gold: float(text == "r" and gold == "g"), 2, 1, 3)
    found = made.round([0, 0, 2, 2, 3, 3], Place(0))
    assert asked[0] == [0, 0, 2, 2, 3, 3]
    assert found.first_reward == pytest.approx(1 / 6)
    assert {prompt for some in asked[1:] for prompt in some} <= {1, 4, 5}
    assert found.learned == len(found.completions) == 6
    assert [one.reward for one in found.completions] == [0, 1] * 3
    assert {one.prompt.ids[0] for one in found.completions} == {0, 1, 4}
    assert found.drawn == sum(map(len, asked))
    whole = made.round([2, 2, 3, 3, 5, 5, 0, 0], Place(1))
    assert (len(whole.completions), whole.learned) == (8, 6)
    assert [one.reward for one in whole.completions] == [0, 1] * 3 + [0, 0]


def test_streams_do_not_depend_on_others():
    """A first draw's stream is that of its place, a later one's that of its attempt as well: none is used twice."""
    seeds = []
    made = Groups(
        [Prompt((n,), "", "") for n in range(9)],
        lambda draws: seeds.extend(s for _, s in draws) or [Answer(n, "", 1, "stop") for n in range(len(draws))],
        lambda *_: 0.0,
        3,
        5,
        2,
    )
    made.round([0, 0, 0, 1, 1, 1], Place(0))
    assert len(seeds) == len(set(seeds)) == 3 * 6
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert max(seeds) > 2**30


@pytest.mark.parametrize("kind", ["token", "geo-mean", "sequence"])
def test_rift_in_numbers(kind):
    """Two rows of one and two tokens, one negative: Σ|r|·w over the mask, worked by hand."""
    log_p = torch.tensor([[-1.0, -2.0, -9.0], [-0.5, -3.0, -1.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False], [False, True, True]])
    found = Rift(probability=kind).loss(log_p, mask, torch.tensor([0.5, -0.4], dtype=torch.float64))
    p3, p1, both, mean = (torch.tensor(x, dtype=torch.float64).exp() for x in (-3.0, -1.0, -4.0, -2.0))
    negative = {"token": [p3, p1], "geo-mean": [mean, mean], "sequence": [both, 0 * both]}[kind]
    expected = torch.stack([torch.tensor([0.5, 1.0, 0.0], dtype=torch.float64), 0.4 * torch.stack([0 * p1, *negative])])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_losses_in_numbers():
    log_p = torch.tensor([[-1.0, -2.0], [-0.5, -3.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True], [True, False]])
    w = torch.tensor([2.0, -1.0], dtype=torch.float64)
    e = torch.exp(log_p)
    for found, expected in (
        (Sft().loss(log_p, mask, w), [[2, 4], [-0.5, 0]]),
        (Dft().loss(log_p, mask, w), [[2 * e[0, 0], 4 * e[0, 1]], [-0.5 * e[1, 0], 0]]),
        (KraftonCode(response_length=4).loss(log_p, mask, w), [[-e[0, 0], -e[0, 1]], [e[1, 0] / 4, 0]]),
        (kl(log_p, log_p + 1, mask), [[e.new_tensor(1).exp() - 2] * 2, [e.new_tensor(1).exp() - 2, 0]]),
    ):
        torch.testing.assert_close(
            found, torch.tensor([[float(x) for x in row] for row in expected], dtype=torch.float64)
        )
    assert token_mean(torch.tensor([3.0, 5.0]), 4).item() == 2
    assert token_mean(torch.tensor([3.0]), 0).item() == 3
    deep = torch.tensor([-60.0, -60.0, -60.0, -120.0])[:, None].expand(4, 2)
    gone = Rift(probability="sequence").vanished(
        deep,
        torch.tensor([[True, True], [True, True], [False, False], [True, False]]),
        torch.tensor([-1.0, 1.0, -1.0, -1.0]),
    )
    assert gone.tolist() == [True, False, False, True]
    assert Rift(probability="sequence").vanished(deep, mask[:1].expand(4, 2), torch.zeros(4)).tolist() == [False] * 4
