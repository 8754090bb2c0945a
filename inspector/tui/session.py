"""What is remembered between two starts: the view and its choices, and who was open."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from platformdirs import user_state_dir

from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.foreign import parse_json
from inspector.tui.probing.choices import ProbeChoices
from inspector.tui.state import AppState
from inspector.tui.views.base import View

METRICS = ("metric", "layers_metric", "rank_metric", "cka_metric")
"""Choices of the state that belong to the adapters they were made for."""


@dataclass
class Session:
    """The part of the state that outlives the app. Adapters and pairs are remembered by name."""

    view: str = "overview"
    layer: int = 0
    one_layer: bool = False
    filter: str = ""
    k: int = 0
    theme: str = ""
    adapters: list[list[str]] | None = None
    moved: bool = False
    """Whether their order is another than they were opened in."""
    cursor: list[str] | None = None
    pairs: list[list[str]] | None = None
    probe: dict[str, Any] | None = None
    """The last ProbeChoices."""
    claims: str = ""
    """The set that was looked at."""
    weights: dict[str, Any] | None = None
    """Of the sum, by name."""
    reference: str = ""
    """The name of the adapter that the others were shown against."""
    recent: list[str] | None = None
    """Sources that were opened, the newest first."""
    choices: dict[str, Any] = field(default_factory=dict)
    """What the views remember, beside these in the file."""

    @property
    def sources(self) -> list[str]:
        """`NAME=SOURCE` of everything that was open."""
        return [f"{name}={source}" for name, source in self.adapters or []]

    @property
    def elsewhere(self) -> Session:
        """Without the place that was looked at: what a start on sources of its own takes over."""
        return replace(self, view=Session.view, layer=0, one_layer=False, filter="", cursor=None)


def path() -> Path:
    return Path(user_state_dir("adapter-inspector", appauthor=False)) / "session.json"


def read() -> Session:
    """The last session; a missing or damaged file is an empty one."""
    try:
        found: Any = parse_json(path().read_bytes())
        if not isinstance(found, dict):
            return Session()
        of_all = {f.name: f.default for f in fields(Session)}
        known = {name: type(default) for name, default in of_all.items() if default is not None}
        lists = {"adapters", "cursor", "pairs", "recent"}
        kept: dict[str, Any] = {k: v for k, v in found.items() if k in known and type(v) is known[k]}
        kept |= {k: v for k, v in found.items() if k in lists and _strings(v)}
        kept |= {k: v for k, v in found.items() if k in {"probe", "weights"} and isinstance(v, dict)}
        return Session(
            **kept, choices={k: v for k, v in found.items() if k not in of_all and isinstance(v, str | bool)}
        )
    except (OSError, ValueError, TypeError):
        return Session()


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _strings(value: Any) -> bool:
    """Whether a value is a list of strings, or of pairs of strings."""
    if not isinstance(value, list):
        return False
    return all(isinstance(v, str) for v in value) or all(
        isinstance(v, list) and len(v) == 2 and all(isinstance(s, str) for s in v) for v in value
    )


def write(session: Session) -> None:
    """Whole or not at all: a crash or a full disk leaves the old session. An unwritable place is not an error."""
    target = path()
    with suppress(OSError, InspectorError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            found = asdict(session)
            temporary.write_text(json.dumps(found | found.pop("choices"), indent=1), encoding="utf-8")


def now(state: AppState, views: Iterable[View], theme: str) -> Session:
    """What to remember of a state and of the views."""
    names = [info.name for info in state.infos]
    everyone = state.study.names
    listed = [state.study.adapters[at] for at in state.arrangement]
    chosen = None if state.chosen is None else sorted([everyone[a], everyone[b]] for a, b in state.chosen)
    return Session(
        view=state.view,
        layer=state.layer,
        one_layer=state.one_layer,
        filter=state.filter,
        k=state.k,
        theme=theme,
        adapters=[[info.name, _findable(info.source)] for info in listed],
        moved=list(state.arrangement) != sorted(state.arrangement),
        cursor=[names[state.row], names[state.col]] if names else None,
        pairs=chosen,
        probe=asdict(state.probe),
        claims=state.judged.name if state.judged else "",
        recent=[_findable(source) for source in state.recent],
        weights={everyone[at]: weight for at, weight in state.mixture.weights.items()},
        reference="" if state.reference is None else everyone[state.reference],
        choices={name: value for view in views for name, value in view.chosen(state).items()},
    )


def _choices(found: dict[str, Any] | None) -> ProbeChoices:
    """Those remembered choices that are of the right kind."""
    default = ProbeChoices()
    kinds = {f.name: type(getattr(default, f.name)) for f in fields(ProbeChoices)}
    return replace(default, **{k: v for k, v in (found or {}).items() if k in kinds and type(v) is kinds[k]})


def _findable(source: str) -> str:
    """A local source by its full path: the next start may be in another folder."""
    try:
        return str(Path(source).expanduser().resolve()) if Path(source).expanduser().exists() else source
    except (OSError, RuntimeError, ValueError):  # too long a name, ~nobody, a NUL
        return source


def restore_choices(session: Session, state: AppState, views: Iterable[View]) -> None:
    """What needs no adapters: the view, and what the views remember, if it is a choice that there is."""
    for view in views:
        if view.id == session.view and view.there(state):
            state.view = view.id
        for name, _ in view.remembered:
            view.choose(state, name, session.choices.get(name))
    state.probe, state.recent = _choices(session.probe), tuple(filter(_is_text, session.recent or ()))


def restore_adapters(session: Session, state: AppState) -> None:
    """Order, cursor, layer, pairs, reference, weights, filter, as far as they are of adapters that are open again.

    Metrics chosen for others are not kept.
    """
    if state.row == state.col == 0:  # one adapter was there first
        state.col = 1
    ids = {name: at for at, name in enumerate(state.study.names)}
    remembered = [name for name, _ in session.adapters or []]
    open_ = [[info.name, _findable(info.source)] for info in state.study.adapters]
    if not any(adapter in open_ for adapter in session.adapters or []):
        session.filter = ""  # what others were narrowed to
        for metric in METRICS:
            setattr(state, metric, getattr(AppState, metric))
        state.bound()
        return
    if session.moved and set(remembered) == set(ids) and len(remembered) == len(ids):
        state.arrangement = tuple(ids[name] for name in remembered)
    state.reference = ids.get(session.reference)
    state.one_layer, state.layer = session.one_layer, session.layer
    shown = [info.name for info in state.infos]
    if session.cursor and len(session.cursor) == 2 and all(name in shown for name in session.cursor):
        state.row, state.col = (shown.index(name) for name in session.cursor)
    if session.pairs is not None and set(remembered) & set(ids):
        known = [(ids[a], ids[b]) for a, b in session.pairs if a in ids and b in ids and a != b]
        state.chosen = frozenset((min(p), max(p)) for p in known) if known or not session.pairs else None
    weights = {ids[name]: w for name, w in (session.weights or {}).items() if name in ids and type(w) is float}
    state.mixture.weights |= {at: w for at, w in weights.items() if math.isfinite(w)}
    state.bound()
