"""Every action once: its keys, its name, its help, where it applies. Keys, footer, palette, help come from here."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding
from textual.events import Key

from inspector.tui.state import CLAIMS, TRAJECTORY, VIEWS

_CURSOR = ("map", "accuracy")
_PAIRS = ("map", "layers", "angles", "pair", "basins", "cka", "accuracy")
_METRIC = ("map", "layers", "size", "basins", "cka", "merge", "sensitivity", TRAJECTORY)
_OPENING = tuple(view for view in _PAIRS if view != "pair")
_LIST = ("adapters", "map")
_WHOLE = {"objectives", "basins", "accuracy", "sensitivity", "summary"}
"""Views without layers."""
_LAYERED = tuple(view for view in VIEWS if view not in _WHOLE)
_SCRUB = tuple(view for view in _LAYERED if view != "map")
_FILTERED = tuple(view for view in _LAYERED if view != "cka")


_KEY_NAMES = {
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "enter": "⏎",
    "space": "␣",
    "escape": "esc",
    "delete": "del",
    "exclamation_mark": "!",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "ctrl+p": "^p",
    "ctrl+z": "^z",
}


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the user can do. `weight` above 0 asks for a place in the footer, larger first."""

    id: str
    keys: str
    label: str
    help: str
    views: tuple[str, ...] = VIEWS
    weight: int = 0
    footer_keys: str = ""
    """The keys of a whole group, where the footer shows one entry for it."""

    @property
    def display(self) -> str:
        """The keys as people know them: `↑/k`."""
        return "/".join(_KEY_NAMES.get(key, key) for key in self.keys.split())


