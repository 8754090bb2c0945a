"""Saved studies, and the one that ships of the bundled adapters, read in a thread. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from inspector.common.assets import demo_sources
from inspector.common.errors import CancelledError, InspectorError
from inspector.tui.messages import Noted, Opened, OpeningDone
from inspector.tui.workers import Cancelled, Post

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.study.study import Study


@dataclass
class StudyRead(Message):
    """A study; the adapters that it is of, if they are the bundled ones."""

    generation: int
    study: Study
    adapters: Sequence[Adapter] = ()


def read_study(path: str, generation: int, post: Post, _cancelled: Cancelled) -> None:
    """Post a StudyRead, or why the file is none."""
    from inspector.study.export import load

    try:
        post(StudyRead(generation, load(path)))
    except InspectorError as error:
        post(OpeningDone(generation, [str(error)]))
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises must not end the app
        post(OpeningDone(generation, [f"Opening {path} stopped: {type(error).__name__}: {error}"]))


def read_demo(generation: int, post: Post, cancelled: Cancelled) -> None:
    """Post a StudyRead; adapters that are not those of the study that ships are opened to be measured."""
    try:
        from inspector.adapters.alignment import aligned
        from inspector.adapters.opening import open_sources
        from inspector.workflows.demo import shipped_study

        adapters, failures = open_sources(demo_sources(), cancelled=cancelled)
        study = shipped_study(adapters)
        if study is not None:
            post(StudyRead(generation, study, aligned(adapters)))
            return
        post(Noted("the study that ships is missing, or of other adapters: these are measured now", "warn"))
        for n, adapter in enumerate(adapters):
            post(Opened(generation, adapter, (n, 0)))
        post(OpeningDone(generation, [str(failure) for failure in failures]))
    except CancelledError:
        post(OpeningDone(generation, [], cancelled=True))
    except Exception as error:  # noqa: BLE001 - whatever a reader raises must not end the app
        post(OpeningDone(generation, [f"Opening the demo stopped: {type(error).__name__}: {error}"]))
