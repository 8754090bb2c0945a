"""The sum of several: its numbers, the keys that weigh, and the thread that finds its rank."""

import csv
import re
import shlex
import threading
from dataclasses import replace

import numpy as np
import pytest

from inspector.analysis.analyse import analyse
from inspector.merging.preview import refused
from inspector.study.study import Settings
from inspector.tui.app import InspectorApp
from inspector.tui.help import help_text
from inspector.tui.text import decimal
from inspector.tui.views.merge import actions
from inspector.tui.views.merge.actions import Added
from inspector.tui.views.merge.sums import percent, significant
from tests.memory import adapter as in_memory
from tests.memory import random_adapter
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, SIZES, app_with, area, body, everything, settle, visit


@pytest.fixture
def adapters():
    return [random_adapter(name, seed) for seed, name in enumerate(("one", "two", "three"))]


def app_on(adapters) -> InspectorApp:
    """The app on measured adapters whose weights can be read."""
    app = InspectorApp(study=analyse(adapters, Settings()))
    app.loaded = {adapter.info.name: adapter for adapter in adapters}
    return app


def dense(adapters, weights, keep=lambda _module: True):
    """{module: Σ w·ΔW}, and the energy of the parts."""
    total, energy = {}, 0.0
    for made, w in zip(adapters, weights, strict=True):
        for module in filter(keep, made.modules):
            B, A = made.load(module)
            delta = w * 2.0 * (B @ A).numpy()
            total[module] = total.get(module, 0) + delta
            energy += (delta**2).sum()
    return total, energy


async def test_norm_ratio_cosines_and_rank_are_those_of_the_dense_sum(adapters):
    app = app_on(adapters)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await pilot.press("+", "+", "down", *["-"] * 13, "down", "space")
        await settle(pilot, lambda: "kept at rank" in body(app))
        weights = (1.2, -0.3, 0.0)
        total, energy = dense(adapters, weights)
        norm = np.sqrt(sum((W**2).sum() for W in total.values()))
        sigma = np.array([np.pad(np.linalg.svd(W, compute_uv=False), (0, 24))[:16] for W in total.values()])
        text = body(app)
        assert "Σ w·ΔW of 2 adapters" in text
        assert f"norm {significant(norm)}" in text
        assert f"energy ratio {norm**2 / energy:.2f}" in text
        assert f"rank {(sigma > 1e-9).sum(1).mean():.1f}" in text
        assert f"rank 4 {percent((sigma[:, :4] ** 2).sum() / (sigma**2).sum())}" in text
        for made, w in zip(adapters, weights, strict=True):
            own, _ = dense([made], [1.0])
            inner = sum((total[m] * own[m]).sum() for m in total)
            cosine = inner / norm / np.sqrt(sum((W**2).sum() for W in own.values()))
            line = next(line for line in text.splitlines() if made.info.name in line).replace("▸", " ").split()
            assert line[1] == f"{w:g}".replace("-", "−")
            assert line[3] == decimal(cosine)
        await pilot.press("r", "r")
        assert f"rank 2 {percent((sigma[:, :2] ** 2).sum() / (sigma**2).sum())}" in body(app)


async def test_layer_filter_and_metric_restrict_what_is_summed(adapters):
    app = app_on(adapters)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await pilot.press("f", "]")
        await app.workers.wait_for_complete()
        total, energy = dense(adapters, (1, 1, 1), lambda m: m.layer == 1 and m.projection == "q_proj")
        norm = np.sqrt(sum((W**2).sum() for W in total.values()))
        assert f"norm {significant(norm)}   energy ratio {norm**2 / energy:.2f}" in body(app)
        assert f"energy ratio of the sum per layer · {norm**2 / energy:.2f} at layer 1" in body(app)
        await pilot.press("m")
        assert "interference per layer" in body(app)
        await pilot.press("m")
        await settle(pilot, lambda: "% at layer 1" in body(app))
        assert "energy kept at rank 4 per layer" in body(app)


async def test_a_late_result_for_other_weights_is_dropped(adapters, monkeypatch):
    asked, release = [], threading.Event()

    def held(_adapters, preview, serial, post, cancelled):
        asked.append((serial, preview.weights, cancelled))
        release.wait(5)
        post(Added(serial, np.ones((len(preview.study.modules), 12))))

    monkeypatch.setattr(actions, "add_up", held)
    app = app_on(adapters)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "merge")
        await settle(pilot, lambda: len(asked) == 1)
        await visit(pilot, "sum")
        await settle(pilot, lambda: len(asked) == 2)
        await pilot.press("-")
        await settle(pilot, lambda: len(asked) == 3)
        assert [weights for _, weights, _ in asked] == [(0.5, 0.5, 0.0), (1.0, 1.0, 1.0), (0.9, 1.0, 1.0)]
        assert [cancelled() for *_, cancelled in asked] == [True, True, False]
        app.post_message(Added(asked[0][0], np.zeros((6, 1)), "late"))
        await pilot.pause()
        assert "0 of 6 modules added" in body(app)
        release.set()
        await settle(pilot, lambda: "rank 12.0" in body(app))
        assert app.log_lines == []
        await visit(pilot, "merge")
        await settle(pilot, lambda: len(asked) == 4)
        await settle(pilot, lambda: "rank 12.0" in body(app))
        await visit(pilot, "adapters")
        await visit(pilot, "sum")
        await pilot.press("R")
        assert "rank 12.0" in body(app)
        assert len(asked) == 4  # what is known is not asked again


