"""What running the base showed of two adapters: every threshold from both sides, every number that may be missing."""

from dataclasses import replace
from math import inf, nan, nextafter

import numpy as np
import pytest

from inspector.insights.evidence import Answers, Path, States, answers, floored, interval, level, path, states, too_few
from inspector.study.study import ProbeInfo
from tests.insights.findings.published import below, from_layer, study, with_layers

PAIR = ("a", "b")


def above(value):
    return nextafter(value, inf)


def the_path(a=2.0, b=1.0, middle=1.5, strict=(0.0, nan, nan), chord=(0.0, nan, nan), suffix=""):
    return Path(suffix, a, b, middle, 0.0, strict, chord)


@pytest.mark.parametrize(("a", "b"), [(2.0, 1.0), (1.0, 2.0)])
def test_a_rise_counts_from_one_percent_of_the_larger_end_on(a, b):
    for rise, counts in ((0.02, False), (above(0.02), True), (nan, False)):
        assert the_path(a, b, strict=(rise, nan, nan)).barrier is counts
        assert the_path(a, b, chord=(rise, nan, nan)).bulge is counts
    for middle, lower in ((0.98, False), (below(0.98), True), (nan, False)):
        assert the_path(a, b, middle=middle).better is lower


@pytest.mark.parametrize(("other", "alike"), [(98.0, True), (97.9, False)])
def test_ends_are_alike_up_to_twice_that(other, alike):
    assert the_path(100.0, other).level is the_path(other, 100.0).level is alike


@pytest.mark.parametrize(
    ("found", "text", "note"),
    [
        (the_path(1, 1, 1), "no barrier (loss 1.00 and 1.00, 1.00 averaged)", "no barrier"),
        (
            the_path(1, 1, 1, suffix="_rollouts"),
            "no barrier (loss of rollouts 1.00 and 1.00, 1.00 averaged)",
            "no barrier",
        ),
        (the_path(1, 2, nan), "no barrier, only unequal ends (loss 1.00 and 2.00)", "no barrier"),
        (
            the_path(1, 2, 0.5),
            "no barrier, and averaged a lower loss than either (loss 1.00 and 2.00, 0.50 averaged)",
            "no barrier",
        ),
        (
            the_path(1, 2, 0.5, chord=(0.5, nan, nan)),
            "no barrier above both, but a bulge (loss 1.00 and 2.00, 0.50 averaged, up to 0.50 above a straight line)",
            "no barrier",
        ),
        (
            the_path(1, 2, 3, strict=(1, 0, 2), chord=(1.5, 1, 2)),
            "perhaps a barrier (loss 1.00 and 2.00, 3.00 averaged, up to 1.00 (95 % interval 0.00 to 2.00) above both)",
            "1.00 (95 % interval 0.00 to 2.00) above both",
        ),
        (
            the_path(1, 2, nan, strict=(1, 1e-9, 2)),
            "a barrier parts them (loss 1.00 and 2.00, up to 1.00 (95 % interval 0.00 to 2.00) above both)",
            "1.00 (95 % interval 0.00 to 2.00) above both",
        ),
        (
            the_path(1, 2, 3, strict=(1, nan, nan)),
            "a barrier parts them (loss 1.00 and 2.00, 3.00 averaged, up to 1.00 above both)",
            "1.00 above both",
        ),
    ],
)
def test_words_for_a_path(found, text, note):
    assert str(found) == text
    assert (found.row.note, found.row.metric) == (note, f"lmc_loss{found.suffix}")


def test_the_row_of_a_path_goes_from_a_to_b():
    assert the_path(1, 2, 3).row.value == "1.00 – 3.00 – 2.00"
    assert the_path(1, 2, nan).row.value == "1.00 – 2.00"


ALPHAS = (-0.5, 0.0, 0.5, 1.0, 1.5)


