"""Every number that a sentence tells or compares with is among its numbers, on real adapters and on probed ones."""

import re
from itertools import permutations
from math import isclose

import numpy as np
import pytest

import inspector
from inspector.insights.findings import findings_of
from inspector.study.metrics import DEFINITIONS
from tests.acceptance.command import DEMO
from tests.insights.findings.published import COSINE, EIGHT, LAYERS, barriers, study, with_layers
from tests.report.studies import full_study

RULE = re.compile(
    r"below 0\.20 in every layer|1/[\d.]+ of theirs|[\d.]+ times the learning rate|its learning rate is .*"
)
"""A threshold and what run.json says, not measured."""
TOLD = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|-?\d+e-\d+|-?\d+(?=°)")


def missing(found):
    """The numbers of a sentence that neither its evidence nor a ratio of two of its numbers gives."""
    values = [number.value for number in found.numbers]
    known = [*values, *(100 * v for v in values), *(a / b for a, b in permutations(values, 2) if b)]
    if found.kind == "accuracy":
        known += [50 * (a - b) for a, b in permutations(values, 2)]
    text = found.text.replace("−", "-")
    names = {name for number in found.numbers for name in (number.a, number.b)} - {""}
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "")
    told = TOLD.findall(RULE.sub("", text))
    return [word for word in told if not any(_shown(value, word) for value in known)]


def _shown(value, word):
    """Whether the value, to the digits of the word, is the word."""
    step = 10.0 ** -len(word.partition(".")[2]) if "e" not in word else 0.5 * float(word)
    return isclose(value, float(word), rel_tol=1e-9, abs_tol=step / 2 * 1.0001)


@pytest.fixture(scope="module")
def demo():
    names = ("sft", "sft_s123", "sft_lr2e-3", "dpo", "online-grpo")
    chosen = [path for path in sorted(DEMO.iterdir()) if path.name in names]
    assert len(chosen) >= 4
    return inspector.compare(inspector.load(*map(str, chosen)), k=8)


def of_the_study():
    """The published directions, with a dip; norms, angles and starts."""
    by_layer = np.full(LAYERS, 0.96)
    by_layer[33:36] = 0.90
    norms = dict.fromkeys(EIGHT, 2.9) | {"dpo": 0.218}
    found = study(EIGHT, cosine=COSINE, norm=norms, effective_rank=norms | {"dpo": 24.5})
    return with_layers(found, "cosine", {pair: by_layer for pair in COSINE if {*pair} <= {"sft", "rft", "rift"}})


def with_a_barrier():
    path = np.array((2.0, 3.0, 4.0, 3.0, 2.1))
    of_pair = {metric: {("a", "b"): value} for metric, value in barriers(path).items()}
    return study(("a", "b"), alphas=tuple(np.linspace(0, 1, 5)), lmc_loss={("a", "b"): path}, **of_pair)


def with_equal_answers():
    share = {"a": 0.876, "b": 0.882}
    bounds = {f"accuracy{b}": {n: v + d for n, v in share.items()} for b, d in (("_low", -0.02), ("_high", 0.016))}
    return study(("a", "b"), accuracy=share, mcnemar_p_holm={("a", "b"): 0.6}, **bounds)


def test_sentences_about_real_adapters_have_their_numbers(demo):
    found = findings_of(demo)
    assert {"direction", "size", "chance", "runs"} <= {one.kind for one in found}
    assert {one.text: missing(one) for one in found if missing(one)} == {}
    compared = {number.metric for one in found for number in one.numbers}
    assert "principal_angle_chance" in compared
    assert "median of the others" in {number.a for one in found for number in one.numbers}


@pytest.mark.parametrize("made", [of_the_study, with_a_barrier, with_equal_answers, full_study])
def test_sentences_have_their_numbers(made):
    found = findings_of(made())
    assert any(TOLD.search(one.text) for one in found)
    assert {one.text: missing(one) for one in found if missing(one)} == {}
    assert {number.metric for one in found for number in one.numbers} <= set(DEFINITIONS)


def test_a_number_that_is_left_out_would_be_missed():
    found = next(one for one in findings_of(of_the_study()) if one.kind == "size")
    (own, median) = found.numbers
    assert (own.a, median.a, median.metric) == ("dpo", "median of the others", "norm")
    less = type(found)(found.kind, found.text, (own,))
    assert missing(less) == ["13.3", "2.9"]
