"""The command palette, and the shell command that prints what a view shows."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from inspect import unwrap
from pathlib import Path

from textual import work
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.css.query import NoMatches

from inspector.tui.actions import ACTIONS, Action
from inspector.tui.numbers import Pair
from inspector.tui.screens.basins import shown_loss
from inspector.tui.screens.dialogs import Dialog
from inspector.tui.screens.probed import measured_pairs
from inspector.tui.state import CLAIMS, TRAJECTORY, AppState

_OF_VIEW = {
    "adapters": ("norm", "effective_rank"),
    "angles": ("principal_angle",),
    "objectives": (),
    "pair": (),
    "basins": (),
    "cka": (),
    "accuracy": (),
}
_PROBE_OF_VIEW = {"basins": "lmc", "cka": "cka", "accuracy": "accuracy"}


class ActionCommands(Provider):
    """Every action of the table by name."""

    def _entries(self) -> Sequence[tuple[str, Action]]:
        return [(f"{action.label}  ({action.display})", action) for action in ACTIONS]

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


def shell_command(state: AppState) -> str:
    """`inspector analyze NAME=SOURCE … --metric cosine --modules q_proj`."""
    if state.view == TRAJECTORY:
        against = ["--against", state.watched.against] if state.watched.against else []
        return shlex.join(["inspector", "watch", *state.watched.roots, "--table", *against])
    reading = state.shown.settings.reading
    if state.view == "merge":
        return shlex.join(["inspector", "merge-preview", *_weighted(state), *reading])
    if state.view == CLAIMS and state.judged is not None:
        sources = [f"{info.name}={info.source}" for info in state.infos]
        return shlex.join(["inspector", "verify", state.judged.name, "--adapters", *sources, *reading])
    metrics = {"map": (state.metric,), "layers": (state.layers_metric,), "size": ("norm", state.rank_metric)}
    words = ["inspector", "analyze"]
    infos = state.infos
    if state.view == "pair" and state.pair is not None:
        infos = tuple(infos[at] for at in state.pair)
    words += [f"{info.name}={info.source}" for info in infos]
    words += _probe_words(state)
    for metric in metrics.get(state.view, _OF_VIEW.get(state.view, ())):
        words += ["--metric", metric]
    if state.filter:
        words += ["--modules", state.filter]
    if state.shown.settings.k != 10:
        words += ["--k", str(state.shown.settings.k)]
    words += reading
    return shlex.join(words)


def _weighted(state: AppState) -> list[str]:
    """`NAME=SOURCE:WEIGHT …`, those that count, and `--rank R`."""
    weighed = [(info, state.mixture.weight(at)) for info, at in zip(state.infos, state.order, strict=True)]
    words = [f"{info.name}={info.source}:{w:g}" for info, w in weighed if w and info.everywhere and info.scaled]
    return [*words, *(["--rank", str(state.mixture.rank)] if state.mixture.rank else [])]


def _probe_words(state: AppState) -> list[str]:
    """`--probe lmc --base … --prompts … --limit 64 --pair a:b`, as the numbers of this view were measured."""
    probe = _PROBE_OF_VIEW.get(state.view)
    if probe is None:
        return []
    suffix = shown_loss(state) if probe == "lmc" else ""
    words = ["--probe", probe, *(["--loss", "rollouts"] if suffix else [])]
    info = state.study.probe(f"{probe}{suffix}")
    if info is not None:
        file = Path(state.probe.prompts)  # a study knows the name of a file, not where it is
        prompts = state.probe.prompts if file.name == info.prompts else info.prompts
        words += ["--base", info.base, "--prompts", prompts, "--limit", str(info.examples)]
    metric = {"lmc": f"lmc_loss{suffix}", "cka": "cka"}.get(probe, "")
    pairs = measured_pairs(state, metric) if metric else set[Pair]()
    if 0 < len(pairs) < len(state.pairs):
        for a, b in sorted(pairs):
            words += ["--pair", f"{state.infos[a].name}:{state.infos[b].name}"]
    return words
