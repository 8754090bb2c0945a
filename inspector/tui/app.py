"""The app: what it is opened on, what it remembers, how it is left."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.command import Provider

from inspector.common.assets import DEMO
from inspector.study.study import Settings, Study
from inspector.tui import session
from inspector.tui.adapter_list import AdapterList, named, nobody
from inspector.tui.everywhere import EVERYWHERE
from inspector.tui.opening.offers import KEPT, recently
from inspector.tui.palette import ActionCommands, Palette
from inspector.tui.plotting import warm_up
from inspector.tui.state import AppState
from inspector.tui.text import plural
from inspector.tui.theme import THEMES, themes
from inspector.tui.view_list import VIEWS
from inspector.tui.views.claims.actions import take_claims
from inspector.tui.views.claims.state import NOTHING, Published
from inspector.workflows.demo import is_demo

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


class InspectorApp(AdapterList):
    """Sources are opened after the first frame; a study is shown as it is."""

    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ActionCommands}

    def __init__(  # noqa: PLR0913 - each is another thing it may be opened on
        self,
        sources: Sequence[str] = (),
        *,
        study: Study | None = None,
        k: int = 10,
        watch: Sequence[str] = (),
        against: str = "",
        read_options: ReadOptions | None = None,
        published: Published = NOTHING,
        demo: bool = False,
    ) -> None:
        state = AppState.of(study or nobody(Settings(k=k)), k)
        super().__init__(state, [view() for view in VIEWS], EVERYWHERE)
        left = session.read()
        self.session = left.elsewhere if sources or study is not None or watch or demo else left
        session.restore_choices(self.session, self.state, self.views.values())
        if study is not None:
            self.state.k = study.settings.k
            session.restore_adapters(self.session, self.state)
        self.read_options = read_options
        self.published, self.reference = published, published.reference
        self.asked = list(sources) or ([] if study is not None or watch or demo else self.session.sources)
        self.demo = demo or (not sources and bool(self.asked) and is_demo(self.session.adapters or []))
        if self.demo or self.asked:
            self.state.opening = plural(len(DEMO), "adapter") if self.demo else named(self.asked)
        if sources and len(sources) <= KEPT // 2:  # more would leave none of those before
            self.state.recent = recently(self.state.recent, sources)
        self.state.watched.roots, self.state.watched.against = tuple(watch), against
        self.go("trajectory" if watch else self.state.view)
        for theme in themes():
            self.register_theme(theme)
        remembered = self.session.theme if self.session.theme in THEMES else THEMES[0]
        self.theme = "inspector-terminal" if self.no_color else remembered

    def on_mount(self) -> None:
        # A dropped connection, or `kill`: leave in order, so that the next start opens here.
        for name in ("SIGHUP", "SIGTERM"):
            if hasattr(signal, name) and threading.current_thread() is threading.main_thread():
                asyncio.get_running_loop().add_signal_handler(getattr(signal, name), self._leave)
        if self.state.study.adapters and self.session.filter in self.state.study.projections:
            self.refilter(self.session.filter)
        again = self.session.claims if self.asked and self.asked == self.session.sources else ""
        if claims := self.published.claims or again:
            show = self.published.show or self.session.view == "claims"
            self.call_after_refresh(take_claims, self, claims, show=show)
        if self.demo:
            self.call_after_refresh(self.open_demo)
        elif self.asked:
            self.call_after_refresh(self.open_sources, self.asked)
        for view in self.views.values():
            view.start(self)
        self.call_after_refresh(self.run_worker, warm_up, thread=True, group="warm-up", exit_on_error=False)

    def _leave(self) -> None:
        """Interrupted; the session first: what follows may fail on a terminal that is gone."""
        self._write_session()
        self.exit(return_code=130)

    def on_unmount(self) -> None:
        self._write_session()

    def _write_session(self) -> None:
        if self.state.size:
            session.write(
                session.now(self.state, self.views.values(), self.theme if not self.no_color else self.session.theme)
            )

    def watch_theme(self) -> None:
        self.call_after_refresh(self.repaint)

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def run_to_end(self, *, mouse: bool = False) -> int:
        """Until it is left; the exit code. Without the mouse the terminal's own selection of text works."""
        self.run(mouse=mouse)
        return self.return_code or 0
