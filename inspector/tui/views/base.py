"""What every view is: a place in a tab, a function of the state, a table behind it, and what its keys do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textual.strip import Strip

from inspector.study.metrics import DEFINITIONS
from inspector.tui.actions import Action
from inspector.tui.messages import ForView
from inspector.tui.opening.start import nothing_open
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import Line, clean, page, plural
from inspector.tui.theme import Ink


@dataclass(frozen=True, slots=True)
class Area:
    """Where to paint, and with what."""

    ink: Ink
    width: int
    height: int


class View(ABC):
    """One of the app's screens. Methods that are given the app are called by it alone, in its own thread."""

    id: str
    tab: str
    """The digit of its tab."""
    title: str
    hint: str
    """What it shows, in a line of the palette."""
    about: str = ""
    need: int = 0
    """How many adapters it takes."""
    scrolls: bool = False
    """Whether it is a text without a cursor."""
    lists: str = "adapters"
    """What is listed, that can be searched: adapters, modules or claims."""
    terms: tuple[tuple[str, str], ...] = ()
    """Words on it that are not metrics, with their meaning."""
    actions: tuple[Action, ...] = ()
    """Beside those of every view."""
    first: tuple[str, ...] = ()
    """Ids of the actions that the footer shows before others."""
    probe: str = ""
    """What has to be run for its numbers."""
    pairwise: str = ""
    """The metric that was asked for pair by pair."""
    shows: tuple[str, ...] = ()
    """Patterns of the metrics that are best seen here."""
    remembered: tuple[tuple[str, tuple[object, ...]], ...] = ()
    """Choices that the next start finds again, of the state or its own: their names, and what each can be."""
    suffix: str = ".csv"
    """Of the file that its table is written to, unless another is asked for."""

    @property
    def on_adapter(self) -> bool:
        """Whether the cursor is on an adapter, not on a sentence."""
        return True

    @abstractmethod
    def paint(self, state: AppState, area: Area) -> list[Strip]:
        """The view in exactly area.height strips of area.width cells."""

    @abstractmethod
    def table(self, state: AppState) -> Table:
        """Everything the view shows, also what is scrolled out of sight."""

    @abstractmethod
    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        """The metrics whose definitions its help explains."""

    def move(self, state: AppState, step: int) -> None:
        """Cursor or scroll, down for positive steps."""
        if self.scrolls:
            state.tops[self.id] = max(state.tops.get(self.id, 0) + step, 0)
            return
        state.row = min(max(state.row + step, 0), max(state.size - 1, 0))
        state.face_reference()

    def reach(self, state: AppState, line: int, here: int) -> None:
        """The cursor to a line of the view that was pointed at, from the line it is on."""
        self.move(state, line - here)

    def pick(self, state: AppState, x: int, y: int) -> bool:  # noqa: ARG002
        """The cursor to the cell of a map that was pointed at; whether one was."""
        return False

    def across(self, state: AppState, step: int) -> None:
        """Cursor to the right for positive steps."""
        state.step_column(step)

    def cycle(self, state: AppState, step: int) -> str | None:  # noqa: B027 - few have more than one
        """Choose the next metric or the previous one; what there is to say of that."""

    def shell_command(self, state: AppState) -> list[str]:
        """The words of the command that prints these numbers; none while there is nothing to print."""
        return self.analyze(state)

    def analyze(self, state: AppState, *metrics: str, of: Sequence[int] = (), probe: Sequence[str] = ()) -> list[str]:
        """`inspector analyze NAME=SOURCE … --metric cosine --modules q_proj`, of all adapters or of those positions."""
        settings, infos = state.shown.settings, [state.infos[at] for at in of or range(state.size)]
        words = ["inspector", "analyze", *(f"{info.name}={info.source}" for info in infos), *probe]
        for metric in metrics:
            words += ["--metric", metric]
        words += ["--modules", state.filter] if state.filter else []
        words += ["--k", str(settings.k)] if settings.k != 10 else []
        return [*words, *settings.reading] if infos else []

    def choose(self, state: AppState, name: str, value: object) -> None:
        """Make one of the choices that are remembered, if there is such a choice."""
        home = self._home(state, name)
        if value in dict(self.remembered)[name] and type(value) is type(getattr(home, name)):
            setattr(home, name, value)

    def chosen(self, state: AppState) -> dict[str, Any]:
        """The choices to remember, by name."""
        return {name: getattr(self._home(state, name), name) for name, _ in self.remembered}

    def _home(self, state: AppState, name: str) -> Any:
        return state if hasattr(state, name) else self

    # What the app asks; it is Any here, since the app knows its views and not they its class

    def there(self, state: AppState) -> bool:  # noqa: ARG002
        """Whether it is in its tab."""
        return True

    def enter(self, app: Any) -> None:
        """It was asked for by its name."""
        app.go(self.id)

    def start(self, app: Any) -> None:  # noqa: B027 - few have something to start
        """The app begins: what works for the view all along."""

    def preset(self, state: AppState) -> str:  # noqa: ARG002
        """What is offered first where the base is to be run."""
        return self.probe

    def prepare(self, app: Any) -> None:  # noqa: B027 - few take long
        """Begin what it needs and takes long, before it is painted."""

    def receive(self, app: Any, message: ForView) -> None:  # noqa: B027 - few have workers
        """Take what its own workers report."""

    @property
    def by_name(self) -> Action:
        """How the palette leads here; keys lead to its tab."""
        return Action(
            f"go_{self.id}", "", self.title, self.hint, lambda _view, app: self.enter(app), footer_keys=self.tab
        )

    @property
    def slides(self) -> bool:
        """Whether the layer slider is of any use here."""
        return any(action.id == "layer_up" for action in self.actions)

    # Parts of what it paints

    def place(self, state: AppState) -> str:
        """`all layers · q_proj · 30 modules`: what the numbers run over."""
        filter_ = f" · {clean(state.filter)} only" if state.filter else ""
        pending = " (filtering …)" if state.pending else ""
        modules, so_far = int(state.counted().sum()), state.counted_so_far
        if not state.measured and so_far < modules:
            return f"{state.where}{filter_}{pending} · only {so_far} of {plural(modules, 'module')} so far"
        return f"{state.where}{filter_}{pending} · {plural(modules, 'module')}"

    def empty(self, state: AppState, area: Area, need: int) -> list[Strip] | None:
        """What to say while there are too few adapters, or None."""
        if state.size >= need:
            return None
        hidden = len(state.arrangement) - state.size
        if not state.size and not hidden:
            return page([Line(), *nothing_open(state, area.ink, area.width)], area.width, area.height)
        so_far = " so far" if state.opening else ""
        have = f"One adapter is open{so_far}; this view compares two."
        hint = Line("  ").add("o", area.ink.accent).add(" opens a path, or a Hub id org/repo[@revision][:path]")
        if hidden:
            few = "No" if not state.size else "Only one"
            have = f"{few} adapter of {len(state.arrangement)} has “{clean(state.finds['adapters'])}” in its name."
            hint = Line("  ").add("esc", area.ink.accent).add(" shows all of them again")
        return page([Line(), Line("  " + have, area.ink.bold), Line(), hint], area.width, area.height)

    def waiting(self, state: AppState, area: Area) -> list[Strip] | None:
        """What a view that judges says while numbers are missing, which would change its verdicts; or None."""
        if state.measured:
            return None
        said = f"  Only {so_far(state)} are measured: this view waits for all of them."
        return page([Line(), Line(said, area.ink.bold)], area.width, area.height)


