"""The findings and what is behind them; seeds, rates, lineage."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from inspector.claims.bundled import claim_set
from inspector.insights import findings
from inspector.study.aggregate import aggregate
from inspector.study.provenance import Origin
from inspector.tui.app import InspectorApp
from inspector.tui.go_to import jump, view_of
from inspector.tui.state import AppState
from inspector.tui.view_list import VIEWS as EVERY_VIEW
from inspector.tui.views.basins import BasinsView
from inspector.tui.views.claims.state import Judged
from inspector.tui.views.layers.view import LayersView
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, VIEWS, body, settle, visit

ORIGINS = (
    Origin("sft", 2e-4, 42, 42, "f"), Origin("rft", 2e-4, 42, 42, "f"), Origin("dft", 2e-4, 42, 42, "f"),
    Origin("dpo", 2e-4, 42, 42, "f"), Origin("sft", 2e-4, 123, 123, "g"),
)  # fmt: skip


def made(*, measured=True):
    study = make_study(5, names=NAMES)
    infos = [replace(i, origin=o, digest="d" if measured else "") for i, o in zip(study.adapters, ORIGINS, strict=True)]
    rows = np.full((5, 5, len(study.modules)), 0.97)
    rows[4, :4] = rows[:4, 4] = 0.03
    blocks = {key: values for key, values in study.blocks.items() if key[1] == "module"}
    blocks["row_space_overlap", "module"] = rows
    blocks["row_space_overlap_chance", "module"] = np.full(len(study.modules), 0.014)
    blocks["norm", "module"][3] = 0.01
    if not measured:
        blocks["norm", "module"][:, 28:] = np.nan
    return aggregate(replace(study, adapters=tuple(infos), blocks=blocks))


async def test_enter_opens_the_view_behind_a_finding():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "summary")
        await settle(pilot, lambda: app.views["summary"].answer.newest(app.state))
        found = app.views["summary"].findings(app.state)
        assert f"{len(found)} findings" in body(app)
        at = next(n for n, one in enumerate(found) if "dpo_s42 moved" in one.text)
        for _ in range(at):
            await pilot.press("down")
        assert "norm ‖ΔW‖  dpo_s42:" in body(app)
        await pilot.press("enter")
        assert app.state.view == "size"
        assert app.state.names[app.state.row] == "dpo_s42"


async def test_the_view_behind_a_finding_is_not_narrowed_to_a_projection():
    """Findings are of all projections: another number would stand there under the filter."""
    app = InspectorApp(study=made())
    async with app.run_test(size=(120, 40)) as pilot:
        await visit(pilot, "map")
        await pilot.press("f")
        await visit(pilot, "summary")
        await app.workers.wait_for_complete()
        assert app.state.filter == "q_proj"
        await settle(pilot, lambda: app.views["summary"].findings(app.state))
        app.views["summary"].row = next(
            n for n, one in enumerate(app.views["summary"].findings(app.state)) if one.numbers
        )
        await pilot.press("enter")
        assert app.state.view != "summary"
        assert app.state.filter == ""
        assert app.state.shown is app.state.study


async def test_what_all_names_share_is_left_out_of_findings_and_their_numbers():
    names = tuple(f"run1-qwen3-4b-lora-r32-math-{name}" for name in "abcde")
    study = made()
    infos = [replace(info, name=name) for info, name in zip(study.adapters, names, strict=True)]
    app = InspectorApp(study=replace(study, adapters=tuple(infos)))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "summary")
        await settle(pilot, lambda: "findings" in body(app))
        assert body(app).count("run1-qwen3") == 1
        numbers = [line for line in body(app).splitlines() if "↔" in line]
        assert numbers
        assert len(set(numbers)) == len(numbers)
        first = app.views["summary"].findings(app.state)[0].numbers[0]
        assert first.a in names
        await pilot.press("enter")
        assert app.state.view != "summary"


async def test_the_order_shown_is_the_order_told():
    app = InspectorApp(study=made())
    async with app.run_test(size=(120, 40)) as pilot:
        await visit(pilot, "summary")
        await settle(pilot, lambda: "rft_s42" in body(app))
        await visit(pilot, "adapters")
        await pilot.press("down", "x")
        await visit(pilot, "summary")
        assert "rft_s42" not in body(app)
        await settle(pilot, lambda: app.views["summary"].answer.newest(app.state))
        assert "findings" in body(app)
        assert "rft_s42" not in body(app)


async def test_the_findings_are_told_in_a_thread_once_and_of_the_newest_numbers(monkeypatch):
    real, asked, go = findings.findings_of, [], threading.Event()

    def told(study):
        asked.append((threading.get_ident(), study))
        assert go.wait(30)
        return real(study)

    monkeypatch.setattr(findings, "findings_of", told)
    first, second = made(), made()
    app = InspectorApp(study=first)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "summary")
        await settle(pilot, lambda: asked)
        assert "Reading the numbers …" in body(app)
        await pilot.press("down", "enter", "y")  # keys are free, and there is nothing yet to go to
        assert app.state.view == "summary"
        app.state.replace_study(second)
        app.repaint()
        go.set()
        await settle(pilot, lambda: app.views["summary"].answer.newest(app.state))
        await pilot.press("down", "up")
        assert [id(study) for _, study in asked] == [id(first), id(second)]
        assert threading.get_ident() not in {thread for thread, _ in asked}
        assert "findings" in body(app)


async def test_a_rule_that_stumbles_is_told(monkeypatch):
    def broken(_study):
        raise ZeroDivisionError("in a rule")

    monkeypatch.setattr(findings, "findings_of", broken)
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "summary")
        await settle(pilot, lambda: app.views["summary"].answer.newest(app.state))
        assert ("The findings could not be worked out: ZeroDivisionError: in a rule", "bad") in app.log_lines
        assert "No rule finds" in body(app)


async def test_nothing_is_told_of_a_study_that_is_not_complete():
    app = InspectorApp(study=made(measured=False))
    async with app.run_test(size=(80, 24)) as pilot:
        waits = "Only 28 of 120 modules are measured: this view waits for all of them."
        for view in ("sensitivity", "summary"):
            await visit(pilot, view)
            assert waits in body(app)
        await pilot.press("enter", "down", "up")
        app.state.judged = Judged("demo", claim_set("demo"))
        await visit(pilot, "claims")
        assert waits in body(app)
        await pilot.press("enter")
        assert "once all is measured" in app.note[0]


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (200, 50)])
async def test_every_finding_can_be_reached(size):
    app = InspectorApp(study=made())
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "summary")
        await settle(pilot, lambda: app.views["summary"].answer.newest(app.state))
        for found in app.views["summary"].findings(app.state):
            assert found.text.split()[0] in next(line for line in body(app).splitlines() if line.startswith("▸"))
            await pilot.press("down")


async def test_sensitivity_shows_seeds_groups_and_lineage():
    app = InspectorApp(study=made())
    async with app.run_test(size=(100, 45)) as pilot:
        await visit(pilot, "sensitivity")
        shown = body(app)
        assert "by method" in shown
        pair = next(line for line in shown.splitlines() if "sft_s42 → sft_s123" in line or "sft_s123 → sft_s42" in line)
        assert "seed" in pair
        assert "other" in pair
        assert "1  sft_s42, rft_s42, dft_s42, dpo_s42: share a start or a run" in shown
        assert "2  sft_s123: alone" in shown
        assert "all modules" not in shown
        await visit(pilot, "map")
        await pilot.press("f")
        await visit(pilot, "sensitivity")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.state.filter
        assert "by method · all modules, whatever is filtered" in body(app)
        await visit(pilot, "summary")
        assert "of all modules, whatever is filtered" in body(app)
        await visit(pilot, "sensitivity")
        await pilot.press("m")
        assert "by seed" in body(app)
        assert "seed 123" in body(app)


async def test_every_pair_is_exported():
    app = InspectorApp(study=made())
    async with app.run_test():
        table = app.views["sensitivity"].table(app.state)
        assert len(table.rows) == 10
        told = {row[:2]: row for row in table.rows}
        seed = told.get(("sft_s42", "sft_s123")) or told["sft_s123", "sft_s42"]
        assert seed[2:4] == ("seed", "different")
        assert seed[-1] == "different"


async def test_every_finding_is_exported():
    app = InspectorApp(study=made())
    async with app.run_test() as pilot:
        await visit(pilot, "summary")
        await settle(pilot, lambda: app.views["summary"].answer.newest(app.state))
        assert len(app.views["summary"].table(app.state).rows) >= len(app.views["summary"].findings(app.state)) > 3


@pytest.mark.parametrize(
    ("metric", "layer", "view"),
    [
        ("cosine", None, "map"), ("cosine", 3, "layers"), ("principal_angle", None, "angles"), ("norm", None, "size"),
        ("effective_rank", None, "size"), ("barrier_mean", None, "basins"), ("cka_debiased", 4, "cka"),
        ("accuracy", None, "accuracy"), ("mcnemar_p_holm", None, "accuracy"),
        ("row_space_overlap", None, "sensitivity"),
        ("energy_ratio", None, "pair"),
    ],
)  # fmt: skip
def test_where_a_number_is_seen(metric, layer, view):
    state = AppState.of(made())
    views = [view() for view in EVERY_VIEW]
    seen = jump(views, state, metric, "rft_s42", "dpo_s42", layer)
    assert seen == view == view_of(views, metric, layer=layer is not None)
    assert view in VIEWS
    assert (state.row, state.col) == (1, 3)
    assert (1, 3) in state.plotted
    assert state.one_layer == (layer is not None)


def test_a_probe_of_few_pairs_is_drawn_for_those_first():
    study = make_study(5, names=NAMES)
    curves = np.full((5, 5, 1, 2), np.nan)
    curves[1, 3], curves[3, 1] = (2.0, 3.0), (3.0, 2.0)
    state = AppState.of(replace(study, blocks={**study.blocks, ("lmc_loss", "global"): curves}, alphas=(0.0, 1.0)))
    state.pairwise = BasinsView.pairwise
    assert state.plotted[0] == (1, 3)
    state.pairwise = LayersView.pairwise
    assert len(state.plotted) == 4


async def test_ctrl_c_says_what_stops_and_what_leaves():
    app = InspectorApp(study=made())
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("ctrl+c")
        assert "q leaves" in app.note[0]
