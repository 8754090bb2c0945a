"""What each view shows, at three sizes, against the study's own numbers."""

from dataclasses import replace

import numpy as np
import pytest

from inspector.insights.verdict import verdict
from inspector.tui.app import InspectorApp
from inspector.tui.text import decimal, degrees, general
from inspector.tui.theme import ink_for
from inspector.tui.views.objectives import formatted, source
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, SIZES, VIEWS, app_with, area, body, everything, settle, strike, visit


@pytest.mark.parametrize("size", SIZES)
async def test_every_view_fills_its_area_exactly(size):
    app = app_with()
    async with app.run_test(size=size) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
            for name in ("tabs", "body", "slider", "status", "keys"):
                painted = area(app, name)
                if not painted.display:
                    continue
                assert len(painted._strips) == painted.size.height, (view, name)
                assert {strip.cell_length for strip in painted._strips} == {size[0]}, (view, name)
            assert f"[{app.view.tab} " in area(app, "tabs").text


@pytest.mark.parametrize("n", [5, 12])
async def test_80_columns_cut_nothing_off(n):
    app = app_with(n)
    async with app.run_test(size=(80, 24)) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
            await settle(pilot, lambda: "Reading the numbers …" not in body(app))
            lines = [line for line in everything(app).splitlines() if line.endswith("…")]
            assert not lines, (view, lines)


async def test_too_small_a_terminal_keeps_the_pair_and_the_list_and_comes_back_whole():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "layers")
        await pilot.press("home")
        whole = everything(app)
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        lines = body(app).splitlines()
        assert lines[0] == " needs 60×15, has 40×10"
        assert lines[1] == f" sft_s42 ↔ rft_s42, layer 0 cos {decimal(app.state.number('cosine', (0, 1)))}"
        assert lines[3].split() == ["▸sft_s42", general(app.state.own("norm", 0))]
        assert "adapters 1–3 of 5" in lines[2]
        await visit(pilot, "adapters")
        await pilot.press(*["down"] * 4)
        assert body(app).splitlines()[-1].startswith("▸sft_s123")
        await pilot.press(*["up"] * 4)
        await visit(pilot, "layers")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert everything(app) == whole


@pytest.mark.parametrize("size", [(59, 40), (12, 30), (3, 3), (60, 5), (1, 1)])
async def test_any_size_below_stands(size):
    for app in (app_with(), InspectorApp([])):
        async with app.run_test(size=size) as pilot:
            await visit(pilot, "layers")
            await pilot.press("down", "?", "escape")
            await pilot.resize_terminal(60, 15)
            await pilot.pause()
            assert "needs" not in body(app)


async def test_adapters_lists_who_is_open_and_details_the_chosen_one():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        for name in NAMES:
            assert name in body(app)
        assert general(app.state.own("norm", 0)) in body(app)
        await pilot.press("down")
        assert "one tensor was not understood" in body(app)
        assert "/data/adapters/rft_s42" in body(app)


async def test_layer_slider_changes_the_numbers_of_every_view():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        before = body(app)
        await pilot.press("]", "}", "]")
        assert "layer 7" in area(app, "slider").text
        assert "layer 7 · 4 modules" in body(app)
        assert body(app) != before
        await pilot.press("{", "[", "home")
        assert app.state.layer == 0
        await pilot.press("end")
        assert app.state.layer == 29
        await pilot.press("g")
        assert "all layers" in body(app)
        assert body(app) == before


async def test_angles_numbers_and_chance():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "angles")
        angles = app.state.indexed("principal_angle", (0, 1))
        line = next(line for line in body(app).splitlines() if "sft_s42↔rft_s42" in line)
        assert degrees(angles[0]) in line
        assert degrees(angles[9]) in line
        assert "┊" in line
        chance = app.state.pair_chance("principal_angle", (0, 1))
        assert f"chance θ₁ {degrees(chance[0])}, θ₈ {degrees(chance[7])}" in body(app)


async def test_size_names_the_definition_of_rank():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "size")
        assert "effective rank = exp(H(p)), p = σ/Σσ" in body(app)
        assert "0.self_attn.q_proj (1 of 4 at this layer)" in body(app)
        await pilot.press("m", "n", "z")
        assert "effective rank (σ²) = exp(H(p)), p = σ²/Σσ²" in body(app)
        assert "0.self_attn.k_proj (2 of 4 at this layer) · linear" in body(app)


