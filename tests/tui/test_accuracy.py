"""Accuracy: bars with intervals, the base, discordant counts and corrected p."""

import csv
import io
import re

import numpy as np
import pytest

from inspector.tui.app import InspectorApp
from inspector.tui.probing.views import p_value
from inspector.tui.text import decimal
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, area, body, everything, strike, visit
from tests.tui.probed import probed_study, unknown, with_accuracy, with_cka, with_weights

SIZES = ((80, 24), (140, 40))


def app_with(n: int = 5, names=NAMES) -> InspectorApp:
    return InspectorApp(study=with_accuracy(make_study(n, names=names if n == 5 else (), layers=3)))


@pytest.mark.parametrize("size", SIZES)
async def test_bars_intervals_base_and_matrix(size):
    app = app_with()
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "accuracy")
        text, blocks = body(app), app.state.study.blocks
        assert "0.40 [0.30, 0.50]" in next(line for line in text.splitlines() if line.startswith("  base"))
        for i, name in enumerate(NAMES):
            line = next(line for line in text.splitlines() if line[2:].startswith(name))
            share, low, high = (blocks[f"accuracy{part}", "global"][i, 0] for part in ("", "_low", "_high"))
            assert f"{decimal(share)} [{decimal(low)}, {decimal(high)}]" in line
            p = blocks["mcnemar_base_p_holm", "global"][i, 0]
            assert f"p {p_value(p)}" in line
            assert line.rstrip().endswith("*") == (p < 0.05)
            assert "┊" in line
        wins = blocks["mcnemar_wins", "global"]
        row = next(line for line in text.splitlines() if " 2 rft_s42" in line)
        assert f"{wins[1, 2, 0]:.0f}:{wins[2, 1, 0]:.0f}" in row
        assert p_value(blocks["mcnemar_p_holm", "global"][1, 0, 0]) in row
        assert "greedy, 256 new" in text
        assert not [line for line in everything(app).splitlines() if line.endswith("…")]


async def test_how_many_are_answered_stands_there_while_answers_come_in():
    study = make_study(3, names=NAMES[:3], layers=3)
    app = InspectorApp(study=study)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "accuracy")
        for answered, missing in (((16, *[np.nan] * 3), ["16 of 64"]), ((64, 64, 37, 5), ["37 of 64", "5 of 64"])):
            app.take(with_accuracy(study, answered=answered))
            app.repaint()
            lines = [line for line in body(app).splitlines() if " of 64" in line]
            assert [line[-8:].strip() for line in map(str.rstrip, lines)] == missing
            assert all(re.search(r"0\.\d\d \[0\.\d\d, (0|1)\.\d\d\]", line) for line in lines)
            assert not any(" p " in line for line in lines)
        assert "so far" in body(app)
        app.take(with_accuracy(study))
        app.repaint()
        assert " of 64" not in body(app)
        assert "so far" not in body(app)
        assert body(app).count(" p ") >= 3


async def test_the_cursor_moves_in_the_matrix_and_is_put_into_words():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "accuracy")
        await pilot.press("down", "right", "right")
        wins = app.state.study.blocks["mcnemar_wins", "global"]
        assert (app.state.row, app.state.col) == (1, 3)
        text = " ".join(body(app).split())
        assert f"rft_s42 ↔ dpo_s42: {wins[1, 3, 0]:.0f} solved by rft_s42 only, {wins[3, 1, 0]:.0f} by dpo_s42" in text
        assert f"[{wins[1, 3, 0]:.0f}:{wins[3, 1, 0]:.0f}" in body(app).replace("[ ", "[").replace("[ ", "[")
        await pilot.press("enter")
        assert app.state.view == "pair"


async def test_nothing_measured_and_one_adapter():
    app = InspectorApp(study=make_study(2, layers=3))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "accuracy")
        assert "No problems were solved yet." in body(app)
        assert "p runs the base model" in body(app)
    app = app_with(1)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "accuracy")
        assert "run_0" in body(app)
        assert "McNemar" not in body(app)


@pytest.mark.parametrize("size", SIZES)
async def test_nan_everywhere_without_colour(size, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = InspectorApp(study=unknown(with_accuracy(make_study(4, layers=3))))
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "accuracy")
        await pilot.press("down", "right", "y")
        assert "nan" not in everything(app)
        assert "not compared on the same problems" in body(app)


async def test_64_adapters_are_windowed_and_counted():
    app = InspectorApp(study=probed_study(64, layers=2))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "accuracy")
        await strike(pilot, *["down"] * 40, *["right"] * 50)
        assert "of 64" in body(app)
        assert "columns" in body(app)
        assert "41 run_40" in body(app)
        assert "[" in next(line for line in body(app).splitlines() if "41 run_40" in line)


async def test_bars_and_tests_are_exported():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "accuracy")
        rows = list(csv.DictReader(io.StringIO(app.view.table(app.state).csv())))
    assert len(rows) == 1 + 5 + 10
    assert rows[0]["a"] == "base"
    assert float(rows[6]["a only"]) == app.state.study.blocks["mcnemar_wins", "global"][0, 1, 0]


async def test_what_the_base_adds_to_size_adapters_and_layers():
    app = InspectorApp(study=with_weights(with_cka(make_study(5, names=NAMES, layers=3))))
    async with app.run_test(size=(80, 24)) as pilot:
        relative = app.state.own("norm_relative", 0)
        for view in ("adapters", "size"):
            await visit(pilot, view)
            text = " ".join(body(app).split())
            assert f"‖ΔW‖/‖W₀‖ {relative:.2g}" in text
            assert f"intruders {app.state.own('intruder_dimensions', 0):.2f} of 10" in text
            assert "lens depth" in text
            assert "(base 24.5)" in text
        await visit(pilot, "layers")
        seen = set()
        for _ in range(20):
            await pilot.press("m")
            seen.add(app.state.layers_metric)
            assert not area(app, "body").text.splitlines()[0].endswith("…")
        assert {"norm_relative", "intruder_dimensions", "intruder_dimensions_subspace"} <= seen


def test_p_values_are_short():
    assert [p_value(p) for p in (1.0, 0.42, 0.034, 0.0004, float("nan"))] == ["1", "0.42", "0.034", "4e-04", "·"]