def measured(*, probes=(), **metrics):
    found = study(PAIR, alphas=ALPHAS, **{metric: {PAIR: np.array(value)} for metric, value in metrics.items()})
    return replace(found, probes=tuple(ProbeInfo(probe, "b", examples=n) for probe, n in probes))


def test_a_path_is_read_between_its_ends_only():
    found = measured(lmc_loss=[9, 2, 4, 1, 8], barrier_strict=2.0, barrier_strict_low=1.0, barrier_strict_high=3.0,
                     barrier_chord=2.5)  # fmt: skip
    there, back = path(found, 0, 1), path(found, 1, 0)
    assert (there.a, there.b, there.middle, there.top) == (1, 2, 4, 4)
    assert there.strict == (2, 1, 3)
    assert there.chord == pytest.approx((2.5, nan, nan), nan_ok=True)
    assert (back.a, back.b, back.top) == (2, 1, 4)
    assert np.isnan(path(measured(lmc_loss=[9, 2, nan, 1, 8]), 0, 1).middle)


@pytest.mark.parametrize("missing", [1, 3])
def test_a_path_without_an_end_gives_way_to_that_of_rollouts(missing):
    losses = [9.0, 2, 4, 1, 8]
    losses[missing] = nan
    assert path(measured(lmc_loss=losses), 0, 1) is None
    assert path(measured(lmc_loss=losses, lmc_loss_rollouts=[1, 1, 1, 1, 1]), 0, 1).suffix == "_rollouts"
    assert path(measured(lmc_loss=[1, 1, 1, 1, 1], lmc_loss_rollouts=[1, 1, 1, 1, 1]), 0, 1).suffix == ""


@pytest.mark.parametrize(("prompts", "few"), [(0, 0), (1, 1), (19, 19), (20, 0)])
def test_fewer_than_twenty_prompts_say_nothing(prompts, few):
    found = measured(probes=[("lmc", prompts), ("cka", prompts)], lmc_loss=[1, 1, 1, 1, 1])
    found = with_layers(found, "cka", {PAIR: [0.5] * 36})
    assert too_few(found, "lmc") == few
    assert (path(found, 0, 1) is None) == (states(found, 0, 1) is None) == (few > 0)
    assert too_few(found, "lmc_rollouts") == 0, "did not run"


@pytest.mark.parametrize(
    ("least", "text"),
    [
        (0.95, "hidden states alike in every layer (CKA at least 0.95)"),
        (below(0.95), "hidden states differ somewhat (CKA 0.95 in layer 7)"),
        (0.7, "hidden states differ somewhat (CKA 0.70 in layer 7)"),
        (below(0.7), "hidden states part from layer 5 on (CKA 0.70 in layer 7)"),
        (-0.01, "hidden states part from layer 5 on (CKA −0.01 in layer 7)"),
    ],
)
def test_words_for_hidden_states(least, text):
    assert str(States("cka", least, 7, nan, 5)) == text
    assert str(States("cka_debiased", least, 7, nan, 5)) == text.replace("CKA", "debiased CKA")


@pytest.mark.parametrize(
    ("values", "least", "layer", "first"),
    [
        ([1.0, 0.825, 0.5, 0.6], 0.5, 7, 6),
        ([1.0, above(0.825), 0.5, 0.6], 0.5, 7, 7),
        ([nan, 0.9, 0.85, 0.85], 0.85, 7, 7),
        ([0.4, nan, 0.4, 1.0], 0.4, 5, 5),
    ],
)
def test_states_of_layers_that_do_not_begin_at_zero(values, least, layer, first):
    found = with_layers(from_layer(study(PAIR, layers=4), 5), "cka", {PAIR: values})
    found = with_layers(found, "cka_null", {PAIR: [0.1, 0.2, 0.3, 0.4]})
    for i, j in ((0, 1), (1, 0)):
        got = states(found, i, j)
        assert (got.metric, got.least, got.layer, got.first) == ("cka", least, layer, first)
        assert got.chance == (0.1, 0.2, 0.3, 0.4)[layer - 5]
        assert got.row.value == f"CKA {least:.2f}"
        assert (got.row.chance, got.row.note) == (level(got.chance), f"lowest in layer {layer}")


