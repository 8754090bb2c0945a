"""What workers tell the app. Floods are coalesced: the latest progress or snapshot replaces those waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.message import Message

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.study.study import Study

Tone = Literal["info", "good", "warn", "bad"]


@dataclass
class Progress(Message):
    """How far the work of one generation is."""

    generation: int
    text: str
    done: int = 0
    total: int = 0

    def can_replace(self, message: Message) -> bool:
        """Whether a waiting message makes this one obsolete."""
        return isinstance(message, Progress) and message.generation == self.generation


@dataclass
class Opened(Message):
    """One adapter's headers were read."""

    generation: int
    adapter: Adapter
    order: tuple[int, int] = (0, 0)
    """Its place among the sources: those on this machine arrive first."""


@dataclass
class OpeningDone(Message):
    """Every source was tried; failures in words."""

    generation: int
    failures: Sequence[str]
    cancelled: bool = False


@dataclass
class Aligned(Message):
    """The adapters of a measurement under common ids."""

    generation: int
    adapters: Sequence[Adapter]


@dataclass
class Snapshot(Message):
    """The numbers so far, or all of them."""

    generation: int
    study: Study
    complete: bool

    def can_replace(self, message: Message) -> bool:
        same = isinstance(message, Snapshot) and message.generation == self.generation
        return same and not self.complete


@dataclass
class Probed(Message):
    """The study with what a probe measured so far, or all of it."""

    generation: int
    study: Study
    complete: bool
    seconds: float = 0.0

    def can_replace(self, message: Message) -> bool:
        same = isinstance(message, Probed) and message.generation == self.generation
        return same and not self.complete


@dataclass
class Estimated(Message):
    """What a request will cost, in words, or why it cannot run; only the last one asked for is shown."""

    serial: int
    text: str
    refused: bool = False


@dataclass
class Filtered(Message):
    """The study over one projection's modules; only the last one asked for is shown."""

    serial: int
    projection: str
    study: Study


@dataclass
class Stopped(Message):
    """Work ended without a result: cancelled, or an error in words."""

    generation: int
    text: str
    tone: Tone = "bad"


@dataclass
class Noted(Message):
    """A short report, such as a file that was written."""

    text: str
    tone: Tone = "info"


class ForView(Message):
    """What the worker of one view reports: that view takes it, whichever is shown."""

    view: ClassVar[str]
