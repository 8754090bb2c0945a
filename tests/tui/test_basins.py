"""Basins: curves, the base, three barriers with intervals and their places."""

import csv
import io
import math
import shlex
from dataclasses import replace

import numpy as np
import pytest

from inspector.tui.app import InspectorApp
from inspector.tui.probing.barriers import barrier, ends, joined
from inspector.tui.probing.views import nats
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, area, body, everything, strike, visit
from tests.tui.probed import probed_study, unknown, with_lmc

SIZES = ((80, 24), (140, 40))


def app_of(study) -> InspectorApp:
    return InspectorApp(study=study)


def named(n: int = 5):
    return make_study(n, names=NAMES if n == 5 else (), layers=4)


@pytest.mark.parametrize("size", SIZES)
async def test_barriers_of_the_plotted_pairs_their_intervals_and_places(size):
    app = app_of(with_lmc(named()))
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "basins")
        text = body(app)
        assert "4 of 10 pairs" in text
        assert "base org/base-135M · cpu float32 · arithmetic, 64 examples · loss: boxed" in text
        assert "╌ base 2.000" in text or size[0] == 140
        for pair in app.state.plotted:
            line = next(line for line in text.splitlines() if "↔".join(app.state.names[p] for p in pair) in line)
            for kind in ("mean", "chord", "strict"):
                assert nats(barrier(app.state, kind, pair).height) in line
        found = barrier(app.state, "mean", (0, 1))
        assert f"[{nats(found.low)}, {nats(found.high)}] α={found.at:g}" in text
        assert not [line for line in everything(app).splitlines() if line.endswith("…")]


@pytest.mark.parametrize("size", SIZES)
async def test_the_signed_difference_of_the_ends_stands_beside_the_heights(size):
    app = app_of(with_lmc(named()))
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "basins")
        for pair in ((0, 1), (0, 2)):
            found = ends(app.state, pair)
            line = next(line for line in body(app).splitlines() if "L(1) − L(0)" in line)
            assert f"{nats(found.height)}  [{nats(found.low)}, {nats(found.high)}]" in line
            losses = app.state.study.blocks["lmc_loss", "global"][pair][0]
            assert found.height == pytest.approx(losses[-1] - losses[0])
            assert "α=" not in line
            await pilot.press("down")
        rows = list(csv.DictReader(io.StringIO(app.view.table(app.state).csv())))
        assert float(rows[0]["lmc_ends_low"]) == ends(app.state, (0, 1)).low
    assert "a lower end above 0 is not a test" in app.view.about


async def test_a_few_prompts_carry_a_caution():
    study = with_lmc(named())
    few = replace(study, probes=tuple(replace(info, examples=19, note="a stand-in") for info in study.probes))
    for shown, words in ((study, ""), (few, "! fewer than 20 scatter more than adapters differ · ! a stand-in")):
        app = app_of(shown)
        async with app.run_test(size=(80, 24)) as pilot:
            await visit(pilot, "basins")
            text = " ".join(body(app).split())
            assert words in text
            assert ("scatter" in text) == bool(words)


async def test_the_cursor_goes_through_pairs_and_space_plots_them():
    app = app_of(with_lmc(named()))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        await pilot.press(*["down"] * 4)
        assert "rft_s42↔dft_s42" in body(app)
        assert "5 of 10 pairs" in body(app)
        found = barrier(app.state, "chord", (1, 2))
        assert found.interval in body(app)
        await pilot.press("space")
        assert "plotted" in area(app, "status").text
        await pilot.press("space", "up")
        assert "rft_s42↔dft_s42" not in body(app)


async def test_the_place_of_a_barrier_follows_the_first_adapter_of_the_pair():
    app = app_of(with_lmc(named()))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        one, other = barrier(app.state, "strict", (0, 1)), barrier(app.state, "strict", (1, 0))
        assert one.height == other.height
        assert one.at == pytest.approx(1 - other.at)


async def test_without_a_choice_the_measured_pairs_are_shown():
    app = app_of(with_lmc(named(), pairs=((2, 3), (1, 4))))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        assert {(2, 3), (1, 4)} <= set(app.state.plotted)
        assert "2 measured to the end" in body(app)


