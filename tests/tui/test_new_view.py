"""A view is one class in one list: everything else of the app learns of it from there."""

import shlex
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pytest

from inspector.tui.actions import Action, cycled
from inspector.tui.app import InspectorApp
from inspector.tui.go_to import view_of
from inspector.tui.help import help_text
from inspector.tui.messages import ForView
from inspector.tui.navigation import METRIC
from inspector.tui.palette import ActionCommands
from inspector.tui.table import Table
from inspector.tui.text import Line, page
from inspector.tui.view_list import VIEWS
from inspector.tui.views.base import View
from tests.tui.helpers import app_with, area, body, visit


@dataclass
class Counted(ForView):
    view: ClassVar[str] = "echo"
    number: int


class EchoView(View):
    id = "echo"
    tab = "8"
    title = "Echo chamber"
    hint = "what was called, and how often"
    about = "Every call is counted."
    need = 1
    terms = (("echo", "what comes back"),)
    actions = (*METRIC, Action("call", "a", "call", "call once more", lambda view, app: view.call(app), 95))
    remembered = (("mood", ("calm", "loud")),)
    probe = "echoes"
    shows = ("energy_*",)

    def __init__(self):
        self.mood, self.calls, self.counted, self.begun = "calm", 0, 0, False

    def call(self, app):
        self.calls += 1
        app.run_worker(partial(app.post_message, Counted(self.calls)), thread=True)

    def start(self, app):
        self.begun = True

    def receive(self, app, message):
        self.counted = message.number
        app.repaint()

    def paint(self, state, area):
        return page([Line(f"{self.mood}: {self.counted} of {self.calls}")], area.width, area.height)

    def table(self, state):
        return Table("calls", ("calls",), ((str(self.calls),),))

    def metrics(self, state, /):
        return ("energy_ratio",)

    def cycle(self, state, step):
        self.mood = cycled(("calm", "loud"), self.mood, step)
        return f"now {self.mood}"

    def shell_command(self, state):
        return self.analyze(state, "energy_ratio", of=state.pair or ())


@pytest.fixture(autouse=True)
def _one_more(monkeypatch):
    monkeypatch.setattr("inspector.tui.app.VIEWS", [*VIEWS, EchoView])


async def test_its_tab_keys_footer_and_worker():
    app = app_with()
    async with app.run_test(size=(160, 24)) as pilot:
        assert app.views["echo"].begun
        await pilot.press("a")
        assert "a does nothing in Overview" in area(app, "status").text
        await pilot.press("8")
        assert "[Claims] Echo chamber" in area(app, "views").text
        await pilot.press("8")
        assert "[8 Claims]" in area(app, "tabs").text
        assert "[Echo chamber]" in area(app, "views").text
        assert "a call" in area(app, "keys").text
        await pilot.press("a", "a")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert body(app).startswith("calm: 2 of 2")
        await pilot.press("tab")
        assert app.state.view == "overview"
        await pilot.press("shift+tab")
        assert app.state.view == "echo"


async def test_its_help_palette_command_and_table():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "echo")
        await pilot.press("Y")
        assert shlex.split(app.clipboard) == [
            "inspector", "analyze", "sft_s42=/data/adapters/sft_s42", "rft_s42=/data/adapters/rft_s42",
            "--metric", "energy_ratio",
        ]  # fmt: skip
        await pilot.press("y")
        assert app.clipboard == "calls\ncalls\n0\n"
        found = help_text(app.view, app.everywhere, app.state, app.ink, 200).plain
        for line in ("Every call is counted.", "call: call once more", "(energy_ratio in exports)", "what comes back"):
            assert line in found
        entries = [(hit.text, hit.help) async for hit in ActionCommands(app.screen).discover()]
        assert ("Echo chamber  (8)", "what was called, and how often") in entries
        assert ("call  (a)", "call once more") in entries
        await app.run_action("app.act('call')")
        assert app.view.calls == 1


async def test_its_choice_is_remembered_and_numbers_lead_to_it():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "echo")
        await pilot.press("m")
        assert "now loud" in area(app, "status").text
        assert view_of(app.views.values(), "energy_ratio", layer=False) == "echo"
    again = app_with()
    async with again.run_test(size=(80, 24)) as pilot:
        assert again.state.view == "overview", "sources open there"
        await visit(pilot, "echo")
        assert body(again).startswith("loud")


async def test_without_adapters_it_says_so():
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "echo")
        assert "No adapter is open." in body(app)
        await pilot.press("Y")
        assert "nothing is open" in area(app, "status").text
