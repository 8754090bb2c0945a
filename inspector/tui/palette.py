"""The command palette: every action by its name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from inspect import unwrap

from textual import work
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.css.query import NoMatches

from inspector.tui.actions import Action
from inspector.tui.shell import Shell
from inspector.tui.widgets.dialogs import Dialog


class ActionCommands(Provider):
    """The actions of all views."""

    def _entries(self) -> Sequence[tuple[str, Action]]:
        assert isinstance(self.app, Shell)
        return [(f"{action.label}  ({action.display})", action) for action in self.app.every_action]

    async def discover(self) -> Hits:
        for title, action in self._entries():
            yield DiscoveryHit(title, partial(self._run, action.id), text=title, help=action.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, action in self._entries():
            score = max(matcher.match(title), matcher.match(action.help) * 0.8)
            if score > 0:
                yield Hit(score, matcher.highlight(title), partial(self._run, action.id), text=title, help=action.help)

    async def _run(self, action_id: str) -> None:
        await self.app.run_action(f"app.act('{action_id}')")


class Palette(CommandPalette, Dialog[None]):
    """The palette for quick fingers: Textual 8.2 ends the app where its list is gone already, or not laid out yet."""

    @work(exclusive=True, group=CommandPalette._GATHER_COMMANDS_GROUP)  # noqa: SLF001 - what its other methods cancel
    async def _gather_commands(self, search_value: str) -> None:
        with suppress(NoMatches):
            await unwrap(CommandPalette._gather_commands)(self, search_value)  # noqa: SLF001

    def _action_command_list(self, action: str) -> None:
        with suppress(NoMatches, KeyError):
            super()._action_command_list(action)