async def test_a_sum_that_fails_is_said(adapters, monkeypatch):
    def broken(_module):
        raise RuntimeError("the file is gone")

    app = app_on(adapters)
    app.loaded["two"] = replace(adapters[1], load=broken)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await settle(pilot, lambda: app.log_lines)
        assert set(app.log_lines) == {("The sum could not be measured: RuntimeError: the file is gone", "bad")}
        assert "energy ratio" in body(app)
        assert "they need the adapters' weights" in body(app)


async def test_a_saved_study_has_all_but_the_rank(tmp_path):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        assert "they need the adapters' weights" in body(app)
        norms, cosines = app.state.study.blocks["norm", "module"], app.state.study.blocks["cosine", "module"]
        inner = cosines * norms[:, None] * norms[None, :]
        norm = float(np.sqrt(inner.sum()))
        assert f"norm {significant(norm)}   energy ratio {norm**2 / (norms**2).sum():.2f}" in body(app)
        await pilot.press("e")
        await pilot.press("enter")
        await pilot.pause()
    rows = list(csv.DictReader((tmp_path / "sum.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["what"] for row in rows[:7]] == ["sum", *NAMES, "layer 0"]
    assert float(rows[0]["norm"]) == pytest.approx(norm)
    at = norms[:, :4], inner[..., :4]
    assert float(rows[6]["energy_ratio"]) == pytest.approx(at[1].sum() / (at[0] ** 2).sum())


async def test_a_weight_is_typed_and_what_is_none_is_said():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await pilot.press("down", "enter", *"-0.25", "enter")
        await pilot.pause()
        assert app.state.mixture.weight(1) == -0.25
        for wrong in "x", "nan", "1e9":
            await pilot.press("enter", "ctrl+a", "ctrl+k", *wrong, "enter")
            await pilot.pause()
            assert f"{wrong} is not a weight" in app.note[0]
        assert app.state.mixture.weight(1) == -0.25
        await pilot.press("space", "down", "space")
        assert shlex.join(app.view.shell_command(app.state)) == (
            "inspector merge-preview sft_s42=/data/adapters/sft_s42:1 dpo_s42=/data/adapters/dpo_s42:1 "
            "sft_s123=/data/adapters/sft_s123:1"
        )
        await pilot.press("up", "space", "R")
        assert "rft_s42=/data/adapters/rft_s42:-0.25" in shlex.join(app.view.shell_command(app.state))
        assert shlex.join(app.view.shell_command(app.state)).endswith("--rank 9")


async def test_weights_stay_with_their_adapters():
    """Reordered, renamed, removed, undone: a weight belongs to an adapter, and who is removed is not added."""
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await pilot.press("down", "-", "-")
        await visit(pilot, "map")
        await pilot.press(">")
        await visit(pilot, "adapters")
        await pilot.press("r", *"x", "enter")
        ids = zip(app.state.names, app.state.order, strict=True)
        weights = {name: app.state.mixture.weight(at) for name, at in ids}
        assert weights == {"sft_s42": 1, "dft_s42": 1, "rft_s42x": 0.8, "dpo_s42": 1, "sft_s123": 1}
        await pilot.press("up", "up", "x")
        await visit(pilot, "sum")
        assert "Σ w·ΔW of 4 adapters" in body(app)
        study = app.state.study.subset((2, 1))
        app.state.replace_study(study)
        assert app.state.mixture.weight(1) == 0.8
        assert app.state.mixture.weight(0) == 1


async def test_weights_are_undone_one_by_one_among_the_other_changes():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await pilot.press("-", "down", "space")
        await visit(pilot, "adapters")
        await pilot.press("x")
        await visit(pilot, "sum")
        await pilot.press("enter", *"-0.5", "enter")
        assert [app.state.mixture.weight(at) for at in range(5)] == [0.9, 0, -0.5, 1, 1]
        await pilot.press("u")
        assert "undone: the weight of dft_s42, 1 again" in area(app, "status").text
        assert app.state.mixture.weight(2) == 1
        await pilot.press("u")
        assert "undone: the removal of rft_s42" in area(app, "status").text
        await pilot.press("u")
        assert app.state.mixture.weight(1) == 1
        assert "Σ w·ΔW of 5 adapters" in body(app)
        await pilot.press("down", "space", "u", "space", "u", "u")
        assert "undone: the weight of sft_s42, 1 again" in area(app, "status").text
        assert [app.state.mixture.weight(at) for at in range(5)] == [1] * 5
        await pilot.press("u")
        assert "nothing to undo" in area(app, "status").text


async def test_modules_of_other_shapes_are_in_no_number_and_named():
    import torch

    from inspector.study.module_id import ModuleId

    same, other = ModuleId(0, "q_proj"), ModuleId(1, "q_proj")
    made = [
        in_memory("a", {same: (torch.ones(4, 1), torch.ones(1, 3)), other: (torch.ones(4, 1), torch.ones(1, 3))}),
        in_memory("b", {same: (torch.ones(4, 1), torch.ones(1, 3)), other: (torch.ones(5, 1), torch.ones(1, 3))}),
    ]
    app = app_on(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await settle(pilot, lambda: "kept at rank" in body(app))
        assert "! 1 module cannot be added, such as 1.q_proj: 4×3 in a, 5×3 in b" in body(app)
        assert f"norm {significant(4 * 12**0.5)}   energy ratio 2.00" in body(app)


def test_shapes_are_told_by_how_many_have_them():
    study = make_study(6, layers=1)
    study.shapes[0, 0], study.shapes[3:5, 0] = (64, 32), (2048, 2048)
    ((module, reason),) = refused(study, (1.0,) * 6)
    assert (str(module), reason) == (
        "0.self_attn.q_proj",
        "576×576 in 3 adapters, 2048×2048 in 2 (run_3, …), 64×32 in run_0",
    )


async def test_what_was_not_measured_is_not_called_infinite_and_other_bases_are_named():
    study = make_study(3, layers=1)
    study.shapes[1, 0] = 0
    bad = study.modules[0], study.modules[1]
    one, two, three = study.adapters
    two, three = replace(two, excluded=bad[:1]), replace(three, excluded=bad[1:], base="org/other")
    study = replace(study, adapters=(one, two, three))
    assert refused(study, (1, 1, 1)) == [(bad[0], "not measured in run_1"), (bad[1], "not finite in run_2")]
    app = InspectorApp(study=study)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        assert "! run_0 names the base org/base-135M, run_2 names org/other, and their sum fits neither" in " ".join(
            body(app).split()
        )
        assert "energy ratio" not in body(app)
        await pilot.press("down", "down", "space")
        assert "fits neither" not in body(app)
        assert "1 module cannot be added, such as 0.self_attn.q_proj: not measured in run_1" in " ".join(
            body(app).split()
        )
        assert "energy ratio" in body(app)


async def test_an_unfinished_study_is_called_that():
    study = make_study(2, layers=2)
    study.blocks["norm", "module"][1, 3] = np.nan
    app = InspectorApp(study=study)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        assert "Not all is measured yet." in body(app)
        assert "energy ratio" in body(app)
        app.state.replace_study(replace(study, blocks={}))
        app.repaint()
        assert "Not all is measured yet." in body(app)
        done = tuple(replace(info, digest="0" * 64) for info in study.adapters)
        app.state.replace_study(replace(study, blocks={}, adapters=done))
        app.repaint()
        assert "The norms and cosines of modules are not measured." in body(app)


@pytest.mark.parametrize("size", SIZES)
async def test_the_view_fills_its_area_and_cuts_nothing_off(size):
    app = app_with()
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "sum")
        await pilot.press("end")
        for name in ("tabs", "body"):
            painted = area(app, name)
            assert len(painted._strips) == painted.size.height
            assert {strip.cell_length for strip in painted._strips} == {size[0]}
        assert re.search(r"\[5 Merge?\]", area(app, "tabs").text)
        assert not [line for line in everything(app).splitlines() if line.endswith("…")]
        assert "over the scope's modules" in help_text(app.view, app.everywhere, app.state, app.ink, 300).plain


async def test_64_adapters_scroll_and_none_is_fine():
    app = InspectorApp(study=make_study(64, layers=2))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await pilot.press(*["pagedown"] * 7)
        assert "/64 " in body(app)
        assert "▸ run_63" in body(app)
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await pilot.press("+", "-", "space", "enter", "R", "r", "m", "y")
        assert "No adapter is open." in body(app)


async def test_a_small_screen_lists_adapters_and_has_no_empty_lines():
    app = app_with(8)
    async with app.run_test(size=(60, 15)) as pilot:
        await visit(pilot, "sum")
        lines = body(app).splitlines()
        assert sum(line.lstrip("▸ ").startswith("run_") for line in lines) >= 6
        assert all(line.strip() for line in lines)


async def test_the_footer_names_the_keys_of_the_rank():
    app = app_with(8)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        assert "r/R rank" in area(app, "keys").text
