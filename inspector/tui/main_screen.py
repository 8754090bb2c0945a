"""The one screen under the dialogs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingsMap
from textual.screen import Screen

from inspector.tui import actions, mouse
from inspector.tui.widgets.layer_slider import paint_slider
from inspector.tui.widgets.painted import Painted

if TYPE_CHECKING:
    from inspector.tui.shell import Shell


class MainScreen(Screen[None]):
    """The one screen under the dialogs: its keys are the actions of the views."""

    def __init__(self, app: Shell) -> None:
        super().__init__(id="main")
        self._shell = app
        self._bindings.key_to_bindings |= BindingsMap(actions.bindings(app.every_action)).key_to_bindings

    def compose(self) -> ComposeResult:
        shell = self._shell
        yield Painted(shell.paint_tabs, id="tabs")
        yield Painted(shell.paint_views, id="views")
        yield Painted(shell.paint_body, id="body")
        yield Painted(lambda width, _h: paint_slider(shell.state, shell.ink, width), id="slider")
        yield Painted(shell.paint_status, id="status")
        yield Painted(shell.paint_keys, id="keys")

    def on_mount(self) -> None:
        self._shell.lay_out(self)

    def on_resize(self) -> None:
        self._shell.lay_out(self)

    def on_key(self, event: events.Key) -> None:
        """A key that no action of this view has: said, not swallowed; nothing for the log."""
        shell = self._shell
        shell.note = (f"{actions.named(event)} does nothing in {shell.view.title}: ? lists the keys", "info")
        shell.repaint("status")

    def on_click(self, event: events.Click) -> None:
        """Keys under the pointer act."""
        if isinstance(event.widget, Painted) and event.widget.id:
            mouse.clicked(self._shell, event.widget.id, event.widget.text, event.x, event.y)

    def on_mouse_scroll_down(self) -> None:
        mouse.scrolled(self._shell, 1)

    def on_mouse_scroll_up(self) -> None:
        mouse.scrolled(self._shell, -1)
