"""Eight tabs, the views inside them, and what finds and narrows the lists."""

import re

import pytest

from inspector.claims.bundled import claim_set
from inspector.study.export import load
from inspector.tui.app import InspectorApp
from inspector.tui.export import write
from inspector.tui.state import AppState
from inspector.tui.tabs import TABS
from inspector.tui.text import times
from inspector.tui.view_list import VIEWS as EVERY_VIEW
from inspector.tui.views.claims.state import Judged
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, app_with, area, body, visit


@pytest.mark.parametrize("width", [80, 120, 200])
async def test_the_tabs_are_whole_words(width):
    app = app_with()
    async with app.run_test(size=(width, 24)) as pilot:
        for key, title in TABS.items():
            await pilot.press(key)
            shown = area(app, "tabs").text
            assert f"[{key} {title}]" in shown
            assert all(f"{other} {name}" in shown for other, name in TABS.items())


def test_every_tab_holds_a_view():
    assert {view.tab for view in EVERY_VIEW} == set(TABS)


async def test_a_digit_opens_a_tab_and_then_goes_through_its_views():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = []
        for key in ("6", "6", "6", "6", "v", "V", "V"):
            await pilot.press(key)
            shown.append(app.state.view)
        assert shown == ["accuracy", "basins", "cka", "accuracy", "basins", "accuracy", "cka"]
        assert area(app, "views").text.split("  ")[-1].strip() == "v next"
        assert "[CKA]" in area(app, "views").text
        await pilot.press("2", "6")
        assert app.state.view == "cka"  # where the tab was left


async def test_only_tabs_of_several_views_have_a_line_for_them_and_only_layers_a_slider():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        heights = {}
        for view in ("overview", "map", "angles", "objectives"):
            await visit(pilot, view)
            heights[view] = area(app, "body").size.height
        assert heights == {"overview": 20, "map": 20, "angles": 19, "objectives": 20}
        assert area(app, "slider").text == ""
        await visit(pilot, "map")
        assert area(app, "views").text == ""
        assert "all layers" in area(app, "slider").text


async def test_where_words_do_not_fit_the_current_tab_alone_has_one():
    app = app_with()
    async with app.run_test(size=(60, 15)) as pilot:
        for key, title in TABS.items():
            await pilot.press(key)
            words = area(app, "tabs").text.replace("[", " ").replace("]", " ").split()
            assert words == sorted([*TABS, title], key=lambda word: word if word in TABS else f"{key}+")
        for key in TABS:
            await pilot.click("#tabs", offset=(area(app, "tabs").text.index(key), 0))
            assert app.view.tab == key


async def test_sources_open_on_the_overview_and_no_source_where_it_was_left():
    async with app_with().run_test(size=(80, 24)) as pilot:
        await visit(pilot, "angles")
    assert InspectorApp().state.view == "angles"
    for app in (InspectorApp(["/data/adapters/sft_s42"]), InspectorApp(demo=True), app_with()):
        assert app.state.view == "overview"


async def test_a_click_on_the_title_of_a_view_shows_it():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.click("#views", offset=(area(app, "views").text.index("Size") + 1, 0))
        assert app.state.view == "size"


# Finding


async def test_a_list_follows_what_is_typed_and_escape_shows_all():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("down", "down", "down", "slash", *"DPO")
        assert app.state.names == ("dpo_s42",)
        assert app.state.row == 0
        await pilot.press("backspace", "backspace", "backspace", *"sft", "enter")
        assert app.state.names == ("sft_s42", "sft_s123")
        assert "/ sft · 2 of 5 adapters · 1 pair" in area(app, "status").text
        assert "rft_s42" not in body(app)
        await pilot.press("escape")
        assert app.state.names == NAMES
        await pilot.press("slash", *"rft", "escape")
        assert app.state.names == NAMES


async def test_a_text_that_nobody_has_says_so():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("slash", *"zzz", "enter")
        assert "No adapter of 5 has “zzz” in its name." in body(app)
        await pilot.press("slash", "ctrl+u", *"123", "enter")
        assert "Only one adapter of 5 has “123” in its name." in body(app)


