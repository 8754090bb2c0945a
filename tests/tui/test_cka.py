"""CKA: lines under the slider, the map of pairs and layers, shuffled prompts, the base."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from inspector.tui.app import InspectorApp
from inspector.tui.text import decimal
from inspector.tui.widgets.layer_map import Track, grid
from inspector.tui.widgets.layer_map import _cell as cell
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, area, body, everything, visit
from tests.tui.probed import probed_study, unknown, with_cka

SIZES = ((80, 24), (140, 40))


def app_with(n: int = 5, layers: int = 30, depth: int = 0) -> InspectorApp:
    study = make_study(n, names=NAMES if n == 5 else (), layers=layers)
    return InspectorApp(study=with_cka(study, depth))


@pytest.mark.parametrize("size", SIZES)
async def test_pairs_along_the_layers_with_values_and_shuffled(size):
    app = app_with()
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "cka")
        await pilot.press("]", "]", "]")
        text = body(app)
        assert "CKA (debiased) · 4 of 10 pairs plotted" in text
        values = app.state.study.blocks["cka_debiased", "layer"]
        line = next(line for line in text.splitlines() if "▸a sft_s42↔rft_s42" in line)
        assert decimal(values[0, 1, 3]) in line
        words = " ".join(text.split())
        for metric, label in (("cka_debiased", "debiased"), ("cka", "plain")):
            value, null, sd = (
                float(app.state.study.blocks[f"{metric}{part}", "layer"][0, 1, 3]) for part in ("", "_null", "_null_sd")
            )
            assert f"{label} {decimal(value)} (shuffled {decimal(null)} ± {decimal(sd)})" in words
        assert "layer 3: debiased" in " ".join(text.split())
        assert "╌" in text
        assert "lens depth" in text
        assert not [line for line in everything(app).splitlines() if line.endswith("…")]


async def test_the_shuffled_band_is_both_its_edges():
    app = app_with()
    async with app.run_test(size=(140, 40)) as pilot:
        await visit(pilot, "cka")
        await pilot.press("m", "z", "z")
        blocks = app.state.study.blocks
        wide = {**blocks, ("cka_null_sd", "layer"): np.full_like(blocks["cka_null_sd", "layer"], 0.2)}
        app.take(replace(app.state.study, blocks=wide))
        app.repaint()
        dashed = [line for line in body(app).splitlines() if line.count("╌") > 20]
        assert len(dashed) >= 2
        rows = list(csv.DictReader(io.StringIO(app.view.table(app.state).csv())))
        assert float(rows[3]["sft_s42↔rft_s42 shuffled, sd"]) == 0.2


async def test_a_study_of_one_shuffle_has_no_spread():
    study = with_cka(make_study(5, names=NAMES, layers=30))
    older = {key: values for key, values in study.blocks.items() if not key[0].endswith(("_sd", "_last"))}
    app = InspectorApp(study=replace(study, blocks=older))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "cka")
        assert "±" not in body(app)
        assert "shuffled" in body(app)
        assert "nan" not in everything(app)


async def test_lens_depth_at_the_last_position_too():
    app = app_with()
    async with app.run_test(size=(140, 40)) as pilot:
        await visit(pilot, "cka")
        last = app.state.study.blocks["lens_depth_last", "global"][:2, 0]
        assert f"; at the last position {last[0]:.1f}, {last[1]:.1f}, base 25.5" in " ".join(body(app).split())


async def test_all_layers_give_the_mean():
    app = app_with()
    async with app.run_test(size=(140, 40)) as pilot:
        await visit(pilot, "cka")
        line = next(line for line in body(app).splitlines() if "sft_s42↔rft_s42 " in line)
        assert decimal(app.state.study.blocks["cka_debiased", "global"][0, 1, 0]) in line
        assert "mean over layers" in body(app)


async def test_m_goes_from_debiased_to_plain_to_the_base():
    app = app_with()
    async with app.run_test(size=(140, 40)) as pilot:
        await visit(pilot, "cka")
        await pilot.press("m")
        assert " CKA · 4 of 10 pairs plotted" in body(app)
        await pilot.press("m")
        assert "CKA (debiased) to the base · 5 of 5 adapters plotted" in body(app)
        await pilot.press("g", "down", "end")
        line = next(line for line in body(app).splitlines() if "▸b rft_s42" in line)
        assert decimal(app.state.study.blocks["cka_debiased_base", "layer"][1, 29]) in line
        await pilot.press("m", "m")
        assert app.state.cka_metric == "cka_debiased"


async def test_cells_say_their_value_without_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "cka")
        line = next(line for line in body(app).splitlines() if "sft_s42↔dft_s42" in line)
        values = app.state.study.blocks["cka_debiased", "layer"][0, 2]
        assert line.split()[-1] == "".join(cell(v, 1) for v in values)
        assert "tenths, * = 1" in body(app)


def test_cells_by_width():
    assert [cell(v, 1) for v in (1.0, 0.99, 0.9, 0.05, 0.0, -0.2, float("nan"))] == list("*9900−·")
    assert [cell(v, 3) for v in (0.98, -0.03, 1.0)] == [" 98", " −3", "  *"]
    assert cell(0.98, 4) == "0.98"


def test_more_layers_than_cells_are_a_window_around_the_slider():
    track = Track("a↔b", np.zeros(94), 0.0)
    form = grid([track], 94, 80, 60)
    assert form.cell == 1
    assert form.count < 94
    assert form.first <= 80 < form.first + form.count


async def test_layers_of_the_base_beyond_those_adapted_keep_the_slider():
    study = make_study(3, layers=4)
    app = InspectorApp(study=study)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "cka")
        await pilot.press("]", "]")
        assert app.state.layers[app.state.layer] == 2
        app.take(with_cka(study, depth=12))
        app.repaint()
        assert app.state.layers == tuple(range(12))
        assert app.state.layers[app.state.layer] == 2
        await pilot.press("end")
        assert "layer 11" in area(app, "slider").text
        await visit(pilot, "layers")
        await visit(pilot, "map")
        await visit(pilot, "size")
        await visit(pilot, "angles")
        await visit(pilot, "pair")
        assert "neither adapter changes anything here" in body(app)


async def test_nothing_measured_and_one_adapter():
    app = InspectorApp(study=make_study(2, layers=3))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "cka")
        assert "No hidden states were compared yet." in body(app)
        assert "p runs the base model" in body(app)
    app = InspectorApp(study=with_cka(make_study(1, layers=3)))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "cka")
        assert "m compares it with the base" in body(app)
        await pilot.press("m", "m")
        assert "1 of 1 adapter plotted" in body(app)


@pytest.mark.parametrize("size", SIZES)
async def test_nan_everywhere(size):
    app = InspectorApp(study=unknown(with_cka(make_study(4, layers=5))))
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "cka")
        for key in ("m", "]", "m", "g", "m", "down", "y"):
            await pilot.press(key)
            assert "nan" not in everything(app)


async def test_64_adapters_are_windowed_and_counted():
    app = InspectorApp(study=probed_study(64, layers=3))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "cka")
        await pilot.press(*["pagedown"] * 5)
        assert "of 2016" in body(app)
        await pilot.press("m", "m", *["pagedown"] * 5)
        assert "8 of 64 adapters plotted" in body(app)
        assert "run_50" in body(app) or "run_55" in body(app)


async def test_a_step_of_the_slider_repaints_little():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "cka")
        await pilot.press("]", "]")
        painted = area(app, "body")
        app.state.set_layer(app.state.layer + 1)
        regions = painted.repaint()
        assert 0 < sum(region.area for region in regions) < 500
        assert painted.repaint() == []