async def test_unmeasured_pairs_are_dots_and_counted():
    app = app_of(with_lmc(named(), pairs=((0, 1),)))
    async with app.run_test(size=(80, 24)) as pilot:
        app.state.chosen = frozenset((0, other) for other in range(1, 5))
        await visit(pilot, "basins")
        assert "4 of 10 pairs · 1 measured to the end" in body(app)
        line = next(line for line in body(app).splitlines() if "sft_s42↔dft_s42" in line)
        assert line.split()[-5:] == ["·"] * 5
        await pilot.press("Y")
        words = shlex.split(app.clipboard)
        assert words[words.index("--pair") + 1] == "sft_s42:rft_s42"
        assert words[words.index("--probe") + 1] == "lmc"
        assert words[words.index("--limit") + 1] == "64"


async def test_nothing_measured_says_what_would_stand_here_and_which_key():
    app = app_of(named())
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        assert "No loss between two adapters was measured yet." in body(app)
        assert "p runs the base model" in body(app)
        await pilot.press("m", "space", "n", "enter")
        assert app._exception is None


async def test_the_other_loss_when_it_was_measured():
    app = app_of(with_lmc(with_lmc(named()), suffix="_rollouts", seed=7))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        before = nats(barrier(app.state, "mean", (0, 1)).height)
        assert "on gold answers" in body(app)
        await pilot.press("m")
        assert "on rollouts" in body(app)
        assert nats(barrier(app.state, "mean", (0, 1)).height) != before
        await pilot.press("m")
        assert "on gold answers" in body(app)
    app = app_of(with_lmc(named(), suffix="_rollouts"))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        assert "on rollouts" in body(app)
        await pilot.press("m")
        assert "only one loss was measured" in area(app, "status").text


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("size", SIZES)
async def test_nan_everywhere_and_one_point_only(size, colour, monkeypatch):
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    study = unknown(with_lmc(named()))
    app = app_of(study)
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "basins")
        assert "nan" not in everything(app)
        assert "0 measured to the end" in body(app)
    loss = study.blocks["lmc_loss", "global"].copy()
    loss[0, 1, 0, 3] = 0.7
    app = app_of(replace(study, blocks={**study.blocks, ("lmc_loss", "global"): loss}))
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "basins")
        await pilot.press("y")
        assert "nan" not in everything(app)


async def test_64_adapters_are_windowed_and_counted():
    app = app_of(probed_study(64, layers=2))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        await strike(pilot, *["pagedown"] * 20)
        assert "of 2016 pairs" in body(app)
        assert "run_3↔run_18" in body(app)
        assert len(area(app, "body")._strips) == 20


async def test_every_measured_pair_is_exported_with_its_curve():
    app = app_of(with_lmc(named()))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        rows = list(csv.DictReader(io.StringIO(app.view.table(app.state).csv())))
        assert len(rows) == 10
        block = app.state.study.blocks["lmc_loss", "global"]
        assert float(rows[0]["loss_0.3"]) == block[0, 1, 0, 3]
        assert float(rows[0]["barrier_mean_at"]) == barrier(app.state, "mean", (0, 1)).at


async def test_zoom_leaves_the_far_base_to_its_number():
    app = app_of(with_lmc(named()))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        assert "╌ ╌ ╌" in body(app)
        await pilot.press("z")
        assert "╌ ╌ ╌" not in body(app)
        assert "╌ base 2.000" in body(app)


async def test_the_smallest_screen_keeps_barriers_and_intervals():
    app = app_of(with_lmc(named()))
    async with app.run_test(size=(60, 15)) as pilot:
        await visit(pilot, "basins")
        assert "sft_s42↔rft_s42" in body(app)
        assert barrier(app.state, "strict", (0, 1)).interval in body(app)
        assert "┤" not in body(app)


def test_points_of_several_grids_are_joined_but_nothing_is_invented_outside():
    nan = math.nan
    assert joined(np.array([nan, 1.0, nan, 3.0, nan])).tolist()[1:4] == [1.0, 2.0, 3.0]
    assert np.isnan(joined(np.array([nan, 1.0, nan, 3.0, nan]))[[0, 4]]).all()
    assert np.isnan(joined(np.array([nan, nan]))).all()
