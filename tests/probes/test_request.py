"""Requests with their defaults, and what they cost by hand."""

import json
import math
from dataclasses import replace

import pytest

from inspector.common.cache import cache_folder
from inspector.common.errors import InspectorError
from inspector.common.text import duration
from inspector.probes.request import Estimate, Request, estimate, remember_speed, seconds_each, speeds
from inspector.probes.runner import _parts
from tests.memory import random_adapter

LMC = Request(("lmc",), base="org/base", alphas=(0.5, 0.25))


@pytest.fixture
def three():
    return [random_adapter(name, n) for n, name in enumerate("abc")]


@pytest.fixture
def prompts(tmp_path):
    """Five problems of 30 + 6 characters: 12 tokens, and 30 of the template."""
    file = tmp_path / "sums.jsonl"
    lines = [{"question": f"{n}".ljust(30, "?"), "answer": "123456"} for n in range(5)]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return str(file)


def test_defaults(three):
    asked = replace(LMC, alphas=(0.3333333333, 1.5)).checked(three)
    assert asked.pairs == (("a", "b"), ("a", "c"), ("b", "c"))
    assert asked.alphas == (0.0, 0.333333, 1.0, 1.5)
    assert asked.prompts == "gsm8k"
    assert (LMC.limit, LMC.batch, LMC.new_tokens) == (0, 0, 0)
    assert Request(("lmc",)).checked(three).alphas == tuple(n / 10 for n in range(11))
    based = replace(three[1], info=replace(three[1].info, base="smollm2"))
    asked = Request(("cka",), pairs=(("c", "a"),)).checked([three[0], based, three[2]])
    assert (asked.base, asked.prompts, asked.pairs) == ("smollm2", "arithmetic", (("c", "a"),))


@pytest.mark.parametrize("alpha", [-10.1, 10.1, math.nan, math.inf])
def test_points_far_from_a_path_are_refused(three, alpha):
    assert replace(LMC, alphas=(-10, 10)).checked(three).alphas == (-10.0, 0.0, 1.0, 10.0)
    with pytest.raises(InspectorError, match="between -10 and 10"):
        replace(LMC, alphas=(0.5, alpha)).checked(three)


@pytest.mark.parametrize(
    ("probes", "passes", "new", "text"),
    [
        # 2 pairs × 2 inner points, 3 adapters, the base; 42 tokens of each of 5 prompts
        (("lmc",), 8, 0, "at most 8 passes, about 1,680 tokens; the time shows after the first batch"),
        (("cka", "lens"), 4, 0, "at most 4 passes, about 840 tokens; the time shows after the first batch"),
        (("lens",), 4, 0, "at most 4 passes, about 840 tokens; the time shows after the first batch"),
        (("lmc", "cka"), 12, 0, "at most 12 passes, about 2,520 tokens; the time shows after the first batch"),
        (("accuracy",), 0, 20, "20 answers to generate; the time shows after the first batch"),
        (("intruders",), 0, 0, "one SVD per module of the base, then cached; the time shows after the first batch"),
        ((), 0, 0, "the time shows after the first batch"),
    ],
)
def test_costs_by_hand(three, prompts, probes, passes, new, text):
    asked = replace(LMC, probes=probes, prompts=prompts, pairs=(("a", "b"), ("c", "a")))
    few = [probe for probe in probes if probe not in {"accuracy", "intruders"}]
    caution = f"{', '.join(few)} on 5 prompts: fewer than 20 scatter more than adapters differ" if few else ""
    assert estimate(three, asked) == Estimate(passes, passes * 5 * 42, None, text, caution)
    assert (f"{new} answers" in text) == bool(new)


def test_one_pass_of_one_adapter_and_prompts_of_the_hub(three):
    """100 prompts of GSM8K, about 120 tokens each; its 1319 problems for accuracy."""
    cka = replace(LMC, probes=("cka", "accuracy"), prompts="gsm8k")
    assert estimate(three[:1], cka) == Estimate(
        2, 2 * 100 * 120, None,
        "at most 2 passes, about 24,000 tokens; 2638 answers to generate; the time shows after the first batch",
    )  # fmt: skip
    assert estimate(three[:1], replace(cka, limit=7)).tokens == 2 * 7 * 120
    assert "14 answers" in estimate(three[:1], replace(cka, limit=7)).text
    assert [bool(estimate(three[:1], replace(cka, limit=n)).caution) for n in (19, 20)] == [True, False]