ACTIONS: tuple[Action, ...] = (
    Action("go_adapters", "1", "Adapters", "who is open: ranks, scales, targets, norms, health"),
    Action("go_map", "2", "Map", "one number for every pair of adapters"),
    Action("go_layers", "3", "Layers", "a metric along the layers, for chosen pairs"),
    Action("go_angles", "4", "Angles", "principal angles of every pair against chance"),
    Action("go_size", "5", "Size & rank", "norms, effective ranks, singular spectra"),
    Action("go_pair", "6", "Pair", "everything about two adapters"),
    Action("go_objectives", "7", "Objectives", "the training losses written out, with their traps"),
    Action("go_basins", "8", "Basins", "the loss on the way from one adapter to the other, and its barriers"),
    Action("go_cka", "9", "CKA", "how alike the hidden states are, layer by layer"),
    Action("go_accuracy", "0", "Accuracy", "problems solved, with intervals and paired tests"),
    Action("go_merge", "W", "Merge", "what a weighted sum of the adapters would be"),
    Action("go_sensitivity", "R", "Sensitivity", "what seed and learning rate did, and which adapters share a start"),
    Action("go_summary", "S", "Summary", "the findings in plain sentences, each with the view behind it"),
    Action("go_claims", "C", "Claims", "published claims against what is open; asks for a set where none is looked at"),
    Action("go_trajectory", "T", "Trajectory", "a training over its steps, where one is watched (inspector watch RUN)"),
    Action("probe", "p", "run the base", "run the base model with the adapters: what, on which prompts, at what cost"),
    Action("next_view", "tab", "next view", "go to the next view"),
    Action("previous_view", "shift+tab", "previous view", "go to the previous view"),
    Action("up", "up k", "up", "move the cursor or scroll up"),
    Action("down", "down j", "down", "move the cursor or scroll down"),
    Action("left", "left h", "left", "move the cursor left", _CURSOR),
    Action("right", "right l", "right", "move the cursor right", _CURSOR),
    Action("page_up", "pageup", "page up", "ten rows up"),
    Action("page_down", "pagedown", "page down", "ten rows down"),
    Action("layer_down", "[", "layer −1", "move the layer slider down by one", _LAYERED, 60, "[ ]"),
    Action("layer_up", "]", "layer +1", "move the layer slider up by one", _LAYERED),
    Action(
        "scrub_down",
        "left h",
        "layer −1",
        "move the layer slider down by one (on the map: [)",
        _SCRUB,
    ),
    Action("scrub_up", "right l", "layer +1", "move the layer slider up by one (on the map: ])", _SCRUB),
    Action("layer_down_5", "{", "layer −5", "move the layer slider down by five", _LAYERED),
    Action("layer_up_5", "}", "layer +5", "move the layer slider up by five", _LAYERED),
    Action("layer_first", "home", "first layer", "move the layer slider to the first layer", _LAYERED),
    Action("layer_last", "end", "last layer", "move the layer slider to the last layer", _LAYERED),
    Action("first", "home", "first", "the first line, or finding", tuple(sorted(_WHOLE))),
    Action("last", "end", "last", "the last one", tuple(sorted(_WHOLE))),
    Action("scope", "g", "all layers / one", "switch between all layers and the slider's layer", _LAYERED, 55),
    Action(
        "next_metric",
        "m",
        "metric",
        "the next metric (Size & rank: the next definition of rank; Basins: the other loss)",
        _METRIC,
        80,
    ),
    Action("previous_metric", "M", "previous metric", "the previous metric", _METRIC),
    Action("filter", "f", "projection", "all projections, then each one: q_proj, k_proj, …", _FILTERED, 70),
    Action("open_pair", "enter", "open pair", "show everything about the pair under the cursor", _OPENING, 90),
    Action(
        "open_finding", "enter", "open its view", "show the view behind the finding under the cursor", ("summary",), 90
    ),
    Action(
        "details", "enter", "everything", "read all that is known of the adapter under the cursor", ("adapters",), 90
    ),
    Action("open_claim", "enter", "numbers", "the numbers behind the claim under the cursor", (CLAIMS,), 90),
    Action("toggle", "space", "toggle pair", "add the pair under the cursor to the plots, or drop it", _PAIRS, 85),
    Action("next_pair", "n", "next pair", "the next pair of the list", _PAIRS, 50, "n/N"),
    Action("previous_pair", "N", "previous pair", "the previous pair of the list", _PAIRS),
    Action("next_module", "n", "module", "the next module whose spectrum is shown", ("size",), 50, "n/N"),
    Action("previous_module", "N", "previous module", "the previous module", ("size",)),
    Action("step_back", "left h", "step −", "the checkpoint before", (TRAJECTORY,), 60, "←/→"),
    Action(
        "step_on", "right l", "step +", "the next checkpoint; after the last one the newest is followed", (TRAJECTORY,)
    ),
    Action("next_other", "n", "other run", "the next run that cosines are taken with", (TRAJECTORY,), 70, "n/N"),
    Action("previous_other", "N", "previous other run", "the one before", (TRAJECTORY,)),
    Action(
        "take_newest",
        "enter",
        "newest to 1–6",
        "open the newest adapter of every run in the other views, in place of older ones of the same runs",
        (TRAJECTORY,),
        90,
    ),
    Action("log", "v", "log σ", "logarithmic or linear spectrum", ("size",), 40),
    Action(
        "zoom", "v", "zoom", "draw close around the curves, or with the dashed line in sight", ("basins", "cka"), 60
    ),
    Action("similar", "s", "by similarity", "order the adapters by similarity, or as they were", _LIST, 45),
    Action("more_k", "+ =", "k +1", "principal angles of one more direction (measures again)", ("angles", "pair")),
    Action("fewer_k", "-", "k −1", "principal angles of one direction less", ("angles", "pair"), 75, "+/-"),
    Action("heavier", "+ =", "weight +", "0.1 more of the adapter under the cursor in the sum", ("merge",)),
    Action("lighter", "-", "weight −", "0.1 less of it; below 0 it is subtracted", ("merge",), 90, "+/-"),
    Action("leave_out", "space", "in/out", "leave the adapter under the cursor out of the sum, or not", ("merge",), 85),
    Action("weight", "enter", "type weight", "type the weight of the adapter under the cursor", ("merge",), 75),
    Action("more_rank", "n", "rank +1", "the energy that one rank more keeps", ("merge",), 65, "n/N"),
    Action("fewer_rank", "N", "rank −1", "the energy that one rank less keeps", ("merge",)),
    Action("open", "o", "open", "open another adapter: a path, or org/repo[@revision][:path]", weight=35),
    Action("rename", "r", "rename", "rename the adapter under the cursor", _LIST, 30),
    Action("remove", "x delete", "remove", "remove the adapter under the cursor from the list", _LIST, 25, "x"),
    Action("undo", "u", "undo", "undo the last removal, rename, reordering or weight of the sum", weight=5),
    Action("earlier", "<", "move up", "move the adapter under the cursor up", _LIST, 20, "< >"),
    Action("later", ">", "move down", "move the adapter under the cursor down", _LIST),
    Action(
        "export",
        "e",
        "export",
        "write this view (.csv, .txt) or the whole study (.json, .parquet) to a file",
        weight=15,
    ),
    Action("copy", "y", "copy", "copy this view as text (OSC 52)", weight=12),
    Action("copy_command", "Y", "copy command", "copy the command that prints these numbers"),
    Action("screenshot", "P", "screenshot", "write the screen as SVG"),
    Action("theme", "t", "theme", "dark, light, or the terminal's own colours"),
    Action("messages", "w exclamation_mark", "messages", "what has been reported so far, in full"),
    Action("cancel", "escape", "cancel", "stop the work in progress, keep what is there"),
    Action("palette", "ctrl+p", "commands", "search every command by name", weight=8),
    Action("help", "?", "help", "the keys of this view, and the definition of every number in it", weight=99),
    Action("suspend", "ctrl+z", "to the shell", "stop the app, as any program of a terminal; fg brings it back"),
    Action("quit", "q", "quit", "leave; the next start shows the same view", weight=98),
)

