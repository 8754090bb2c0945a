"""The overview as lines: within their width, one line an adapter, sizes on a log scale."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from rich.cells import cell_len

from inspector.insights.overview import overview
from inspector.tables.overview import group_rows, groups_caption, overview_lines, so_what_lines
from tests.insights.findings.published import COSINE, EIGHT, study
from tests.report.studies import full_study

NORMS = dict(zip(EIGHT, (1.4, 1.7, 1.3, 1.9, 1.1, 0.1, 0.5, 0.6), strict=True))
LONG = tuple(
    f"run1-qwen3-4b-lora-r32-math-{method}-lr2e-4-s{seed}" for method in ("sft", "dpo") for seed in (1, 2, 42, 7)
)


def plain_lines(found, width, **more):
    return [line.text.plain for line in overview_lines(found, width, **more)]


def of_the_study():
    return overview(study(EIGHT, cosine=COSINE, norm=NORMS, effective_rank=dict.fromkeys(EIGHT, 6.07)))


def test_every_adapter_has_one_line_and_every_sentence_its_own():
    found = of_the_study()
    lines = overview_lines(found, 80)
    assert [line.index for line in lines if line.about == "adapter"] == list(found.order)
    assert list(dict.fromkeys(line.index for line in lines if line.about == "so what")) == list(
        range(len(found.so_what))
    )


def test_a_line_has_norm_rank_nearest_and_cosine():
    found = of_the_study()
    rft = next(line.text.plain for line in overview_lines(found, 80) if line.index == 1)
    assert rft.split()[0] == "rft"
    assert rft.split()[-4:] == ["1.70", "6.1", "sft", "0.98"]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("names", [EIGHT, LONG, ("sft",), ("数学" * 9, "数学" * 8 + "x")])
def test_no_line_is_wider_than_the_page_and_no_two_look_alike(names, width):
    lines = overview_lines(overview(full_study(names, 6, k=2, rank=2)), width)
    assert max(cell_len(line.text.plain) for line in lines) <= width
    assert all(line.text.plain[:2].strip() == "" for line in lines)
    rows = [line.text.plain for line in lines if line.about == "adapter"]
    assert len({row[:30] for row in rows}) == len(names)


def test_what_all_names_share_is_said_once():
    text = "\n".join(plain_lines(overview(full_study(LONG, 6, k=2, rank=2)), 80))
    assert text.count("run1-qwen3-4b") == 1


def test_bars_are_on_a_log_scale():
    names = ("a", "b", "c")
    pairs = {("a", "b"): 0.0, ("a", "c"): 0.0, ("b", "c"): 0.0}
    found = overview(study(names, cosine=pairs, norm={"a": 100.0, "b": 10.0, "c": 1.0}))
    lengths = {line.index: line.text.plain.count("█") for line in overview_lines(found, 110) if line.about == "adapter"}
    assert lengths[0] - lengths[1] == pytest.approx(lengths[1] - lengths[2], abs=1)
    assert lengths[0] > lengths[1] > lengths[2]


def test_a_norm_that_is_not_known_has_no_bar():
    found = overview(study(("a", "b"), cosine={("a", "b"): 0.1}, norm={"a": 1.0, "b": float("nan")}))
    line = next(line.text.plain for line in overview_lines(found, 80) if line.index == 1)
    assert "n/a" in line
    assert not set(line) & set("█▏▎▍▌▋▊▉")


def test_what_is_measured_so_far_is_said():
    found = replace(of_the_study(), known=60, total=120)
    assert "  ! 60 of 120 modules measured so far: all numbers are of these" in plain_lines(found, 80)
    assert not any("so far" in line for line in plain_lines(of_the_study(), 80))


# Cells


def of_norms(norms, *, groups=(), partly=(), **more):
    """Adapters a, b, … of these norms; `groups`: pairs that hold one update."""
    names = "abcdefgh"[: len(norms)]
    cosines = dict.fromkeys(combinations(names, 2), 0.0)
    cosines |= {tuple(pair): 0.9 for pair in groups} | {tuple(pair): 0.5 for pair in partly}
    made = study(names, cosine=cosines, norm=dict(zip(names, norms, strict=True)), **more)
    return overview(made)


def cells(found, width=80, **more):
    return {line.index: line.text.plain for line in overview_lines(found, width, **more) if line.about == "adapter"}


def bar(line):
    return "".join(cell for cell in line if cell in "█▏▎▍▌▋▊▉")


@pytest.mark.parametrize(
    ("norms", "share"),
    [
        ((100.0, 10.0), 0.5),  # the scale begins at a hundredth of the largest
        ((100.0, 50.0), 1 + np.log10(0.5) / 2),
        ((1e4, 1.3), np.log(1.3) / np.log(1.3e4)),  # or below the smallest
        ((1e4, 1e-9), np.log(1.3) / np.log(1.3e13)),
    ],
)
def test_a_bar_is_its_share_of_the_scale_in_eighths(norms, share):
    found = cells(of_norms(norms))
    whole, eighths = bar(found[0]), "▏▎▍▌▋▊▉█"
    assert set(whole) == {"█"}
    cells_of = bar(found[1])
    length = 8 * (len(cells_of) - 1) + eighths.index(cells_of[-1]) + 1
    assert length == max(round(8 * len(whole) * share), 1)


@pytest.mark.parametrize(
    ("letters", "width", "length", "title"),
    [
        (12, 60, 6, "‖ΔW‖ log  eff.rank  nearest"),
        (8, 60, 14, "‖ΔW‖, log scale   eff.rank  nearest"),
        (1, 60, 16, "‖ΔW‖, log scale  "),
        (1, 200, 24, "‖ΔW‖, log scale  "),
    ],
)
def test_bars_have_what_names_and_numbers_leave(letters, width, length, title):
    names = "abcdefghijkl"[:letters], "mnopqrstuvwx"[:letters]
    found = overview(study(names, cosine={names: 0.0}, norm=dict.fromkeys(names, 1.0)))
    assert {len(bar(line)) for line in cells(found, width).values()} == {length}
    assert any(title in line for line in plain_lines(found, width))


@pytest.mark.parametrize("norm", [0.0, float("nan"), float("inf")])
def test_a_size_without_a_bar_leaves_its_cells_blank(norm):
    found = cells(of_norms((2.0, norm), effective_rank={"a": 6.07, "b": 6.07}))
    assert len(bar(found[0])) > len(bar(found[1])) == 0
    assert found[0].index("6.1") == found[1].index("6.1")


def test_reasons_are_named_as_far_as_there_is_room():
    entry = replace(of_norms((1.0, 1.0)).alone[0], why=("other seed of another one", "u₁ 0.81"))
    found = replace(of_norms((1.0, 1.0)), alone=(entry,))
    ends = {width: cells(found, width)[entry.index].partition("0.00  ")[2] for width in range(60, 100)}
    assert dict.fromkeys(ends.values()) == dict.fromkeys(("", "other seed of another one", ", ".join(entry.why)))
    assert all(len(bar(cells(found, width)[entry.index])) >= 6 for width in ends)


def test_lines_say_groups_then_partly_then_alone():
    found = of_norms((1.0, 2.0, 3.0, 4.0), groups=["ab"], partly=["ac", "bc"])
    lines = [line.text.plain.rstrip() for line in overview_lines(found, 80)]
    heads = [line for line in lines if line.startswith("  A  ") or line == "  alone"]
    assert heads == ["  A  one direction, cosine 0.90 · ~ in part", "  alone"]
    assert [line[:6] for line in lines if line[4:5] in "abcd" and "█" in line] == [
        "    b ",
        "    a ",
        "  ~ c ",
        "    d ",
    ]
    assert "  alone" not in plain_lines(of_norms((1.0, 2.0)), 80), "no group to be out of"
    assert "~" not in "".join(plain_lines(of_norms((1.0, 2.0), groups=["ab"]), 80))


def test_the_same_as_a_table():
    found = of_norms((1.0, 2.0, 3.0, 4.0, 5.0, 6.0), groups=["ab", "ef"], partly=["ac", "bc"])
    assert [(row[0], row[1], row[2], row[4], row[5]) for row in group_rows(found)] == [
        ("A", "b", "2.00", "a", "0.90"), ("A", "a", "1.00", "b", "0.90"), ("~ A", "c", "3.00", "a", "0.50"),
        ("B", "f", "6.00", "e", "0.90"), ("B", "e", "5.00", "f", "0.90"), ("–", "d", "4.00", "–", "0.00"),
    ]  # fmt: skip
    assert groups_caption(found) == (
        "Groups of one update. A: one direction, cosine 0.90; B: one direction, cosine 0.90; ~: in part"
    )
    assert groups_caption(of_norms((1.0, 2.0))) == "Groups of one update"
    assert groups_caption(of_norms((1.0, 2.0), groups=["ab"])).endswith("A: one direction, cosine 0.90")
    (row,) = group_rows(overview(study(("a",), norm={"a": 1.0})))
    assert row[4:] == ("", "", "")


def test_sentences_are_numbered_and_cautions_are_marked():
    found = of_norms((1.0, 2.0))
    (first, *_, last) = list(so_what_lines(found, 200))
    assert first.text.plain.startswith("  1 No two hold one update")
    assert last.text.plain == "  ! Weights only: loss, hidden states and accuracy are not measured."
    assert (first.index, last.index) == (0, len(found.so_what) - 1)
    wrapped = [line.text.plain for line in so_what_lines(found, 40) if line.index == 0]
    assert len(wrapped) > 1
    assert all(line.startswith("    ") for line in wrapped[1:])
    assert max(map(cell_len, wrapped)) <= 40 - 1


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "  alone: d 0.00 · c 0.00 (other seed, u₁ 0.81)"),
        (46, "  alone: d 0.00 · c 0.00 (other seed, u₁ 0.81)"),
        (45, "  alone: d 0.00 · c 0.00 (other seed)"),
        (37, "  alone: d 0.00 · c 0.00 (other seed)"),
        (36, "  alone: d 0.00 · c 0.00"),
        (24, "  alone: d 0.00 · c 0.00"),
        (23, None),
    ],
)
def test_those_alone_share_a_line_in_brief_if_they_fit(width, line):
    found = of_norms((1.0, 2.0, 3.0, 4.0), groups=["ab"])
    found = replace(found, alone=(found.alone[0], replace(found.alone[1], why=("other seed", "u₁ 0.81"))))
    brief = [one for one in overview_lines(found, width, brief=True) if "alone" in one.text.plain]
    assert [(one.text.plain, one.about, one.index) for one in brief] == (
        [("  alone", "", -1)] if line is None else [(line, "adapter", 3)]
    )
    assert ({2, 3} <= cells(found, width, brief=True).keys()) is (line is None)
    assert len(cells(of_norms((1.0, 2.0)), width, brief=True)) == 2, "no group to be out of"


def test_nobody_alone_has_no_line():
    found = of_norms((1.0, 2.0), groups=["ab"])
    assert not any("alone" in line for brief in (False, True) for line in plain_lines(found, 80, brief=brief))
