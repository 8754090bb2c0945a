"""What each view shows, at three sizes, against the study's own numbers."""

import re
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


async def test_map_shows_every_cosine_and_the_pair_in_words():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        values = app.state.matrix("cosine")
        for i, name in enumerate(NAMES):
            line = next(line for line in body(app).splitlines() if line.startswith(f" {name} "))
            shown = [at for block in app.view.blocks(app.state) for at in block]
            assert line.replace("[", " ").replace("]", " ").split()[1:] == [decimal(values[i, j]) for j in shown]
        await pilot.press("s", "down", "right")
        assert (app.state.row, app.state.col) == (2, 3)
        assert "dft_s42↔dpo_s42" in body(app)
        assert decimal(app.state.number("u1", (2, 3))) in body(app)
        assert "Weights only: " in body(app)


async def test_map_goes_through_metrics_and_says_which():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("m")
        assert "output direction" in body(app)
        assert app.state.metric == "u1"
        await pilot.press("M", "M")
        assert "orthogonal fraction (per module)" in body(app)


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


async def test_the_map_of_many_says_what_it_leaves_out_without_cutting_a_word():
    app = app_with(20)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("m", "m")
        assert re.search(r"rows \d+–\d+, columns \d+–\d+ of 20", body(app).splitlines()[0])
        assert "all layers" in body(app).splitlines()[0]
        assert "…" not in body(app).splitlines()[0]


async def test_eleven_adapters_fit_80_columns_and_the_cursor_is_seen_without_colour():
    names = ("sft", "offline-grpo", *(f"run_{n}" for n in range(9)))
    app = InspectorApp(study=make_study(11, names=names))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("s", "right", "right", "down")
        lines = body(app).splitlines()
        assert "columns" not in lines[0]
        line = next(line for line in lines if line.startswith(" offline-grpo"))
        cells = line.removeprefix(" offline-grpo").replace("▸", " ▸").split()
        assert len(cells) == 11
        value = decimal(app.state.matrix("cosine")[1, 3])
        assert cells[3] in {f"▸{value}", f"[{value}]"}


async def test_the_map_stands_in_blocks_with_gaps_and_readable_names_above_its_columns():
    alike = np.full((6, 6), 0.1)
    for block in ((0, 2, 4), (1, 3, 5)):
        alike[np.ix_(block, block)] = 0.9
    np.fill_diagonal(alike, 1.0)
    study = make_study(6, layers=2, names=("sft-a", "dpo-a", "sft-b", "dpo-b", "sft-offline", "dpo-c"))
    blocks = {key: values.copy() for key, values in study.blocks.items()}
    blocks["cosine", "global"] = alike[:, :, None]
    app = InspectorApp(study=replace(study, blocks=blocks))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        lines = body(app).splitlines()
        rows = [
            line.split()[0] if line.strip() else "" for line in lines if not line or line.startswith((" sft", " dpo"))
        ]
        found = rows[: rows.index("") + 4]
        assert [name[:3] for name in found] in [[*["sft"] * 3, "", *["dpo"] * 3], [*["dpo"] * 3, "", *["sft"] * 3]]
        assert any("offline" in line for line in lines[1:4])
        await pilot.press("s")
        lines = [line.split()[0] for line in body(app).splitlines() if line.startswith((" sft", " dpo"))]
        assert tuple(lines[:6]) == study.names


async def test_from_110_columns_the_map_has_a_second_metric_beside_the_first():
    app = app_with()
    async with app.run_test(size=(120, 40)) as pilot:
        await visit(pilot, "map")
        assert "cosine" in body(app).splitlines()[0]
        assert "output direction" in body(app).splitlines()[0]
        line = next(line for line in body(app).splitlines() if line.startswith(" sft_s42 "))
        assert decimal(app.state.number("u1", (0, 1))) in line
        assert decimal(app.state.number("cosine", (0, 1))) in line
        await pilot.press("m")
        assert body(app).splitlines()[0].index("output direction") < body(app).splitlines()[0].index("cosine")


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


async def test_64_adapters_scroll_with_headers_kept():
    app = app_with(64, layers=4)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await strike(pilot, *["down"] * 63, *["right"] * 62)
        text = body(app)
        assert "of 64" in text
        assert " run_63 " in text
        assert "".join(line.split()[-1] for line in text.splitlines()[1:3]) == f"run_{app.state.order[app.state.col]}"
        await visit(pilot, "angles")
        assert "of 2016" in body(app)
        await visit(pilot, "adapters")
        assert "rows 5" in body(app)
        await visit(pilot, "layers")
        assert "of 2016" in body(app).splitlines()[0]


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


async def test_between_two_bases_no_number_is_shown_beside_the_verdict():
    study = make_study(3)
    bases = ("org/one", "org/one", "org/two")
    infos = tuple(replace(info, base=base) for info, base in zip(study.adapters, bases, strict=True))
    app = InspectorApp(study=replace(study, adapters=infos))
    async with app.run_test(size=(120, 40)) as pilot:
        for view, row, numbers in (("pair", 0, True), ("pair", 2, False), ("map", 2, False)):
            await visit(pilot, view)
            app.state.row, app.state.col = row, 1
            app.repaint()
            shown = body(app)
            assert ("Different bases (org/two and org/one)" in shown) is not numbers
            if view == "pair":
                assert len(re.findall(r"\d\.?\d*", shown.partition("counts.")[2])) == 0 or numbers
                assert ("per projection" in shown) is numbers
        await pilot.press("f")
        await app.workers.wait_for_complete()
        await pilot.pause()
        for metric in ("cosine", "u1", "subspace_overlap"):
            values = app.state.matrix(metric)
            assert np.isnan(values[:2, 2]).all()
            assert np.isfinite(values[:2, :2]).all()


async def test_the_cursor_of_the_map_is_on_the_pair_in_words():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("s")
        app.state.row = app.state.col = 2  # as a click on the diagonal
        for key in ("", *["left"] * 5, *["down"] * 5, *["right"] * 6, *["up"] * 5):
            if key:
                await pilot.press(key)
            app.repaint()
            await pilot.pause()
            row, col = app.state.pair
            (marked,) = (line for line in body(app).splitlines() if "[" in line)
            assert marked.split()[0] == NAMES[row]
            assert marked.split()[col + 1].startswith("[")
            assert f"{NAMES[row]}↔{NAMES[col]}" in body(app)
        assert app.state.row == 0