BY_ID = {action.id: action for action in ACTIONS}
_FOOTER_FIRST = {
    "adapters": ("details", "open", "rename", "remove", "earlier", "similar"),
    "objectives": ("down",),
    "basins": ("probe",),
    "cka": ("probe",),
    "accuracy": ("probe",),
}
_FOOTER_LABELS = {
    "layer_down": "layer",
    "fewer_k": "k",
    "lighter": "weight",
    "more_rank": "rank",
    "earlier": "move",
    "scope": "all/one layer",
    "down": "scroll",
    "step_back": "step",
}


def applies(action_id: str, view: str) -> bool:
    return _in(BY_ID[action_id], view)


def for_view(view: str) -> list[Action]:
    return [action for action in ACTIONS if _in(action, view)]


def _in(action: Action, view: str) -> bool:
    return view in action.views or (view in {CLAIMS, TRAJECTORY} and action.views == VIEWS)


def footer(view: str) -> list[tuple[str, str]]:
    """(keys, label) of a view's footer, most useful first, help and quit before all."""
    first = _FOOTER_FIRST.get(view, ())
    here = [a for a in for_view(view) if a.weight or a.id in first]
    wanted = sorted(here, key=lambda a: (a.weight < 98, a.id not in first, -a.weight))
    return [(action.footer_keys or action.display, _FOOTER_LABELS.get(action.id, action.label)) for action in wanted]


def named(event: Key) -> str:
    """A key that was pressed, as the table would name it."""
    return _KEY_NAMES.get(event.key, event.character if event.is_printable and event.character else event.key)


def bindings() -> list[Binding]:
    """The keys of every action; which of them act is decided by the view shown.

    With priority a key has acted before the next one is looked at: what was typed ahead over a slow line goes to
    the dialog that it opened.
    """
    return [
        Binding(",".join(action.keys.split()), f"app.act('{action.id}')", action.label, show=False, priority=True)
        for action in ACTIONS
        if action.id != "palette"
    ]
