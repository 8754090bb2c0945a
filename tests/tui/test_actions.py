"""One table: each action has keys, a handler, a palette entry, and a line in the help of its views."""

import pytest
from rich.cells import cell_len
from textual.widgets import Static

from inspector.tui.help import help_text
from inspector.tui.palette import ActionCommands
from tests.tui.helpers import VIEWS, app_with, area, visit


def test_ids_are_unique_and_no_key_does_two_things_in_one_view():
    app = app_with()
    for view in app.views.values():
        here = (*app.everywhere, *view.actions)
        assert len({action.id for action in here}) == len(here), view.id
        keys = [key for action in here for key in action.keys.split()]
        assert len(keys) == len(set(keys)), view.id
    own = {action for view in app.views.values() for action in view.actions}
    assert len({action.id for action in own}) == len(own)


async def test_every_action_has_a_key_a_palette_entry_and_help():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        bound = {binding.action for _, binding in app.screen._bindings}
        provider = ActionCommands(app.screen)
        entries = {hit.help async for hit in provider.discover()}
        helps = {view: help_text(app.views[view], app.everywhere, app.state, app.ink, 200).plain for view in VIEWS}
        await pilot.pause()
    for action in app.every_action:
        assert action.id == "palette" or (f"app.act('{action.id}')" in bound) == bool(action.keys)
        assert action.keys or action in app.by_name
        assert action.help in entries
        for view in VIEWS:
            has = action in (*app.everywhere, *app.views[view].actions)
            assert (f"{action.display:<12}{action.label}: {action.help}\n" in helps[view]) == has


@pytest.mark.parametrize("view", VIEWS)
async def test_footer_shows_only_keys_of_the_view_and_always_help_and_quit(view):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, view)
        text = area(app, "keys").text
    assert "? help" in text
    assert "q quit" in text
    assert "…" not in text


async def test_palette_finds_and_runs_an_action():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p")
        await pilot.press(*"Angles")
        await pilot.pause(0.4)
        await pilot.press("enter")
        await pilot.pause(0.2)
        if len(app.screen_stack) > 1:
            await pilot.press("enter")
            await pilot.pause(0.2)
        assert app.state.view == "angles"


async def test_help_names_keys_and_definitions_of_the_view():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "pair")
        await pilot.press("?")
        await pilot.pause()
        text = help_text(app.view, app.everywhere, app.state, app.ink, 300).plain
        assert "never the mean of module cosines" in text
        assert "shared outputs: |cosine| < 0.2" in text
        assert "sum inner" not in text
        await pilot.press("escape")
        assert len(app.screen_stack) == 1


async def test_help_is_wrapped_again_when_the_terminal_is_resized():
    app = app_with()
    async with app.run_test(size=(120, 40)) as pilot:
        await visit(pilot, "angles")
        await pilot.press("?")
        told = {}
        for width in (120, 60, 140):
            await pilot.resize_terminal(width, 30)
            await pilot.pause()
            static = app.screen.query_one("#text", Static)
            told[width] = str(static.render()).split("\n")
            assert max(map(cell_len, told[width])) <= static.size.width
            assert static.size.height == len(told[width]), "no line is wrapped a second time"
        assert len(told[60]) > len(told[120]) == len(told[140])
        assert " ".join(told[60]).split() == " ".join(told[120]).split()


async def test_a_key_without_a_use_here_says_so_until_the_next_one():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        for view, key, told in (
            ("objectives", "m", "m does nothing in Objectives"),
            ("objectives", "left", "← does nothing in Objectives"),
            ("adapters", "space", "␣ does nothing in Adapters"),
            ("adapters", "Z", "Z does nothing in Adapters"),
            ("adapters", "f5", "f5 does nothing in Adapters"),
        ):
            await visit(pilot, view)
            await pilot.press(key)
            assert told in area(app, "status").text
        logged = len(app.log_lines)
        await pilot.press("down")
        assert "nothing" not in area(app, "status").text
        await pilot.press("ctrl+c")
        assert "esc stops the work" in area(app, "status").text
        assert len(app.log_lines) == logged + 1
