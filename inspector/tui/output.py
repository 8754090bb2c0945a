"""Keys that take something out of the app: files, clipboard, screenshots, help, themes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from rich.text import Text

from inspector.errors import InspectorError
from inspector.export import save
from inspector.files import replacing
from inspector.tui.commands import Palette, shell_command
from inspector.tui.screens.adapters import details
from inspector.tui.screens.base import so_far
from inspector.tui.screens.dialogs import Confirm, Prompt, Reader
from inspector.tui.screens.help import help_text
from inspector.tui.shell import Shell
from inspector.tui.state import TRAJECTORY
from inspector.tui.text import clean
from inspector.tui.theme import THEMES

_SUFFIXES = (".csv", ".txt", ".json", ".parquet")


class Output(Shell):
    """Handlers of the actions that leave state and list as they are."""

    def do_export(self) -> None:
        name = f"{self.state.view}.csv" if self.state.view != "objectives" else "objectives.txt"
        question = "Write to (.csv or .txt: this view; .json or .parquet: the whole study)"
        self.push_screen(Prompt(question, name), self._export)

    @contextmanager
    def told(self) -> Iterator[None]:
        """What fails on the way out, a full disk or a name no system knows, is said; the app goes on."""
        try:
            yield
        except (InspectorError, OSError) as error:
            self.say(str(error), "bad")
        except (RuntimeError, ValueError, MemoryError) as error:
            self.say(f"It could not be done: {type(error).__name__}: {error}", "bad")

    def _export(self, name: str | None) -> None:
        if not name:
            return
        with self.told():
            path = Path(name).expanduser()
            if path.suffix.lower() not in _SUFFIXES:
                self.say(f"{path.name}: the name must end in {', '.join(_SUFFIXES)}", "warn")
            elif path.exists():
                self.push_screen(Confirm(f"{clean(str(path))} exists. Overwrite it?"), partial(self._overwrite, path))
            else:
                self.write(path)

    def _overwrite(self, path: Path, answer: bool | None) -> None:
        if answer:
            self.write(path)
        else:
            self.say("nothing written")

    def write(self, path: Path) -> None:
        """The view's table or the whole study, complete or not at all."""
        state = self.state
        with self.told():
            if path.suffix.lower() in {".json", ".parquet"}:
                if not state.measured:
                    raise InspectorError(f"Only {so_far(state)} are measured: a study is written once all are.")
                save(state.study.subset(state.order), path)
                what = "the whole study"
            else:
                table = self.view.table(state)
                with replacing(path) as temporary:
                    temporary.write_text(
                        table.csv() if path.suffix.lower() == ".csv" else table.text(), encoding="utf-8"
                    )
                what = f"{len(table.rows)} rows of {self.view.title}"
            self.say(f"wrote {what} to {path}", "good")

    def do_copy(self) -> None:
        with self.told():
            table = self.view.table(self.state)
            self.copy_to_clipboard(table.text())
            self.say(f"copied {self.view.title}: {len(table.rows)} rows", "good")

    def do_copy_command(self) -> None:
        if not self.state.size and self.state.view != TRAJECTORY:
            self.say("nothing is open", "warn")
            return
        with self.told():
            command = shell_command(self.state)
            self.copy_to_clipboard(command)
            self.say(f"copied: {command}", "good")

    def do_screenshot(self) -> None:
        path = Path(f"inspector-{self.state.view}-{datetime.now().astimezone():%Y%m%d-%H%M%S}.svg")
        with self.told():
            with replacing(path) as temporary:
                temporary.write_text(self.export_screenshot(), encoding="utf-8")
            self.say(f"wrote {path.resolve()}", "good")

    def do_theme(self) -> None:
        if self.no_color:
            self.say("NO_COLOR is set: the app stays without colour")
            return
        at = THEMES.index(self.theme) if self.theme in THEMES else -1
        self.theme = THEMES[(at + 1) % len(THEMES)]
        self.say(f"theme {self.theme.removeprefix('inspector-')}")

    def do_messages(self) -> None:
        self.unread = 0
        text = Text()
        marks = {"info": "  ", "good": "  ", "warn": "! ", "bad": "✗ "}
        for line, tone in reversed(self.log_lines):
            text.append(f"{marks[tone]}{line}\n")
        self.push_screen(Reader("Messages, newest first", lambda _width: text or Text("nothing was reported")))

    def do_details(self) -> None:
        if self.state.size:
            self.push_screen(Reader(self.state.name(self.state.row), self._details))

    def _details(self, width: int) -> Text:
        lines = details(self.state, self.ink, width)
        return Text("\n").join(Text.assemble(*((s.text, s.style or "") for s in line.segments)) for line in lines)

    def do_help(self) -> None:
        view = self.view
        self.push_screen(Reader(f"{view.title}: help", partial(help_text, view, self.state, self.ink)))

    def do_palette(self) -> None:
        self.action_command_palette()

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def do_suspend(self) -> None:
        self.action_suspend_process()

    def do_quit(self) -> None:
        self.exit(0)