async def test_pair_opens_from_the_map_and_goes_on_with_n():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("enter")
        assert app.state.view == "pair"
        lines = body(app).splitlines()
        assert lines[0].startswith(" sft_s42↔rft_s42")
        found = verdict(app.state.study, 0, 1)
        assert " ".join(found.headline.split()) in " ".join(body(app).split())
        for row in found.evidence:
            assert any(row.value in line and row.chance in line for line in lines), row
        await pilot.press("n")
        assert body(app).startswith(" sft_s42↔dft_s42")
        for _ in range(30):
            await pilot.press("down")
        assert "angles, output side, k = 10" in body(app)


async def test_pair_has_two_panes_from_110_columns():
    app = app_with()
    async with app.run_test(size=(120, 40)) as pilot:
        await visit(pilot, "map")
        await pilot.press("enter")
        lines = body(app).splitlines()
        assert any("verdict" in line and "by layer" in line for line in lines)
        assert any("layer 0, module by module" in line for line in lines)
        low = app.state.series("cosine", 0, 1).min()
        assert any(line.rstrip().endswith(decimal(low)) for line in lines)
        ratio = f"{app.state.series('energy_ratio', 0, 1).min():.2f}"
        assert any(" ratio " in line and line.rstrip().endswith(ratio) for line in lines)


async def test_objectives_scroll_to_the_end():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "objectives")
        assert "SFT" in body(app)
        for _ in range(12):
            await pilot.press("pagedown")
        assert "differences between seeds" in body(app)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_objective_and_its_formulas_on_lines_of_their_own(width):
    shown = [line.text for line in formatted(source(), ink_for("", coloured=False), width)]
    heads = [line.strip() for line in shown if line.startswith(" ") and not line.startswith("  ")]
    for name in (
        "SFT",
        "RFT",
        "DFT",
        "RIFT",
        "Offline GRPO",
        "DPO",
        "IPO",
        "SimPO",
        "KTO",
        "Online GRPO",
        "Online DAPO",
    ):
        assert sum(head.startswith(name) for head in heads) == 1
    formulas = [raw[4:] for raw in source().splitlines() if raw.startswith("    ")]
    assert [line[5:] for line in shown if line[5:] in formulas] == formulas
    assert all(len(line) <= width for line in shown)
    assert not any("*" in line for line in shown)


async def test_wild_names_stay_plain_text():
    names = ("[bold]x[/]", "\x1b[31mred", "a" * 70)
    app = InspectorApp(study=make_study(3, names=names))
    async with app.run_test(size=(80, 24)) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
            assert "\x1b" not in everything(app)
        await visit(pilot, "map")
        assert "[bold]x[/]" in body(app)


async def test_nothing_open_says_how_to_open():
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
        await visit(pilot, "map")
        assert "No adapter is open." in body(app)


@pytest.mark.parametrize("part", ["headers", "one module", "nothing but norms"])
async def test_every_view_and_key_stands_missing_numbers(part):
    study = make_study(4, layers=3)
    if part == "headers":
        blocks = {}
    elif part == "one module":
        at = {"module": 12, "layer": 3, "global": 1}
        blocks = {}
        for (metric, scope), values in study.blocks.items():
            axis = values.shape.index(at[scope], 0 if values.shape[0] == at[scope] else 1)
            keep = np.arange(at[scope]) == 0
            shape = [-1 if n == axis else 1 for n in range(values.ndim)]
            blocks[metric, scope] = np.where(keep.reshape(shape) & (scope != "global"), values, np.nan)
    else:
        blocks = {key: values for key, values in study.blocks.items() if key[0] == "norm"}
    app = InspectorApp(study=replace(study, blocks=blocks))
    async with app.run_test(size=(80, 24)) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
            await strike(pilot, "m", "g", "]", "n", "s", "y", "f", "space", "enter")
            await strike(pilot, "escape")
            await strike(pilot, "down", "up")
        await app.workers.wait_for_complete()
        for view in VIEWS:
            await visit(pilot, view)
            await strike(pilot, "?")
            await strike(pilot, "escape")
            assert "nan" not in body(app)
    assert app._exception is None


async def test_modules_on_one_side_only_are_counted():
    study = make_study(2, layers=3)
    shapes = study.shapes.copy()
    shapes[0, :5] = 0
    app = InspectorApp(study=replace(study, shapes=shapes))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        assert "5 modules on one side only" in body(app)
        await visit(pilot, "pair")
        assert "5 modules on one side only" in body(app)


async def test_the_column_that_help_calls_class_is_named_and_k_says_of_what():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "pair")
        assert any(line.split()[-2:] == ["ratio", "class"] for line in body(app).splitlines())
        assert "+/- angles k" in area(app, "keys").text
