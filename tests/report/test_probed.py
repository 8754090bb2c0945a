"""What running the base showed, in the report: signed intervals, the shuffled band, both lens depths."""

from dataclasses import replace

import numpy as np
import pytest

from inspector.common.numbers import fixed
from inspector.report.context import Context
from inspector.report.sections import probed
from tests.tui.factory import make_study
from tests.tui.probed import with_cka, with_lmc


def part(section, id_):
    return next(p for p in section.parts if getattr(p, "id", "") == id_)


def test_the_difference_of_the_ends_stands_beside_the_height_above_the_mean():
    study = with_lmc(make_study(3, layers=4))
    table = part(probed.connectivity(Context.of(study)), "barriers")
    at = table.columns.index("L(1) − L(0)")
    assert table.columns[2:5] == ("above the endpoints' mean", "95 % interval", "at α")
    assert table.columns[5:8] == ("L(1) − L(0)", "95 % interval", "above the chord")
    values = [study.blocks[f"lmc_ends{bound}", "global"][0, 1, 0] for bound in ("", "_low", "_high")]
    assert table.rows[0][at : at + 2] == (fixed(values[0], 3), f"{fixed(values[1], 3)} to {fixed(values[2], 3)}")
    notes = [p.text for p in probed.connectivity(Context.of(study)).parts if p.kind == "note"]
    assert any("a lower end above 0 is not a test" in text for text in notes)


@pytest.mark.parametrize(("kind", "metric"), [("cka-debiased", "cka_debiased"), ("cka", "cka")])
def test_the_band_of_shuffled_prompts_holds_that_of_every_pair(kind, metric):
    study = with_cka(make_study(3, layers=4))
    mean, sd = (study.blocks[f"{metric}_null{bound}", "layer"] for bound in ("", "_sd"))
    chart = part(probed.states(Context.of(study)), f"{kind}-by-layer")
    high, low = chart.levels
    assert high.values == pytest.approx((mean + sd).max((0, 1)))
    assert low.values == pytest.approx((mean - sd).min((0, 1)))
    assert "mean + sd" in high.label
    assert "mean − sd" in low.label


def test_an_older_study_has_one_shuffle():
    study = with_cka(make_study(3, layers=4))
    older = {key: values for key, values in study.blocks.items() if not key[0].endswith(("_sd", "_last"))}
    older["cka_null", "layer"][0, 1] = np.nan
    study = replace(study, blocks=older)
    chart = part(probed.states(Context.of(study)), "cka-by-layer")
    assert [level.label for level in chart.levels] == ["prompts shuffled once, largest of any pair"]
    assert np.isfinite(chart.levels[0].values).all()
    assert part(probed.depth(Context.of(study)), "lens").columns == ("", "depth", "against the base")


def test_lens_depths_with_the_last_position():
    study = with_cka(make_study(2, layers=4))
    table = part(probed.depth(Context.of(study)), "lens")
    assert table.columns == ("", "depth", "against the base", "at the last position", "against the base")
    assert table.rows[0] == ("(base)", "24.50", "", "25.50", "")
    depth, last = (study.blocks[metric, "global"][1, 0] for metric in ("lens_depth", "lens_depth_last"))
    assert depth < 24.5
    assert last < 25.5
    assert table.rows[2][1:] == (f"{depth:.2f}", f"−{24.5 - depth:.2f}", f"{last:.2f}", f"−{25.5 - last:.2f}")
