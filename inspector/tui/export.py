"""Actions that take something out of the app: files, clipboard, screenshots."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.study.export import save
from inspector.tui.actions import Action
from inspector.tui.shell import Shell
from inspector.tui.text import clean
from inspector.tui.views.base import View, so_far
from inspector.tui.widgets.dialogs import Confirm, Prompt

_SUFFIXES = (".csv", ".txt", ".json", ".parquet")


@contextmanager
def _reported(app: Shell) -> Iterator[None]:
    """What fails on the way out, a full disk or a name no system knows, is said; the app goes on."""
    try:
        yield
    except (InspectorError, OSError) as error:
        app.say(str(error), "bad")
    except (RuntimeError, ValueError, MemoryError) as error:
        app.say(f"It could not be done: {type(error).__name__}: {error}", "bad")


def _export(view: View, app: Shell) -> None:
    question = "Write to (.csv or .txt: this view; .json or .parquet: the whole study)"
    app.push_screen(Prompt(question, f"{view.id}{view.suffix}"), lambda name: _to(app, view, name))


def _to(app: Shell, view: View, name: str | None) -> None:
    if not name:
        return
    with _reported(app):
        path = Path(name).expanduser()
        if path.suffix.lower() not in _SUFFIXES:
            app.say(f"{path.name}: the name must end in {', '.join(_SUFFIXES)}", "warn")
        elif path.exists():
            question = Confirm(f"{clean(str(path))} exists. Overwrite it?")
            app.push_screen(question, lambda yes: write(app, view, path) if yes else app.say("nothing written"))
        else:
            write(app, view, path)


def write(app: Shell, view: View, path: Path) -> None:
    """The view's table or the whole study, complete or not at all."""
    state = app.state
    with _reported(app):
        if path.suffix.lower() in {".json", ".parquet"}:
            if not state.measured:
                raise InspectorError(f"Only {so_far(state)} are measured: a study is written once all are.")
            save(state.study.subset(state.arrangement), path)
            what = "the whole study"
        else:
            table = view.table(state)
            with replacing(path) as temporary:
                temporary.write_text(table.csv() if path.suffix.lower() == ".csv" else table.text(), encoding="utf-8")
            what = f"{len(table.rows)} rows of {view.title}"
        app.say(f"wrote {what} to {path}", "good")


def _copy(view: View, app: Shell) -> None:
    with _reported(app):
        table = view.table(app.state)
        app.copy_to_clipboard(table.text())
        app.say(f"copied {view.title}: {len(table.rows)} rows", "good")


def _copy_command(view: View, app: Shell) -> None:
    with _reported(app):
        command = shlex.join(view.shell_command(app.state))
        if not command:
            app.say("nothing is open", "warn")
            return
        app.copy_to_clipboard(command)
        app.say(f"copied: {command}", "good")


def _screenshot(view: View, app: Shell) -> None:
    path = Path(f"inspector-{view.id}-{datetime.now().astimezone():%Y%m%d-%H%M%S}.svg")
    with _reported(app):
        with replacing(path) as temporary:
            temporary.write_text(app.export_screenshot(), encoding="utf-8")
        app.say(f"wrote {path.resolve()}", "good")


EXPORTS = (
    Action("export", "e", "export", "write this view (.csv, .txt) or the whole study (.json, .parquet) to a file",
           _export, 15),
    Action("copy", "y", "copy", "copy this view as text (OSC 52)", _copy, 12),
    Action("copy_command", "Y", "copy command", "copy the command that prints these numbers", _copy_command),
    Action("screenshot", "P", "screenshot", "write the screen as SVG", _screenshot),
)  # fmt: skip
