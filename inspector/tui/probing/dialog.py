"""What to run with the base model: asked once, explained where it cannot run, with its cost beforehand."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input, Static

from inspector.tui.messages import Estimated
from inspector.tui.probing.choices import Asked, ProbeChoices, Scene, Unfit
from inspector.tui.text import clean, plural
from inspector.tui.widgets.choice import Choice
from inspector.tui.widgets.dialogs import Dialog

if TYPE_CHECKING:
    from inspector.probes.request import Request

WHATS = (("lmc", "loss barriers"), ("cka", "CKA + lens depth"), ("intruders", "intruders"), ("accuracy", "accuracy"))
PROBES = {"lmc": ("lmc",), "cka": ("cka", "lens"), "intruders": ("intruders",), "accuracy": ("accuracy",)}
LOSSES = (("boxed", "of gold answers"), ("rollouts", "of rollouts in the file"))
PROMPTS = (("arithmetic", "arithmetic"), ("gsm8k", "gsm8k"), ("other", "other, or a file"))
DEFAULTS = {"lmc": "64", "cka": "100", "accuracy": "all"}
_ASKS = {
    "lmc": {"loss", "prompts", "limit", "pairs"},
    "cka": {"prompts", "limit", "pairs"},
    "accuracy": {"prompts", "limit"},
}
"""Fields beside what, base and device that a probe depends on."""
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_WAIT = 0.2


class ProbeDialog(Dialog[Asked | None]):
    """Enter runs, escape leaves, tab and the arrows move."""

    replaces = True
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(None)", "cancel"),
        ("enter", "run", "run"),
        Binding("down", "app.focus_next", "next field", priority=True),
        Binding("up", "app.focus_previous", "previous field", priority=True),
    ]

    def __init__(
        self, scene: Scene, choices: ProbeChoices, cost: Callable[[Request], tuple[str, bool]], serial: int = 0
    ) -> None:
        from inspector.probes.request import default_prompts

        super().__init__()
        base = choices.base if choices.base_for == scene.named else ""
        self.usual = default_prompts(base or scene.named)
        prompts = choices.prompts or self.usual
        self.choices = replace(choices, what=scene.preset or choices.what, base=base, prompts=prompts)
        self.scene, self.cost, self.serial, self.refused = scene, cost, serial, ""

    def compose(self) -> ComposeResult:
        chosen, scene = self.choices, self.scene
        listed = chosen.prompts if chosen.prompts in dict(PROMPTS) else "other"
        nobody = "no adapter names one: a Hub id, a folder, or smollm2"
        named = f"{clean(scene.named)} (as named)" if scene.named else nobody
        pairs = (("plotted", f"plotted ({len(scene.plotted)})"), ("all", f"all ({len(scene.every)})"))
        with Vertical(classes="dialog"):
            yield Static(Text(f"Run the base model with {plural(scene.adapters, 'adapter')}"), classes="question")
            with Vertical(classes="fields"):
                yield _row("run", Choice(WHATS, chosen.what, id="what"))
                yield _row("loss", Choice(LOSSES, chosen.loss, id="loss"))
                yield _row("base", _input("base", chosen.base, named))
                yield _row("prompts", Choice(PROMPTS, listed, id="prompts"))
                file = "" if listed != "other" else chosen.prompts
                yield _row("which", _input("file", file, "a .jsonl or .parquet file, or aime26"))
                yield _row("how many", _input("limit", str(chosen.limit or ""), ""))
                yield _row("device", _input("device", "" if chosen.device == "auto" else chosen.device, "auto"))
                yield _row("pairs", Choice(pairs, "all" if chosen.every_pair else "plotted", id="pairs"))
            yield Static(id="cost")
            yield Static(Text("enter runs · tab ↑ ↓ next field · ← → choose · esc leaves"), classes="hint")

    def on_mount(self) -> None:
        self.query_one("#what").focus()
        self._changed()

    def on_descendant_focus(self) -> None:
        """The row that the keys go to is marked."""
        for row in self.query(".field"):
            label, here = row.query_one(".label", Static), self.focused in row.children
            label.update(Text(f"{'▸' if here else ' '} {label.name}"))
            label.set_class(here, "here")

    @on(Input.Changed)
    @on(Choice.Changed)
    def _edited(self) -> None:
        self._changed()

    def on_input_submitted(self) -> None:
        self.action_run()

    def _value(self, name: str) -> str:
        field = self.query_one(f"#{name}")
        return field.value.strip() if isinstance(field, Input | Choice) else ""

    def _changed(self) -> None:
        """Show the fields that matter, then what it costs: a moment after the last key, in a thread."""
        what = self._value("what")
        asks = _ASKS.get(what, set()) | {"what", "base", "device"}
        asks |= {"file"} if "prompts" in asks and self._value("prompts") == "other" else set()
        for row in self.query(".field"):
            row.display = (row.id or "").removeprefix("row-") in asks
        self.query_one("#limit", Input).placeholder = f"{DEFAULTS.get(what, '')} (default)"
        self.serial += 1
        self.refused = ""
        try:
            asked = self.asked()
        except Unfit as unfit:
            self._tell(str(unfit), bad=True)
            return
        self._tell("cost: …")
        self.set_timer(_WAIT, partial(self._estimate, asked.request, self.serial))

    def _estimate(self, request: Request, serial: int) -> None:
        from inspector.tui import workers

        if serial == self.serial:
            job = partial(workers.cost, partial(self.cost, request), serial, self.post_message)
            self.run_worker(job, thread=True, group="cost", exclusive=True, exit_on_error=False)

    def on_estimated(self, message: Estimated) -> None:
        if message.serial == self.serial:
            self.refused = message.text if message.refused else ""
            self._tell(message.text if message.refused else f"cost: {message.text}", bad=message.refused)

    def _tell(self, text: str, *, bad: bool = False) -> None:
        line = self.query_one("#cost", Static)
        line.update(Text(("✗ " if bad else "") + clean(text)))
        line.set_class(bad, "bad")

    def asked(self) -> Asked:
        """The request as the fields say; raises Unfit for what cannot be."""
        from inspector.probes.request import Request

        choices = self.choices = self._choices()
        asks = _ASKS.get(choices.what, set())
        if not choices.base and not self.scene.named:
            raise Unfit("base", "base: no adapter names its base. Give a Hub id, a folder, or smollm2.")
        pairs: tuple[tuple[str, str], ...] = ()
        if "pairs" in asks:
            pairs = self.scene.every if choices.every_pair else self.scene.plotted
            if not pairs and (self.scene.every or choices.what == "lmc"):
                why = "one adapter is open: there is no pair yet." if not self.scene.every else "none is plotted: all?"
                raise Unfit("pairs", f"pairs: {why}")
        request = Request(
            PROBES[choices.what],
            base=choices.base or self.scene.named,
            prompts=(choices.prompts or self.usual) if "prompts" in asks else "",
            limit=choices.limit if "limit" in asks else 0,
            device=choices.device,
            pairs=pairs,
            loss=choices.loss if "loss" in asks else "boxed",
        )
        return Asked(request, choices)

    def _choices(self) -> ProbeChoices:
        """The fields as they stand; raises Unfit."""
        what, device, prompts = self._value("what"), self._value("device") or "auto", self._value("prompts")
        limit = self._value("limit") if what in _ASKS else str(self.choices.limit or "")
        if limit and not re.fullmatch(r"0*[1-9][0-9]{0,8}", limit):
            raise Unfit("limit", f"how many: {limit!r} is not a whole number above 0. Empty takes the default.")
        if not _DEVICE.fullmatch(device):
            raise Unfit("device", f"device: {device!r} is none of auto, cpu, cuda, cuda:1, mps.")
        if prompts == "other":
            prompts = self._file() if what in _ASKS else self.choices.prompts
        base = self._value("base")
        return ProbeChoices(
            what=what,
            loss=self._value("loss"),
            base=base,
            base_for=self.scene.named if base else "",
            prompts="" if prompts == self.usual else prompts,
            limit=int(limit or 0),
            device=device,
            every_pair=self._value("pairs") == "all",
        )

    def _file(self) -> str:
        """A set of problems by its name, or an existing file of them; raises Unfit."""
        from inspector.tasks.problems import BUNDLED, HUB

        name = self._value("file")
        if name in {*BUNDLED, *HUB}:
            return name
        if not name.lower().endswith((".jsonl", ".parquet")):
            raise Unfit("file", f"which: a file ending in .jsonl or .parquet, or one of {', '.join((*BUNDLED, *HUB))}.")
        with suppress(OSError, RuntimeError):  # too long a name; ~nobody
            path = Path(name).expanduser()
            if path.is_file():
                return str(path.resolve())
        raise Unfit("file", f"which: there is no file {name}.")

    def action_run(self) -> None:
        try:
            asked = self.asked()
        except Unfit as unfit:
            self._tell(str(unfit), bad=True)
            self.query_one(f"#{unfit.field}").focus()
            return
        if self.refused:
            self._tell(f"cannot run: {self.refused}", bad=True)
        else:
            self.dismiss(asked)


def _input(name: str, value: str, placeholder: str) -> Input:
    return Input(value, placeholder=placeholder, compact=True, select_on_focus=False, id=name)


def _row(label: str, field: Widget) -> Widget:
    """Label and field on one line."""
    return Horizontal(Static(name=label, classes="label"), field, classes="field", id=f"row-{field.id}")