def test_the_row_of_states_says_at_least_only_if_all_are_alike():
    assert States("cka", 0.95, 7, nan, 5).row.value == "CKA ≥ 0.95"
    assert States("cka", 0.999, 7, nan, 5).row.value == "CKA ≥ 0.99"
    assert States("cka", below(0.95), 7, nan, 5).row.value == "CKA 0.95"


def test_debiased_states_come_before_plain_ones_unless_they_say_nothing():
    plain = with_layers(study(PAIR, layers=3), "cka", {PAIR: [0.5] * 3})
    assert states(with_layers(plain, "cka_debiased", {PAIR: [0.9] * 3}), 0, 1).metric == "cka_debiased"
    assert states(with_layers(plain, "cka_debiased", {PAIR: [nan] * 3}), 0, 1).metric == "cka"
    assert states(with_layers(study(PAIR, layers=3), "cka", {PAIR: [nan] * 3}), 0, 1) is None
    assert states(study(PAIR), 0, 1) is None
    assert np.isnan(states(plain, 0, 1).chance)


@pytest.mark.parametrize(("p", "differ"), [(below(0.05), True), (0.05, False), (nan, False)])
def test_answers_differ_below_five_percent(p, differ):
    assert Answers(PAIR, 0.3, 0.2, p).differ is differ


@pytest.mark.parametrize(
    ("a", "b", "p", "text", "note"),
    [
        (
            0.3,
            0.2,
            0.01,
            "accuracy differs: a solves more than b (30.0 against 20.0 %, McNemar p = 0.01 after Holm)",
            "p = 0.01 (McNemar, Holm)",
        ),
        (
            0.2,
            0.3,
            0.012,
            "accuracy differs: b solves more than a (30.0 against 20.0 %, McNemar p = 0.01 after Holm)",
            "p = 0.012 (McNemar, Holm)",
        ),
        (
            0.2,
            0.3,
            0.3,
            "accuracy does not tell them apart (20.0 and 30.0 %, McNemar p = 0.3 after Holm)",
            "p = 0.3 (McNemar, Holm)",
        ),
        (
            0.2,
            0.3,
            nan,
            "accuracy does not tell them apart (20.0 and 30.0 %, no common problems)",
            "no common problems",
        ),
    ],
)
def test_words_for_answers(a, b, p, text, note):
    found = Answers(PAIR, a, b, p)
    assert str(found) == text
    assert (found.row.value, found.row.note) == (f"{100 * a:.1f} : {100 * b:.1f} %", note)


def test_answers_need_both_accuracies():
    assert answers(study(PAIR, accuracy={"a": 0.1, "b": 0.2}), 1, 0).names == ("b", "a")
    assert answers(study(PAIR, accuracy={"a": 0.1}), 0, 1) is None
    assert answers(study(PAIR, accuracy={"b": 0.1}), 0, 1) is None
    assert answers(study(PAIR), 0, 1) is None


def test_numbers_in_words():
    assert [floored(0.3 - off) for off in (5e-12, 1.5e-11)] == ["0.30", "0.29"]
    assert [floored(value) for value in (0.998, 0.95, 0.29, 1.0, -0.001)] == ["0.99", "0.95", "0.29", "1.00", "−0.01"]
    chances = (nan, 0.0, 0.0004, 0.0005, 0.0999, 0.1, -0.0001, -0.2)
    assert [level(chance) for chance in chances] == ["", "0.00", "0.00", "0.0005", "0.1", "0.10", "0.00", "−0.20"]
    assert interval((0.5, nan, 1.0)) == interval((0.5, 0.0, nan)) == "0.50"
    assert interval((0.5, -0.001, 1.0)) == "0.50 (95 % interval 0.00 to 1.00)"
