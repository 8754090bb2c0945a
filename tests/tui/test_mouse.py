"""Clicks and the wheel do what keys do: on tabs, keys, rows, the slider, and in the dialog that opens things."""

import re

import pytest

from inspector.tui.tabs import TABS
from tests.tui.helpers import NAMES, app_with, area, body


def column(app, name: str, text: str) -> int:
    line = area(app, name).text.splitlines()[0]
    assert text in line
    return line.index(text)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_every_tab_and_its_views_open_by_their_names(size):
    app = app_with()
    async with app.run_test(size=size) as pilot:
        for key, title in TABS.items():
            if not app.views_of(key):
                continue
            line = area(app, "tabs").text
            await pilot.click("#tabs", offset=(line.index(title[:4]) + 1, 0))
            assert app.view.tab == key
            views = app.views_of(key)
            for view in views if len(views) > 1 else []:
                await pilot.pause()
                await pilot.click("#views", offset=(area(app, "views").text.index(view.title) + 1, 0))
                assert app.state.view == view.id


async def test_keys_of_the_footer_act():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.click("#keys", offset=(column(app, "keys", "? help") + 2, 0))
        await pilot.pause()
        assert len(app.screen_stack) == 2
        await pilot.press("escape")
        await pilot.click("#keys", offset=(column(app, "keys", "* reference") + 4, 0))
        assert app.state.reference_at is not None
        await pilot.click("#keys", offset=(column(app, "keys", "q quit") + 5, 0))
        await pilot.pause()
        assert app.return_code == 0


async def test_a_click_on_a_row_takes_the_cursor_there_and_the_second_does_what_enter_does():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        app.go("adapters")
        app.repaint()
        lines = body(app).splitlines()
        row = next(n for n, line in enumerate(lines) if NAMES[3] in line)
        await pilot.click("#body", offset=(5, row))
        assert app.state.row == 3
        assert body(app).splitlines()[row].startswith("▸")
        await pilot.click("#body", offset=(5, row))
        await pilot.pause()
        assert len(app.screen_stack) == 2 or app.state.view != "adapters"


@pytest.mark.parametrize("size", [(80, 24), (130, 40)])
async def test_a_click_on_a_cell_of_the_map_takes_the_cursor_there_and_the_second_opens_the_pair(size):
    app = app_with()
    async with app.run_test(size=size) as pilot:
        await pilot.press("2")
        rows = [at for block in app.views["map"].blocks(app.state) for at in block]
        for row, column in ((0, 3), (4, 1), (2, 2)):
            lines = body(app).splitlines()
            line = [n for n, text in enumerate(lines) if text.startswith(tuple(f" {name} " for name in NAMES))][row]
            cells = list(re.finditer(r"\S*\d\S*", lines[line][12:]))
            assert len(cells) == 5 * (1 + (size[0] > 110))
            cell = cells[column - 5].start() + 13  # of the last map
            await pilot.click("#body", offset=(cell, line))
            assert (app.state.row, app.state.col) == (rows[row], rows[column])
        await pilot.click("#body", offset=(1, 0))
        assert app.state.view == "map"
        await pilot.click("#body", offset=(cell, line))
        assert app.state.view == "pair"


async def test_the_wheel_moves_the_cursor_and_the_slider_takes_clicks():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        app.go("adapters")
        await pilot._post_mouse_events([_wheel(down=True)], "#body", offset=(5, 5))
        await pilot._post_mouse_events([_wheel(down=True)], "#body", offset=(5, 5))
        assert app.state.row == 2
        await pilot._post_mouse_events([_wheel(down=False)], "#body", offset=(5, 5))
        assert app.state.row == 1
        line = area(app, "slider").text
        await pilot.click("#slider", offset=(line.index("▸") - 1, 0))
        assert (app.state.one_layer, app.state.layer) == (True, len(app.state.layers) - 1)
        await pilot.click("#slider", offset=(area(app, "slider").text.index("◂") + 1, 0))
        assert app.state.layer == 0


def _wheel(*, down: bool):
    from textual import events

    return events.MouseScrollDown if down else events.MouseScrollUp
