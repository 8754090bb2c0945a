"""The overview as lines: within their width, one line an adapter, sizes on a log scale."""

from dataclasses import replace

import pytest
from rich.cells import cell_len

from inspector.insights.overview import overview
from inspector.tables.overview import overview_lines
from tests.insights.findings.published import COSINE, EIGHT, study
from tests.report.studies import full_study

NORMS = dict(zip(EIGHT, (1.4, 1.7, 1.3, 1.9, 1.1, 0.1, 0.5, 0.6), strict=True))
LONG = tuple(
    f"run1-qwen3-4b-lora-r32-math-{method}-lr2e-4-s{seed}" for method in ("sft", "dpo") for seed in (1, 2, 42, 7)
)


def plain_lines(found, width):
    return [line.text.plain for line in overview_lines(found, width)]


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
