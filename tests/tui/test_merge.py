"""The pair under the cursor, added: its verdict, the numbers of the sum, the keys, and what has no sum."""

import csv
import shlex
from dataclasses import replace

import numpy as np
import pytest

from inspector.analysis.analyse import analyse
from inspector.insights.verdict import verdict
from inspector.study.study import Settings
from inspector.tui.app import InspectorApp
from inspector.tui.subjects import pair_label
from inspector.tui.views.merge.sums import percent, significant
from tests.memory import random_adapter
from tests.tui.factory import make_study
from tests.tui.helpers import SIZES, app_with, area, body, settle, visit
from tests.tui.probed import probed_study
from tests.tui.test_sum import app_on, dense


@pytest.fixture
def adapters():
    return [random_adapter(name, seed) for seed, name in enumerate(("one", "two", "three"))]


def words(app) -> str:
    return " ".join(body(app).split())


async def test_the_pair_under_the_cursor_is_averaged_and_its_verdict_comes_first(adapters):
    app = app_on(adapters)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "merge")
        await settle(pilot, lambda: "kept at rank" in body(app))
        said = verdict(app.state.study, 0, 1).headline
        assert said in words(app)
        assert words(app).index(said) < words(app).index("if merged 0.5 : 0.5")
        total, energy = dense(adapters[:2], (0.5, 0.5))
        norm = np.sqrt(sum((W**2).sum() for W in total.values()))
        sigma = np.array([np.pad(np.linalg.svd(W, compute_uv=False), (0, 24))[:16] for W in total.values()])
        cosines = []
        for made in adapters[:2]:
            own, _ = dense([made], [1.0])
            inner = sum((total[m] * own[m]).sum() for m in total)
            cosines.append(inner / norm / np.sqrt(sum((W**2).sum() for W in own.values())))
        halves = [dense([made], [0.5])[0] for made in adapters[:2]]
        lost = sum(max(0, -2 * (halves[0][m] * halves[1][m]).sum()) for m in total) / energy
        line = (
            f"norm {significant(norm)} · cosine to each {cosines[0]:.2f} {cosines[1]:.2f} · cancelled {percent(lost)}"
        )
        assert line in body(app)
        assert f"kept at rank 4 {percent((sigma[:, :4] ** 2).sum() / (sigma**2).sum())}" in body(app)


async def test_keys_change_share_rank_pair_and_place(adapters):
    app = app_on(adapters)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "merge")
        await pilot.press("+", "+", "R", "n")
        assert pair_label(app.state, (0, 2)) in body(app)
        assert "if merged 0.7 : 0.3" in body(app)
        await settle(pilot, lambda: "kept at rank 5" in body(app))
        assert shlex.join(app.view.shell_command(app.state)) == (
            "inspector merge-preview one=memory:one:0.7 three=memory:three:0.3 --rank 5"
        )
        await pilot.press(*"-" * 9)
        assert "if merged 0 : 1" in body(app)
        assert shlex.join(app.view.shell_command(app.state)).startswith("inspector merge-preview three=memory:three:1")
        await pilot.press("f", "]")
        assert "layer 1 · q_proj only · 1 module" in body(app)


async def test_enter_lists_the_modules_and_back(adapters, tmp_path):
    app = app_on(adapters)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "merge")
        await settle(pilot, lambda: "kept at rank" in body(app))
        assert "writes to" in body(app)
        await pilot.press("enter")
        assert "writes to" not in body(app)
        total, _ = dense(adapters[:2], (0.5, 0.5))
        for module, W in total.items():
            line = next(line for line in body(app).splitlines() if str(module) in line).split()
            assert line[4] == significant(float(np.linalg.norm(W)))
        assert "…" not in body(app)
        await pilot.press("enter", "e", "enter")
        await pilot.pause()
        assert "writes to" in body(app)
    rows = list(csv.DictReader((tmp_path / "merge.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["what"] for row in rows] == ["sum", "one", "two", "layer 0", "layer 1", "layer 2"]
    assert [row["weight"] for row in rows[1:3]] == ["0.5", "0.5"]


async def test_what_was_measured_on_the_base_comes_first():
    app = InspectorApp(study=probed_study(3))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "merge")
        assert "↓" not in body(app)
        said = verdict(app.state.study, 0, 1).headline
        assert said.startswith("Accuracy d")
        assert " In weights: " in said
        assert said in words(app)
        assert words(app).index("loss ") < words(app).index("direction cosine")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"base": "org/other"},
            "run_0 names the base org/base-135M, run_1 names org/other, and their sum fits neither.",
        ),
        ({"scale": "unknown"}, "The scale of run_1 is unknown, and so is what it adds: --alpha gives it."),
        ({"format": "PEFT aLoRA"}, "run_1 is an activated LoRA: ΔW holds from its invocation tokens on alone"),
    ],
)
async def test_what_has_no_sum_has_no_numbers(changes, said):
    study = make_study(3, layers=2)
    infos = (study.adapters[0], replace(study.adapters[1], **changes), study.adapters[2])
    app = InspectorApp(study=replace(study, adapters=infos))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "merge")
        assert said in words(app)
        assert "cosine to each" not in body(app)
        await pilot.press("n")
        assert "cosine to each" in body(app)


async def test_an_unfinished_study_is_called_that():
    study = analyse([random_adapter("a", 1), random_adapter("b", 2)], Settings())
    study.blocks["norm", "module"][1, 3] = np.nan
    app = InspectorApp(study=study)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "merge")
        assert "so far (5 of 6 modules)" in words(app)
        app.state.replace_study(replace(study, blocks={}))
        app.repaint()
        assert "cosine to each" not in body(app)


@pytest.mark.parametrize("size", SIZES)
async def test_the_view_fills_its_area(size):
    app = app_with()
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "merge")
        for keys in ((), ("enter", "end")):
            await pilot.press(*keys)
            painted = area(app, "body")
            assert len(painted._strips) == painted.size.height
            assert {strip.cell_length for strip in painted._strips} == {size[0]}


async def test_one_adapter_has_nothing_to_be_merged_with():
    app = app_with(1)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "merge")
        await pilot.press("+", "-", "enter", "r", "R", "n", "Y")
        assert "this view compares two" in body(app)
