"""Layers and Curves: a strip or a line a pair along the layers."""

from dataclasses import replace

import numpy as np

from inspector.tui.app import InspectorApp
from inspector.tui.text import decimal, general
from tests.tui.factory import make_study
from tests.tui.helpers import VIEWS, app_with, area, body, strike, visit


async def test_layers_are_strips_with_their_numbers_the_most_alike_first():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "layers")
        await pilot.press("right", "right")
        lines = body(app).splitlines()
        rows = [line for line in lines if "↔" in line and "." in line]
        wholes = [float(line.split()[-4].replace("−", "-")) for line in rows]
        assert wholes == sorted(wholes, reverse=True)
        line = next(line for line in rows if "sft_s42↔rft_s42" in line)
        values = app.state.series("cosine", 0, 1)
        low = int(np.nanargmin(values))
        whole = app.state.number("cosine", (0, 1), "global")
        assert line.split()[-4:] == [decimal(whole), decimal(values[2]), str(low), decimal(values[low])]
        assert "at 2" in lines[1]
        assert line.startswith("▸")
        assert "┤" in lines[-4] + lines[-3] + lines[-2]


async def test_28_pairs_scroll_at_80_columns_and_the_chart_is_of_the_marked_one():
    app = app_with(8)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "layers")
        await pilot.press(*["up"] * 28)
        seen = set()
        for _ in range(28):
            shown = [line for line in body(app).splitlines() if line.startswith("▸")]
            name = shown[0][1:].split()[0]
            seen.add(name)
            assert any(line.startswith(f" {name}") for line in body(app).splitlines())
            await pilot.press("down")
        assert len(seen) == 28
        assert "of 28" in body(app).splitlines()[0]


async def test_pairs_added_by_space_are_drawn_beside_the_marked_one():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "layers")
        await pilot.press(*["up"] * 10)
        assert not any(line.startswith(" a ") for line in body(app).splitlines())
        await pilot.press("space")
        assert any(line.startswith(" a ") and "  b " in line for line in body(app).splitlines())


async def test_curves_letters_legend_values_and_count():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "curves")
        await pilot.press("right", "right")
        text = body(app)
        assert "showing 4 of 10 pairs" in text
        value = app.state.series("cosine", 0, 1)[2]
        assert any("sft_s42↔rft_s42" in line and decimal(value) in line for line in text.splitlines())
        await pilot.press("down", "down", "down", "down", "space")
        assert "showing 5 of 10 pairs" in body(app)
        assert "rft_s42↔dft_s42" in body(app)
        await pilot.press("space")
        assert "showing 4 of 10 pairs" in body(app)


async def test_layers_and_curves_show_adapter_metrics_too():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "layers")
        await pilot.press("M")
        while app.state.layers_metric != "norm":
            await pilot.press("M")
        assert "5 adapters" in body(app)
        assert general(app.state.own("norm", 0, "global")) in body(app)
        await visit(pilot, "curves")
        assert "showing 5 of 5 adapters" in body(app)


async def test_modules_outside_the_layers_leave_the_slider_idle():
    from inspector.study.module_id import ModuleId

    study = make_study(2, layers=1)
    bare = tuple(ModuleId(None, f"head.{n}") for n in range(4))
    blocks = {key: values for key, values in study.blocks.items() if key[1] != "layer"}
    app = InspectorApp(study=replace(study, modules=bare, blocks=blocks))
    async with app.run_test(size=(80, 24)) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
            await strike(pilot, "]", "}", "home", "end", "g", "n", "f", "left")
        await app.workers.wait_for_complete()
        await visit(pilot, "map")
        assert "no numbered layers" in area(app, "slider").text
