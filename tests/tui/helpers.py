"""An app on a made-up study, and its screen as text."""

import asyncio

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from inspector.tui.app import InspectorApp
from inspector.tui.view_list import VIEWS as EVERY_VIEW
from inspector.tui.widgets.painted import Painted
from tests.tui.factory import make_study

NAMES = ("sft_s42", "rft_s42", "dft_s42", "dpo_s42", "sft_s123")
VIEWS = tuple(view.id for view in EVERY_VIEW if view.id not in {"claims", "trajectory"})
"""Those that show the adapters of a study."""
SIZES = ((80, 24), (120, 40), (60, 15))


def app_with(n: int = 5, **changes) -> InspectorApp:
    return InspectorApp(study=make_study(n, names=NAMES if n == 5 else (), **changes))


def area(app: InspectorApp, name: str) -> Painted:
    return app.screen_stack[0].query_one(f"#{name}", Painted)


def body(app: InspectorApp) -> str:
    return area(app, "body").text


def everything(app: InspectorApp) -> str:
    return "\n".join(area(app, name).text for name in ("tabs", "views", "body", "slider", "status", "keys"))


async def visit(pilot: Pilot, view: str) -> None:
    """By the keys that lead there: the digit of its tab, then the next view of the tab."""
    app = pilot.app
    assert app.views[view].there(app.state)
    if app.view.tab != app.views[view].tab:
        await pilot.press(app.views[view].tab)
    while app.state.view != view:
        await pilot.press("v")


async def strike(pilot: Pilot, *keys: str) -> None:
    """Keys without a wait between them, as a terminal sends a key held down; Pilot's press waits 40 ms and more a key.

    None but the last of them may open or close a dialog.
    """
    app, done = pilot.app, asyncio.Event()
    for key in keys:
        known = len(key) != 1 or key.isalnum()
        event = events.Key(key if known else _character_to_key(key), key if len(key) == 1 else None)
        event.set_sender(app)
        app._driver.send_message(event)
    app.call_later(lambda: (app.focused or app.screen).call_later(done.set))
    await done.wait()
    await pilot.pause()


async def settle(pilot: Pilot, condition) -> None:
    """Wait until it holds; AssertionError after half a minute at least: other work may share the machine."""
    for _ in range(1500):
        await pilot.pause(0.02)
        if condition():
            return
    raise AssertionError("did not settle")
