"""The actions of every view, beside the keys of the views themselves."""

from __future__ import annotations

from functools import partial

from rich.text import Text

from inspector.common.labels import labels
from inspector.tui.actions import Action
from inspector.tui.adapter_list import AdapterList
from inspector.tui.editing import DEMO_ALONE, OPEN, UNDO
from inspector.tui.export import EXPORTS
from inspector.tui.help import help_text
from inspector.tui.navigation import STEPS
from inspector.tui.probing.actions import PROBE
from inspector.tui.shell import Shell
from inspector.tui.theme import THEMES
from inspector.tui.views.base import View
from inspector.tui.widgets.dialogs import FindLine, Reader


def _find(view: View, app: AdapterList) -> None:
    """A line to type into; the list follows as one types."""
    listed, state = view.lists, app.state
    if not listed:
        app.say(f"{view.title} lists nothing that could be searched")
        return

    def find(wanted: str) -> None:
        state.search(listed, wanted)
        app.repaint()

    app.push_screen(FindLine(listed, state.finds.get(listed, ""), find))


def _refer(view: View, app: AdapterList) -> None:
    """The adapter under the cursor as the one that others are shown against, or none."""
    if not view.on_adapter:
        app.say("put the cursor on an adapter: * shows all others against it")
        return
    name = app.state.refer() and labels(app.state.names).at(40)[app.state.row]
    app.say(f"all shown against {name} (* again: none)" if name else "no reference")
    view.move(app.state, 0)


def _cancel(view: View, app: AdapterList) -> None:
    """Stop the work in progress; where there is none, show all again that a search has hidden."""
    if app.progress is None and app.state.finds.get(view.lists):
        app.state.search(view.lists, "")
    else:
        app.cancel()


def _theme(_view: View, app: Shell) -> None:
    if app.no_color:
        app.say("NO_COLOR is set: the app stays without colour")
        return
    at = THEMES.index(app.theme) if app.theme in THEMES else -1
    app.theme = THEMES[(at + 1) % len(THEMES)]
    app.say(f"theme {app.theme.removeprefix('inspector-')}")


def _messages(_view: View, app: Shell) -> None:
    app.unread = 0
    text = Text()
    marks = {"info": "  ", "good": "  ", "warn": "! ", "bad": "✗ "}
    for line, tone in reversed(app.log_lines):
        text.append(f"{marks[tone]}{line}\n")
    app.push_screen(Reader("Messages, newest first", lambda _width: text or Text("nothing was reported")))


def _help(view: View, app: Shell) -> None:
    write = partial(help_text, view, app.everywhere, app.state, app.ink)
    app.push_screen(Reader(f"{view.title}: help", write))


EVERYWHERE = (
    PROBE,
    *STEPS,
    Action("find", "slash", "find", "show those of the list that have a text in their name; esc shows all", _find, 18),
    Action("refer", "asterisk", "reference", "show all others against the adapter under the cursor; again: no longer",
           _refer, 16),
    OPEN,
    DEMO_ALONE,
    UNDO,
    *EXPORTS,
    Action("theme", "t", "theme", "dark, light, or the terminal's own colours", _theme),
    Action("messages", "w exclamation_mark", "messages", "what has been reported so far, in full", _messages),
    Action("cancel", "escape", "cancel", "stop the work in progress, keep what is there; or end the search", _cancel),
    Action("palette", "ctrl+p", "commands", "search every command by name",
           lambda _, app: app.action_command_palette(), 8),
    Action("help", "?", "help", "the keys of this view, and the definition of every number in it", _help, 99),
    Action("suspend", "ctrl+z", "to the shell", "stop the app, as any program of a terminal; fg brings it back",
           lambda _, app: app.action_suspend_process()),
    Action("quit", "q", "quit", "leave; `inspector` without sources opens here again", lambda _, app: app.exit(0), 98),
)  # fmt: skip