async def test_who_is_hidden_is_neither_removed_nor_left_out_of_the_study(tmp_path):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        await pilot.press("slash", *"sft", "enter", ">")
        assert app.state.names == ("sft_s123", "sft_s42")
        await pilot.press("up", "x")
        assert app.state.names == ("sft_s42",)
        write(app, app.view, tmp_path / "study.json")
        await pilot.press("escape")
        assert app.state.names == ("rft_s42", "dft_s42", "dpo_s42", "sft_s42")
        await pilot.press("u", "u")
        assert app.state.names == NAMES
    assert load(tmp_path / "study.json").names == ("rft_s42", "dft_s42", "dpo_s42", "sft_s42")


async def test_hidden_adapters_stay_in_the_sum():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        before = app.state.preview.weights
        await pilot.press("slash", *"sft", "enter")
        assert app.state.preview.weights == before


def test_another_order_of_those_shown_leaves_the_others_in_their_places():
    state = AppState.of(make_study(5, names=NAMES))
    state.search("adapters", "s42")
    assert state.order == (0, 1, 2, 3)
    state.order = (3, 1, 0)
    assert state.arrangement == (3, 1, 0, 4)
    state.search("adapters", "")
    assert state.order == (3, 1, 0, 4)


async def test_claims_are_searched_by_name_and_sentence():
    app = app_with()
    app.state.judged = Judged("demo", claim_set("demo"))
    every = app.state.judged.claims.claims
    async with app.run_test(size=(120, 40)) as pilot:
        await visit(pilot, "claims")
        await pilot.press("slash", *"BARRIER", "enter")
        found = [one for one in every if "barrier" in f"{one.id} {one.statement}".casefold()]
        assert 0 < len(found) < len(every)
        assert body(app).startswith(f" {len(found)} claim")
        await pilot.press("end")
        assert every[app.state.judged.row] == found[-1]
        await pilot.press("slash", "ctrl+u", *"no such claim")
        assert "No claim of" in body(app)
        await pilot.press("escape")
        assert body(app).startswith(f" {len(every)} claims")
        assert app.state.names == NAMES


async def test_the_modules_of_a_merge_are_searched():
    app = app_with()
    async with app.run_test(size=(80, 60)) as pilot:
        await visit(pilot, "merge")
        await pilot.press("slash", *"3.self_attn.Q", "enter")
        found = [line.split()[0] for line in body(app).splitlines() if "self_attn" in line]
        assert found == ["3.self_attn.q_proj", "13.self_attn.q_proj", "23.self_attn.q_proj"]
        assert app.state.names == NAMES
        await pilot.press("escape")
        assert "self_attn" not in body(app)


async def test_what_lists_nothing_cannot_be_searched():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "objectives")
        await pilot.press("slash")
        assert len(app.screen_stack) == 1
        assert "lists nothing" in area(app, "status").text


# The reference


async def test_the_reference_is_the_one_that_others_are_shown_against():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        await pilot.press("down", "asterisk")
        assert "all shown against rft_s42" in area(app, "status").text
        await visit(pilot, "angles")
        assert "* rft_s42 · 5 adapters · 4 pairs" in area(app, "status").text
        assert body(app).count("↔") == 4
        assert all(
            re.search(rf"rft_s42 ?↔ ?{name}|{name} ?↔ ?rft_s42", body(app)) for name in NAMES if name != "rft_s42"
        )
        assert app.state.plotted == app.state.pairs
        for _ in range(4):
            await pilot.press("n")
        assert {app.state.row, app.state.col} == {1, 4}
        assert app.state.row == 4
        await visit(pilot, "size")
        ratio = times(app.state.own("norm", 0) / app.state.own("norm", 1))
        assert ratio in next(line for line in body(app).splitlines() if line.strip().startswith("sft_s42 "))
        await visit(pilot, "map")
        assert "*rft_s42" in body(app)
        await visit(pilot, "adapters")
        await pilot.press("up", "up", "up", "asterisk")
        assert len(app.state.pairs) == 10
        assert "no reference" in area(app, "status").text


async def test_the_reference_stays_in_sight_and_goes_with_its_adapter():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        await pilot.press("asterisk", "slash", *"dpo", "enter")
        assert app.state.names == ("sft_s42", "dpo_s42")
        await pilot.press("escape", ">")
        assert app.state.reference_at == 1
        app.state.replace_study(make_study(3, names=("a", "sft_s42", "b")))
        assert app.state.names[app.state.reference_at] == "sft_s42"
        app.state.replace_study(make_study(2))
        assert app.state.reference is None
