"""The map: every pair's number, its names, blocks and cursor."""

import re
from dataclasses import replace

import numpy as np

from inspector.tui.app import InspectorApp
from inspector.tui.text import decimal
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, app_with, body, strike, visit


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


def families():
    """Three, two and two adapters of one direction each, in turns, and one alone."""
    study = make_study(n=8, layers=2)
    family = np.array([0, 1, 2, 0, 1, 2, 0, 3])
    blocks = {key: values.copy() for key, values in study.blocks.items()}
    for scope in ("module", "layer", "global"):
        cosine = blocks["cosine", scope]
        cosine[:] = np.where(family[:, None] == family, 0.9, 0.1 + 0.01 * np.arange(8))[:, :, None]
    return replace(study, blocks=blocks)


async def test_folded_groups_are_a_row_each_but_those_of_the_cursor():
    app = InspectorApp(study=families())
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        groups = app.view.blocks(app.state)
        assert sorted(map(len, groups)) == [1, 2, 2, 3]
        app.state.row, app.state.col = groups[0][:2]
        await pilot.press("z")
        lines = body(app).splitlines()
        assert "2 groups folded" in lines[0]
        named = [line.split()[0] for line in lines if re.match(r" run_\d ", line)]
        assert named == [f"run_{at}" for at in (*groups[0], groups[1][0], groups[2][0], groups[3][0])]
        folded = next(line for line in lines if line.startswith(f" run_{groups[1][0]} "))
        assert folded.split()[1] == "+1"
        assert folded.split()[2:][:2] == [decimal(app.state.matrix("cosine")[groups[1][0], at]) for at in groups[0][:2]]
        await pilot.press("down", "down")  # over the column's own row, and out of the group
        assert app.state.row == groups[1][0]
        assert "1 group folded" in body(app).splitlines()[0], "that of the row and that of the column are unfolded"
        assert any(line.startswith(f" run_{groups[1][1]} ") for line in body(app).splitlines())
        await pilot.press("z")
        assert "folded" not in body(app)
