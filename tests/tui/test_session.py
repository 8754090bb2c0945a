"""What one run leaves for the next."""

from dataclasses import replace

import pytest

from inspector.tui import session, workers
from inspector.tui.app import InspectorApp
from inspector.tui.state import AppState
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, VIEWS, app_with, body, settle, visit

PLACE = ("view", "layer", "one_layer", "filter", "row", "col")
CHOICES = ("metric", "order", "chosen", "reference")


async def test_without_sources_all_is_as_it_was_left_and_with_sources_the_choices_are():
    app = InspectorApp(demo=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.state.study.blocks)
        await visit(pilot, "map")
        await pilot.press("m", "]", "]", "f", "t", "down", "right", "right", "space", "asterisk", "down", "down")
        await visit(pilot, "adapters")
        await pilot.press(">")
        await visit(pilot, "angles")
        await app.workers.wait_for_complete()
        before, theme = app.state, app.theme
    left = {what: getattr(before, what) for what in (*PLACE, *CHOICES)}
    fresh = {"view": "overview", "layer": 0, "one_layer": False, "filter": "", "row": 0}
    for start, place in ((InspectorApp(), {}), (InspectorApp(demo=True), fresh)):
        file = session.path().read_bytes()
        async with start.run_test(size=(80, 24)) as pilot:
            await settle(pilot, lambda start=start: start.state.study.blocks)
            await start.workers.wait_for_complete()
            await pilot.pause()
            assert start.theme == theme
            col = {"col": start.state.reference_at} if place else {}  # the overview faces the reference
            assert {what: getattr(start.state, what) for what in (*PLACE, *CHOICES)} == left | place | col
        session.path().write_bytes(file)


async def test_an_order_that_nobody_chose_is_not_remembered():
    """`inspector watch` opens a folder by the alphabet; the demo afterwards has its own order."""
    async with app_with().run_test(size=(80, 24)):
        pass
    study = make_study(5, names=NAMES)
    again = InspectorApp(study=study.subset((4, 2, 0, 3, 1)))
    async with again.run_test(size=(80, 24)):
        assert again.state.names == ("sft_s123", "dft_s42", "sft_s42", "dpo_s42", "rft_s42")


async def test_a_damaged_or_foreign_session_is_ignored():
    for text in ("", "[]", "{", '{"view": 3, "layer": "x", "adapters": [1], "extra": {}}', '{"view": "nope"}'):
        session.path().parent.mkdir(parents=True, exist_ok=True)
        session.path().write_text(text, encoding="utf-8")
        app = app_with()
        async with app.run_test(size=(80, 24)):
            assert app.state.view == "overview"
            assert app.state.names == NAMES


async def test_choices_about_others_do_not_disturb():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("down", "right", "space", "end")
    other = InspectorApp(study=make_study(3, layers=2))
    async with other.run_test(size=(80, 24)) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
        assert other.state.layer <= 1
        assert other.state.names == ("run_0", "run_1", "run_2")


async def test_a_filter_and_a_layer_are_of_the_adapters_they_were_chosen_for():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("f", "]")
        await app.workers.wait_for_complete()
        assert (app.state.filter, app.state.one_layer) == ("q_proj", True)
    study = make_study(5, names=NAMES)
    others = tuple(replace(info, source=f"/other/{info.name}") for info in study.adapters)
    other = InspectorApp(study=replace(study, adapters=others))
    async with other.run_test(size=(80, 24)):
        assert (other.state.filter, other.state.one_layer) == ("", False)


@pytest.mark.parametrize(("folder", "kept"), [("/data/adapters", True), ("/other", False)])
async def test_a_metric_is_of_the_adapters_it_was_chosen_for(folder, kept):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        for view in ("map", "size"):
            await visit(pilot, view)
            await pilot.press("m")
        left = {what: getattr(app.state, what) for what in session.METRICS}
        assert left["metric"] == left["layers_metric"] != "cosine"
        assert left["rank_metric"] != "effective_rank"
    study = make_study(5, names=NAMES)
    infos = tuple(replace(info, source=f"{folder}/{info.name}") for info in study.adapters)
    other = InspectorApp(study=replace(study, adapters=infos))
    async with other.run_test(size=(80, 24)) as pilot:
        now = {what: getattr(other.state, what) for what in session.METRICS}
        assert now == (left if kept else {what: getattr(AppState, what) for what in session.METRICS})
        await visit(pilot, "map")
        assert ("cosine" in body(other).splitlines()[0]) is not kept


async def test_weights_and_claims_come_back(monkeypatch):
    monkeypatch.setattr(workers, "open_all", lambda *_rest: None)
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "sum")
        await pilot.press("-", "-")
        await visit(pilot, "claims")
        await pilot.press("c", *"demo", "enter")
        await pilot.pause()
        assert app.state.judged.name == "demo"
    assert session.read().weights == {NAMES[0]: 0.8}
    again = InspectorApp()
    async with again.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert again.state.judged.name == "demo"
    same = app_with()
    async with same.run_test(size=(80, 24)):
        assert same.state.mixture.weight(0) == 0.8
        assert same.state.judged is None


async def test_without_sources_the_last_ones_are_asked_for():
    app = app_with()
    async with app.run_test(size=(80, 24)):
        pass
    assert session.read().sources[0] == "sft_s42=/data/adapters/sft_s42"


async def test_an_unwritable_state_folder_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file" / "below"))
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
