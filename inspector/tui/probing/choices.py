"""What is asked of the base model, as plain data: remembered, offered, decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspector.probes.request import Request


@dataclass(frozen=True, slots=True)
class ProbeChoices:
    """What was last asked of the base model; empty and 0 stand for the defaults."""

    what: str = "lmc"
    loss: str = "boxed"
    base: str = ""
    base_for: str = ""
    """What the adapters themselves name where `base` was chosen: another family has another base."""
    prompts: str = ""
    limit: int = 0
    device: str = "auto"
    every_pair: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What the dialog is about: adapters and pairs by name."""

    preset: str
    named: str
    """The base the adapters name."""
    plotted: tuple[tuple[str, str], ...]
    every: tuple[tuple[str, str], ...]
    adapters: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What was decided."""

    request: Request
    choices: ProbeChoices


class Unfit(Exception):  # noqa: N818 - a value that does not fit, not a failure
    """A field's value cannot be used: which, and why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field
