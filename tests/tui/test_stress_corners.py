"""Every action of every view where there is least to act on, and on the smallest and largest screens."""

from dataclasses import replace

import pytest

from inspector.tui.app import InspectorApp
from inspector.tui.export import write
from tests.tui.factory import make_study
from tests.tui.helpers import VIEWS, area, body
from tests.tui.probed import probed_study, unknown

pytestmark = pytest.mark.slow

STUDIES = {
    "no adapter": lambda: make_study(3, layers=2).subset(()),
    "one probed": lambda: probed_study(3, layers=2).subset((0,)),
    "two, nothing measured": lambda: replace(make_study(2, layers=2), blocks={}),
    "two without layers": lambda: make_study(2, layers=0),
    "three, all unknown": lambda: unknown(probed_study(3, layers=2)),
}
MOVING = {"quit", "palette"}
DIALOGS = {"help", "messages", "open", "export", "probe"}
"""Those that look the same from every view."""


@pytest.mark.parametrize("name", ["no adapter", "one probed", "two, nothing measured"])
async def test_every_action_of_every_view(name, tmp_path):
    app = InspectorApp(study=STUDIES[name]())
    async with app.run_test(size=(80, 24)) as pilot:
        for view in VIEWS:
            for action in (*app.everywhere, *app.views[view].actions):
                if action.id in MOVING or (action.id in DIALOGS and view != "pair"):
                    continue
                app.state.view = view
                app.action_act(action.id)
                while len(app.screen_stack) > 1:
                    await pilot._wait_for_screen()
                    app.screen.dismiss()
            write(app, app.view, tmp_path / f"{view}.csv")
            assert app.note[1] == "good", app.note
        await app.workers.wait_for_complete()


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (80, 24), (200, 60)])
@pytest.mark.parametrize("name", ["two without layers", "three, all unknown", "five"])
async def test_every_view_and_dialog_at_every_size(name, size):
    app = InspectorApp(study=(STUDIES | {"five": lambda: probed_study(5, layers=4)})[name]())
    async with app.run_test(size=size) as pilot:
        for view in VIEWS:
            app.state.view = view
            app.repaint()
            assert body(app).strip(), view
            assert {strip.cell_length for strip in area(app, "body")._strips} == {size[0]}
            if size < (60, 15):
                assert " needs 60×15" in body(app)
        for key in ("?", "w", "e", "o", "p", "ctrl+p"):
            await pilot.press(key)
            assert len(app.screen_stack) == 2 or key == "p"
            await pilot.press("escape", "escape")
            assert len(app.screen_stack) == 1
