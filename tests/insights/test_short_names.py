"""A study under short names: what all share is left out, of names and of methods read from them."""

from itertools import combinations

from inspector.insights.findings import findings_of
from inspector.insights.short_names import in_short
from inspector.study.provenance import Origin, from_name
from tests.insights.findings.published import study

STEM = "run1-qwen3-4b-lora-r32-math-"
LONG = tuple(f"{STEM}sft-s{seed}" for seed in (1, 42))


def test_no_sentence_repeats_what_all_names_share():
    origins = [from_name(name) for name in LONG]
    found, shared = in_short(study(LONG, origins=origins, cosine={LONG: 0.1}, u1={LONG: 0.9}))
    assert shared == f"{STEM}sft-…"
    assert found.names == ("s1", "s42")
    assert not any("run1" in told.text for told in findings_of(found))


def test_a_method_read_from_a_name_is_shortened_with_it():
    names = (f"{STEM}sft-s1", f"{STEM}dpo-s1")
    found, _ = in_short(study(names, origins=[from_name(name) for name in names], cosine={names: 0.1}))
    assert [info.origin.method for info in found.adapters] == ["sft", "dpo"]


def test_the_last_word_of_a_method_stays():
    names = ("one-sft-lora", "two-sft-lora", "six-sft-lora")
    found, shared = in_short(study(names, origins=[Origin("sft-lora")] * 3, cosine={names[:2]: 0.1}))
    assert (found.names, shared) == (("one", "two", "six"), "…-sft-lora")
    assert {info.origin.method for info in found.adapters} == {"lora"}


def test_published_names_stay_whole():
    names = ("ref.a-long-published-name", *LONG)
    found, _ = in_short(study(names, cosine=dict.fromkeys(combinations(names, 2), 0.1)), 4)
    assert found.names == (names[0], "s1", "s42")


def test_words_in_the_middle_are_left_out_of_names_and_methods():
    names = tuple(f"run{n}-qwen3-4b-lora-r32-math-{what}" for n, what in enumerate(("sft-s1", "dpo-s1", "dft-s2")))
    found, shared = in_short(study(names, origins=[from_name(name) for name in names], cosine={names[:2]: 0.1}))
    assert shared == "…qwen3-4b-lora-r32-math-…"
    assert found.names == ("run0-sft-s1", "run1-dpo-s1", "run2-dft-s2")
    assert not any("qwen3" in info.origin.method for info in found.adapters)
