"""Names side by side: what all share is left out, the rest is cut in the middle, and no two look the same."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from inspector.common.labels import NARROWEST, labels

WORDS = st.sampled_from(["sft", "dpo", "run1", "qwen3", "lr2e-4", "lr2e-5", "1.5", "s42", "数学", "é", "a"])
NAMES = st.builds(
    lambda words, between: "".join(w + b for w, b in zip(words, between, strict=True)).rstrip("-_./"),
    *(st.lists(of, min_size=8, max_size=8) for of in (WORDS, st.sampled_from("-_./"))),
)
SETS = st.lists(NAMES, min_size=1, max_size=12, unique=True)


def _words(text: str) -> list[str]:
    return re.findall(r"[^-_./=:]+", text)


ANY = st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=12, unique=True)


def test_what_all_names_share_is_said_once() -> None:
    rest = ["sft", "dpo", "rft_lr2e-4", "rft_lr2e-5"]
    found = labels([f"run1-qwen3-4b-lora-r32-math-{name}" for name in rest])
    assert found.shared == "run1-qwen3-4b-lora-r32-math-…"
    assert found.short == tuple(rest)


EIGHT = ("sft-s1", "sft-s2", "dft-s1", "rft-s1", "rift-s1", "dpo-s1", "grpo-s1", "grpo-lr2e-4")


@pytest.mark.parametrize(
    ("form", "short", "shared"),
    [
        ("run{n}-qwen3-4b-lora-r32-math-{what}", "run{n}-{what}", "…qwen3-4b-lora-r32-math-…"),
        ("run{n}_qwen3.4b_lora-r{n}-math_{what}", "run{n}_r{n}-{what}", "…qwen3.4b_lora-…math_…"),
        ("r{n}-one-long-{what}-two-long", "r{n}-{what}", "…one-long-…-two-long"),
        ("org/{what}/epoch-3/r{n}", "{what}/r{n}", "…org/…epoch-3/…"),
    ],
)
def test_words_that_all_names_share_are_left_out_wherever_they_stand(form: str, short: str, shared: str) -> None:
    fill = [{"n": n, "what": what} for n, what in enumerate(EIGHT, 1)]
    found = labels([form.format(**words) for words in fill])
    assert found.short == tuple(short.format(**words) for words in fill)
    assert found.shared == shared


@pytest.mark.parametrize(
    "names",
    [
        ("a-shared-b", "a-b-shared"),
        ("x-shared", "shared"),
        ("ab-grpo-12", "cd-grpo-34"),
        ("one-shared-1", "one-1-shared", "two-shared-2"),
    ],
)
def test_shared_words_stay_if_names_would_be_alike_or_empty_or_little_is_saved(names: tuple[str, ...]) -> None:
    assert labels(names).short == names


def test_a_shared_ending_is_left_out_too() -> None:
    found = labels(["run1-math-sft-epoch3-s42", "run1-math-dpo-epoch3-s42"])
    assert (found.shared, found.short) == ("run1-math-…-epoch3-s42", ("sft", "dpo"))


def test_shared_text_ends_at_a_separator_and_never_inside_a_number() -> None:
    assert labels(["long-name-lr2e-4", "long-name-lr2e-5"]).short == ("lr2e-4", "lr2e-5")
    assert labels(["modelname1.5", "modelname1.7"]).shared == ""
    assert labels(["sft-lr2e-4", "dpo-lr1e-4"]).short == ("sft-lr2e-4", "dpo-lr1e-4")
    assert labels(["checkpoint-100", "checkpoint-1000"]).short == ("100", "1000")


def test_a_name_that_begins_another_keeps_something() -> None:
    found = labels(["long-run-sft", "long-run-sft-2", "long-run-sft-2-b"])
    assert (found.shared, found.short) == ("long-run-…", ("sft", "sft-2", "sft-2-b"))
    assert (
        labels(["long-run", "long-run-sft"]).short == ("run", "run-sft")
        or labels(["long-run", "long-run-sft"]).shared == ""
    )


def test_little_is_not_worth_leaving_out() -> None:
    assert labels(["run-sft", "run-dpo"]).shared == ""


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (("runa-sft", "runa-dpo"), ""),
        (("runab-sft", "runab-dpo"), "runab-…"),
        (("r-sft-abcd", "r-dpo-abcd"), "r-…-abcd"),
        (("r-sft-ab", "r-dpo-ab"), ""),
        (("sft-abcde", "dpo-abcde"), "…-abcde"),
        (("数学-sft", "数学-dpo"), ""),
        (("数学数-sft", "数学数-dpo"), "数学数-…"),
        (("same-name-x", "same-name-x"), ""),
        *((f"runab{at}sft runab{at}dpo".split(), f"runab{at}…") for at in "-_./=:"),
        (("abcdef-x-ghijkl", "abcdef-yy-ghijkl"), "abcdef-…-ghijkl"),
        (("abcdef-ghijkl", "abcdef-x-ghijkl"), "abcdef-…"),
        (("abcdef-x", "abcdef-yz"), "abcdef-…"),
        (("x-abcdef", "yz-abcdef"), "…-abcdef"),
        (("runab+sft", "runab+dpo"), ""),
        (("long-1e-4-a", "long-1e-4-b"), "long-1e-4-…"),
        (("long-run-1-2-x", "long-run-1-3-y"), "long-run-1-…"),
    ],
)
def test_six_shared_cells_are_left_out_at_either_end(names: tuple[str, ...], shared: str) -> None:
    assert labels(names).shared == shared


@pytest.mark.parametrize(
    ("names", "width", "shown"),
    [
        (("offline-grpo", "x"), 12, ("offline-grpo", "x")),
        (("offline-grpo", "x"), 11, ("offli…-grpo", "x")),
        (("offline-grpo", "x"), 4, ("of…o", "x")),
        (("offline-grpo", "x"), 1, ("of…o", "x")),
        (("数学数学数学甲", "x"), 11, ("数学数…学甲", "x")),
        (("x", "alpha-beta-gamma-delta-one", "alpha-beta-gamma-delta-ore"), 12, ("x", "alpha-be…one", "alpha-be…ore")),
        (("aaaaaaaaaa", "aaaaaaaaab"), 4, ("aa…a", "aa…b")),
    ],
)
def test_names_are_cut_in_the_middle(names: tuple[str, ...], width: int, shown: tuple[str, ...]) -> None:
    assert labels(names).at(width) == shown


@pytest.mark.parametrize("names", [(), ("run1-qwen3-4b-sft",)])
def test_one_name_is_its_own_label(names: tuple[str, ...]) -> None:
    assert labels(names).short == names
    assert labels(names).shared == ""


def test_names_that_differ_in_the_middle_show_where() -> None:
    names = [f"alpha-{word}-of-the-first-run-with-seed-7" for word in ("sft", "dpo", "kto", "rft")]
    assert labels(names).short == ("sft", "dpo", "kto", "rft")
    mixed = labels([*names, "base"])
    assert mixed.shared == ""
    shown = mixed.at(16)
    assert shown[-1] == "base"
    assert all(word in label for word, label in zip(("sft", "dpo", "kto", "rft"), shown, strict=False))


def test_a_long_name_keeps_both_ends() -> None:
    assert labels(["offline-grpo_with_many_words_lr2e-4", "sft"]).at(15) == ("offline…_lr2e-4", "sft")


def test_width_is_in_cells() -> None:
    shown = labels(["数学数学数学数学-甲", "数学数学数学数学-乙", "x"]).at(9)
    assert all(cell_len(label) <= 9 for label in shown)
    assert len(set(shown)) == 3


def test_text_that_does_not_print_is_cleaned() -> None:
    assert all(label.isprintable() for label in labels(["a\x1b[31m", "a\x1b[32m"]).at(12))


@given(SETS)
def test_shared_and_short_have_the_words_of_the_names(names: list[str]) -> None:
    found = labels(names)
    between = Counter(_words("-".join(found.middle)))
    for name, short in zip(names, found.short, strict=True):
        rest = name.removeprefix(found.prefix).removesuffix(found.ending)
        assert Counter(_words(rest)) == Counter(_words(short)) + between
        assert found.middle or rest == short
    assert all(found.short)
    assert len(set(found.short)) == len(names)
    assert not found.prefix or found.prefix[-1] in "-_./=:"
    assert not found.ending or found.ending[0] in "-_./=:"


@given(SETS | ANY, st.integers(1, 40))
def test_no_two_look_the_same_at_any_width(names: list[str], width: int) -> None:
    found = labels(names)
    shown = found.at(width)
    assert len(set(shown)) == len(names)
    assert all(cell_len(label) <= max(width, NARROWEST) for label in shown)
    assert all(label == short for label, short in zip(shown, found.short, strict=True) if cell_len(short) <= width)