def so_far(state: AppState) -> str:
    """`28 of 120 modules`."""
    return f"{state.counted_so_far} of {plural(int(state.counted().sum()), 'module')}"


def window(top: int, cursor: int, height: int, count: int) -> int:
    """The first visible row, moved no further than needed to keep the cursor in sight."""
    top = min(top, cursor)
    top = max(top, cursor - height + 1)
    return max(min(top, count - height), 0)


def rows_shown(top: int, height: int, count: int, noun: str) -> str:
    """` · adapters 3–12 of 64` when not all fit, else nothing."""
    if count <= height:
        return ""
    return f" · {noun} {top + 1}–{min(top + height, count)} of {count}"


def metric_title(metric: str) -> str:
    return DEFINITIONS[metric].title


def tidy(value: float) -> str:
    """A number for a file: all its digits, empty for n/a."""
    return "" if value != value else repr(float(value))  # noqa: PLR0124 - NaN


def scrolled(lines: Sequence[Line], state: AppState, view: str, area: Area) -> list[Strip]:
    """A long text from its scroll position on, with a mark where more follows."""
    last = max(len(lines) - area.height, 0)
    top = state.tops[view] = min(max(state.tops.get(view, 0), 0), last)
    shown = list(lines[top : top + area.height])
    if last and shown:
        mark = f" {'↑' if top else ' '}{'↓' if top < last else ' '} {top + len(shown)}/{len(lines)} "
        shown[0].end(mark, area.width, area.ink.dim)
    return page(shown, area.width, area.height)
