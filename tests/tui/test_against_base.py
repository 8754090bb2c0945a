"""Against the base: shares beside chance and the intruders' curves, of the layer that the slider is at."""

import csv
import io

import pytest

from inspector.tui.app import InspectorApp
from inspector.tui.text import chance_level
from inspector.tui.views.against_base import place_of
from tests.tui.factory import make_study
from tests.tui.helpers import app_with, body, visit
from tests.tui.probed import with_weights


async def test_shares_chance_and_curves_follow_the_slider():
    app = InspectorApp(study=with_weights(make_study(4, layers=3)))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "against_base")
        study, seen = app.state.study, []
        for _ in range(3):
            text, scope, place = body(app), app.state.scope, place_of(app.state)
            assert "…" not in text
            for share in ("base_share_left", "base_share_right"):
                assert f" {chance_level(study.blocks[share, scope][app.state.order[0], place])} " in text
                assert f"chance {chance_level(study.blocks[f'{share}_chance', scope][place])} " in text
            row = dict(zip(*list(csv.reader(io.StringIO(app.view.table(app.state).csv())))[:2], strict=True))
            for metric, k in (("intruder_dimensions_epsilon", 5), ("intruder_dimensions_k", 20)):
                value = study.blocks[metric, scope][app.state.order[0], place, k - 1]
                assert float(row[f"{metric} {k}"]) == pytest.approx(value)
            seen.append(text)
            await pilot.press("]")
        assert len(set(seen)) == 3
        assert "over ε among the top 10" in body(app)
        await pilot.press("z")
        assert "over k, below ε = 0.5" in body(app)


async def test_a_layer_has_its_mean_over_modules():
    study = with_weights(make_study(3, layers=2))
    for metric in ("base_share_left", "intruder_dimensions_k"):
        modules = study.blocks[metric, "module"][:, [m for m, id_ in enumerate(study.modules) if id_.layer == 1]]
        assert study.blocks[metric, "layer"][:, 1] == pytest.approx(modules.mean(1))


async def test_before_it_is_measured_it_says_what_measures_it():
    app = app_with(3)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "against_base")
        assert "Nothing was measured against the base's own directions yet." in body(app)
        assert "p runs the base model" in body(app)


async def test_layers_shows_the_level_of_chance_of_a_share():
    app = InspectorApp(study=with_weights(make_study(3, layers=3)))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "layers")
        app.state.layers_metric = "norm_relative"
        await pilot.press("left")
        assert "chance" not in body(app)
        app.state.layers_metric = "base_share_left"
        await pilot.press("right")
        assert "╌ chance 0.0" in body(app)