def test_the_time_is_known_once_every_part_has_run_on_this_base_and_device(three, prompts):
    both = replace(LMC, probes=("lmc", "cka"), prompts=prompts).checked(three)
    remember_speed(both, "lmc", 100.04)
    assert speeds() == {"org/base auto lmc": 100.0}
    runs = 3 * 2 + 3 + 1
    assert seconds_each(three, both) == pytest.approx({"lmc": runs * 5 * 42 / 100})
    assert estimate(three, both).seconds is None
    remember_speed(both, "cka", 50)
    assert estimate(three, both).seconds == pytest.approx(runs * 5 * 42 / 100 + 4 * 5 * 42 / 50)
    assert estimate(three, both).text.endswith("at most 38 s as fast as the last time, and loading the base")
    for other in ({"base": "org/other"}, {"device": "cpu"}, {"probes": ("lmc", "cka", "lens")}):
        assert estimate(three, replace(both, **other)).seconds is None, "unembedding takes its own time"
    assert estimate(three, replace(both, probes=("lmc", "accuracy"))).seconds is None


@pytest.mark.parametrize("damage", ["", "[]", '{"a": "fast"}', '{"a": null}'])
def test_damaged_speeds_are_none(damage):
    folder = cache_folder("speed")
    folder.mkdir(parents=True)
    (folder / "speeds.json").write_text(damage, encoding="utf-8")
    assert speeds() == {}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (200, "3:20 min"), (3599.4, "59:59 min"), (3599.6, "1:00 h"),
     (3905, "1:05 h"), (90000, "25:00 h")],
)  # fmt: skip
def test_duration(seconds, shown):
    assert duration(seconds) == shown


def test_a_loss_between_two_adapters_is_not_asked_of_one(three):
    with pytest.raises(InspectorError, match="lmc is the loss between two adapters, and one is open: name another"):
        replace(LMC, probes=("lmc", "cka")).checked(three[:1])
    assert replace(LMC, probes=("cka", "lens", "intruders", "accuracy")).checked(three[:1]).pairs == ()
    assert LMC.checked(three[:2]).pairs == (("a", "b"),)


@pytest.mark.parametrize(
    ("probes", "parts"),
    [
        (("lens", "cka", "lmc"), ("lmc", "cka")),
        (("accuracy", "lens"), ("lens", "accuracy")),
        (("intruders", "cka"), ("cka", "intruders")),
        ((), ()),
    ],
)
def test_cka_and_lens_are_one_part(probes, parts):
    assert _parts(Request(probes)) == parts


def test_an_adapter_that_waits_for_its_invocation_is_on_no_path(three):
    waiting = [replace(three[0], invocation=(5, 6)), *three[1:]]
    assert replace(LMC, pairs=(("c", "b"),)).checked(waiting).pairs == (("c", "b"),)
    assert replace(LMC, probes=("cka",)).checked(waiting).probes == ("cka",)
    for pairs in ((), (("b", "c"), ("b", "a"))):
        with pytest.raises(InspectorError, match=r"^a is an activated LoRA"):
            replace(LMC, pairs=pairs).checked(waiting)


def test_how_many_prompts_a_probe_reads_unless_it_is_told(tmp_path):
    many, four = tmp_path / "many.jsonl", tmp_path / "four.jsonl"
    for file, lines in ((many, 130), (four, 4)):
        file.write_text("".join(f'{{"question": "{n}?", "answer": "1"}}\n' for n in range(lines)), encoding="utf-8")
    asked = Request(("lmc", "cka"), prompts=str(many))
    read = {probe: len(asked.problems(probe).problems) for probe in ("lmc", "cka", "lens", "accuracy")}
    assert read == {"lmc": 64, "cka": 100, "lens": 100, "accuracy": 130}
    assert len(replace(asked, limit=7).problems("lmc").problems) == 7
    assert len(replace(asked, prompts=str(four)).problems("cka").problems) == 4
    with pytest.raises(InspectorError, match="CKA needs at least 4 prompts: the limit gives 3"):
        replace(asked, limit=3).checked([])
    assert replace(asked, probes=("cka",), limit=4).checked([]).limit == 4


def test_what_is_not_on_this_machine_is_not_looked_for(three, prompts):
    """Neither prompts of the Hub, nor those of a probe that reads none."""
    Request(("lmc", "cka", "lens", "accuracy"), prompts="gsm8k").refuse_unknown(three)
    Request(("intruders", "lens"), prompts=prompts).refuse_unknown(three)
    with pytest.raises(InspectorError, match="nowhere"):
        Request(("intruders", "lens"), prompts="nowhere.jsonl").refuse_unknown(three)


def test_completions_count_as_prompts_do(three, tmp_path):
    """30 + 6 characters, and 21 of a completion: 19 tokens, and 30 of the template."""
    lines = [{"question": f"{n}" * 30, "answer": "123456", "completion": "x" * 21} for n in range(2)]
    file = tmp_path / "rollouts.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    asked = replace(LMC, loss="rollouts", prompts=str(file), pairs=(("a", "b"),))
    assert estimate(three, asked).tokens == 5 * 2 * 49
