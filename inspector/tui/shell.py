"""The app's frame: painted areas over one state, the views, and their keys."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.screen import Screen
from textual.strip import Strip

from inspector.common.labels import labels
from inspector.tui import actions
from inspector.tui.actions import Action
from inspector.tui.main_screen import MainScreen
from inspector.tui.messages import ForView, Tone
from inspector.tui.state import AppState
from inspector.tui.tabs import TABS
from inspector.tui.text import clean, plural
from inspector.tui.theme import Ink, ink_for
from inspector.tui.undo import Before
from inspector.tui.views import small
from inspector.tui.views.base import Area, View
from inspector.tui.widgets.chrome import paint_keys, paint_status, paint_tabs, paint_views
from inspector.tui.widgets.painted import Painted


def _tab(key: str, title: str, views: Sequence[View]) -> Action:
    """The digit of a tab."""
    held = [view.title for view in views if view.tab == key]
    again = "; again: the next of them" if len(held) > 1 else ""
    return Action(f"tab_{key}", key, title, ", ".join(held) + again, lambda _view, app: app.open_tab(key))


class Shell(App[int]):
    """State, areas, views and their keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend_process", show=False, priority=True)  # in dialogs too
    ]
    CSS_PATH = "app.tcss"
    TITLE = "adapter-inspector"

    def __init__(self, state: AppState, views: Sequence[View], everywhere: Sequence[Action]) -> None:
        # With colours off, Textual only turns them grey unless they are the terminal's own.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.animation_level = "none"
        self.state = state
        self.views = {view.id: view for view in views}
        self.by_name = tuple(view.by_name for view in views)
        """What leads to a view without a key."""
        self.everywhere = (*(_tab(key, title, views) for key, title in TABS.items()), *everywhere)
        """The actions that every view has."""
        self.last: dict[str, str] = {}
        """The view of each tab that was shown last."""
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

    def views_of(self, tab: str) -> list[View]:
        """The views that a tab holds now."""
        return [view for view in self.views.values() if view.tab == tab and view.there(self.state)]

    @property
    def every_action(self) -> list[Action]:
        """Once each, of all views."""
        own = (action for view in self.views.values() for action in view.actions)
        return list({action.id: action for action in (*self.everywhere, *self.by_name, *own)}.values())

    def go(self, view: str) -> None:
        """Show a view."""
        self.state.view, self.state.pairwise = view, self.views[view].pairwise
        self.last[self.view.tab] = view

    def open_tab(self, key: str) -> None:
        """The view that the tab showed last; its next one where it is open already."""
        if key == self.view.tab:
            self.step_inside(1)
        else:
            views = {view.id: view for view in self.views_of(key)}
            self.go(self.last[key] if self.last.get(key) in views else next(iter(views)))

    def step_inside(self, step: int) -> None:
        """The next view of the tab, or the previous one."""
        views = self.views_of(self.view.tab)
        self.go(views[(views.index(self.view) + step) % len(views)].id)

    def step_view(self, step: int) -> None:
        """The next view of all, or the previous one."""
        views = [view for key in TABS for view in self.views_of(key)]
        self.go(views[(views.index(self.view) + step) % len(views)].id)

    def here(self, action_id: str) -> Action | None:
        """The action of this id, where the view shown has it."""
        known = (*self.everywhere, *self.by_name, *self.view.actions)
        return next((action for action in known if action.id == action_id), None)

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
        return paint_tabs(list(TABS.items()), list(TABS).index(self.view.tab), self.ink, width)

    def paint_views(self, width: int, _height: int) -> list[Strip]:
        views = self.views_of(self.view.tab)
        return paint_views([view.title for view in views], views.index(self.view), self.ink, width)

    @property
    def too_small(self) -> bool:
        """Whether the terminal has too little room for any view."""
        return self.size.width < small.SMALLEST[0] or self.size.height < small.SMALLEST[1]

    def paint_body(self, width: int, height: int) -> list[Strip]:
        area = Area(self.ink, width, height)
        if self.too_small:
            return small.paint(self.state, (self.size.width, self.size.height), area)
        nothing = self.view.empty(self.state, area, self.view.need)
        return self.view.paint(self.state, area) if nothing is None else nothing

    def paint_status(self, width: int, _height: int) -> list[Strip]:
        state = self.state
        listed = f"{state.size} of " * (state.size < len(state.arrangement))
        counts = [f"{listed}{plural(len(state.arrangement), 'adapter')}", plural(len(state.pairs), "pair")]
        if state.study.modules:
            part = "" if state.measured else f"{state.known_so_far} of "
            counts.append(f"{part}{plural(len(state.study.modules), 'module')}")
        if wanted := state.finds.get(self.view.lists):
            counts.insert(0, f"/ {clean(wanted)}")
        if state.reference_at is not None:
            counts.insert(0, f"* {labels(state.names).at(width // 3)[state.reference_at]}")
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
            self.lay_out(self.screen_stack[0])
        for area in self.screen_stack[0].query(Painted):
            if not ids or area.id in ids:
                area.repaint()

    def lay_out(self, screen: Screen[Any]) -> None:
        """A line for the views of a tab that holds several, one for the slider where it is of use."""
        areas = {area.id: area for area in screen.query(Painted)}
        areas["views"].display = len(self.views_of(self.view.tab)) > 1 and not self.too_small
        areas["slider"].display = self.view.slides

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
