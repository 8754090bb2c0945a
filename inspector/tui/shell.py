"""The app's frame: five painted areas over one state, the views, and their keys."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingsMap, BindingType
from textual.driver import Driver
from textual.screen import Screen
from textual.strip import Strip

from inspector.tui import actions
from inspector.tui.actions import Action
from inspector.tui.messages import ForView, Tone
from inspector.tui.state import AppState
from inspector.tui.text import clean, plural
from inspector.tui.theme import Ink, ink_for
from inspector.tui.undo import Before
from inspector.tui.views import small
from inspector.tui.views.base import Area, View
from inspector.tui.widgets.chrome import paint_keys, paint_status, paint_tabs
from inspector.tui.widgets.layer_slider import paint_slider
from inspector.tui.widgets.painted import Painted


class MainScreen(Screen[None]):
    """The one screen under the dialogs: its keys are the actions of the views."""

    def __init__(self, app: Shell) -> None:
        super().__init__(id="main")
        self._shell = app
        self._bindings.key_to_bindings |= BindingsMap(actions.bindings(app.every_action)).key_to_bindings

    def compose(self) -> ComposeResult:
        shell = self._shell
        yield Painted(shell.paint_tabs, id="tabs")
        yield Painted(shell.paint_body, id="body")
        yield Painted(lambda width, _h: paint_slider(shell.state, shell.ink, width), id="slider")
        yield Painted(shell.paint_status, id="status")
        yield Painted(shell.paint_keys, id="keys")

    def on_key(self, event: events.Key) -> None:
        """A key that no action of this view has: said, not swallowed; nothing for the log."""
        shell = self._shell
        shell.note = (f"{actions.named(event)} does nothing in {shell.view.title}: ? lists the keys", "info")
        shell.repaint("status")


class Shell(App[int]):
    """State, areas, views and their keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend_process", show=False, priority=True),  # in dialogs too
    ]
    CSS_PATH = "app.tcss"
    TITLE = "adapter-inspector"

    def __init__(self, state: AppState, views: Sequence[View], everywhere: Sequence[Action]) -> None:
        # With colours off, Textual only turns them grey unless they are the terminal's own.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.animation_level = "none"
        self.state = state
        self.views = {view.id: view for view in views}
        self.everywhere = (*(view.tab for view in views), *everywhere)
        """The actions that every view has."""
        self.progress: tuple[str, int, int] | None = None
        self.note: tuple[str, Tone] = ("", "info")
        self.log_lines: list[tuple[str, Tone]] = []
        self.unread = 0
        """Errors since the log was last read."""
        self.undo: list[Before] = []

    # Views and keys

    @property
    def view(self) -> View:
        return self.views[self.state.view]

    @property
    def tabs(self) -> list[View]:
        """The views there are."""
        return [view for view in self.views.values() if view.there(self.state)]

    @property
    def every_action(self) -> list[Action]:
        """Once each, of all views."""
        own = (action for view in self.views.values() for action in view.actions)
        return list({action.id: action for action in (*self.everywhere, *own)}.values())

    def go(self, view: str) -> None:
        """Show a view."""
        self.state.view, self.state.pairwise = view, self.views[view].pairwise

    def step_view(self, step: int) -> None:
        tabs = self.tabs
        self.go(tabs[(tabs.index(self.view) + step) % len(tabs)].id)

    def here(self, action_id: str) -> Action | None:
        """The action of this id, where the view shown has it."""
        return next((action for action in (*self.everywhere, *self.view.actions) if action.id == action_id), None)

    def action_act(self, action_id: str) -> None:
        """Run an action; what was said before it leaves the status line."""
        if action := self.here(action_id):
            self.note = ("", "info")
            action.act(self.view, self)
            self.repaint()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "act":
            return self.here(str(parameters[0])) is not None
        return super().check_action(action, parameters)

    def action_help_quit(self) -> None:
        """Ctrl-C, which in a terminal stops something: what does."""
        self.say("esc stops the work in progress, q leaves")

    @on(ForView)
    def _receive(self, message: ForView) -> None:
        self.views[message.view].receive(self, message)

    # Painting

    @property
    def ink(self) -> Ink:
        return ink_for(self.theme, coloured=not self.no_color, colours=self.console.color_system)

    def get_driver_class(self) -> type[Driver]:
        found = super().get_driver_class()
        if found.__name__ != "LinuxDriver":  # Windows; the browser
            return found
        from inspector.tui.terminal import TerminalDriver

        return TerminalDriver

    @on(Driver.SignalResume)
    def continued(self) -> None:
        """The alternate screen is empty when the terminal comes back."""
        self.screen.refresh(layout=True)

    def get_default_screen(self) -> Screen[None]:
        return MainScreen(self)

    def paint_tabs(self, width: int, _height: int) -> list[Strip]:
        tabs = self.tabs
        return paint_tabs([(v.key, v.title, v.short or v.title) for v in tabs], tabs.index(self.view), self.ink, width)

    def paint_body(self, width: int, height: int) -> list[Strip]:
        area = Area(self.ink, width, height)
        if self.size.width < small.SMALLEST[0] or self.size.height < small.SMALLEST[1]:
            return small.paint(self.state, (self.size.width, self.size.height), area)
        nothing = self.view.empty(self.state, area, self.view.need)
        return self.view.paint(self.state, area) if nothing is None else nothing

    def paint_status(self, width: int, _height: int) -> list[Strip]:
        state = self.state
        counts = f"{plural(state.size, 'adapter')} · {plural(len(state.pairs), 'pair')}"
        if state.study.modules:
            part = "" if state.measured else f"{state.known_so_far} of "
            counts += f" · {part}{plural(len(state.study.modules), 'module')}"
        return paint_status(self.progress, self.note, self.unread, counts, self.ink, width)

    def paint_keys(self, width: int, _height: int) -> list[Strip]:
        entries = actions.footer((*self.everywhere, *self.view.actions), self.view.first)
        return paint_keys(entries, self.ink, width)

    def repaint(self, *ids: str) -> None:
        """Paint again; only cells that changed are sent."""
        if not self.is_running or not self.screen_stack:
            return
        if not ids:
            self.view.prepare(self)
        for area in self.screen_stack[0].query(Painted):
            if not ids or area.id in ids:
                area.repaint()

    def say(self, text: str, tone: Tone = "info") -> None:
        """Report in the status line until the next key; the log keeps it, and counts the errors nobody has read."""
        text = clean(" ".join(text.split()))
        self.note = (text, tone)
        if text:
            self.log_lines.append((text, tone))
            self.unread += tone == "bad"
        self.repaint("status")

    def remember(self, what: str) -> None:
        """Keep the list and the weights for undo, before `what` changes them."""
        self.undo.append(Before.of(self.state, what))
        del self.undo[:-200]
