"""The bundled adapters and the study of them that ships, read in a thread. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from inspector.common.assets import demo_sources
from inspector.common.errors import CancelledError
from inspector.tui.messages import Noted, Opened, OpeningDone
from inspector.tui.workers import Cancelled, Post

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.study.study import Study


@dataclass
class DemoRead(Message):
    """The bundled adapters, and everything that was measured of them."""

    generation: int
    adapters: Sequence[Adapter]
    study: Study


def read_demo(generation: int, post: Post, cancelled: Cancelled) -> None:
    """Post a DemoRead; adapters that are not those of the study that ships are opened to be measured."""
    try:
        from inspector.adapters.alignment import aligned
        from inspector.adapters.opening import open_sources
        from inspector.workflows.demo import shipped_study

        adapters, failures = open_sources(demo_sources(), cancelled=cancelled)
        study = shipped_study(adapters)
        if study is not None:
            post(DemoRead(generation, aligned(adapters), study))
            return
        post(Noted("the study that ships is missing, or of other adapters: these are measured now", "warn"))
        for n, adapter in enumerate(adapters):
            post(Opened(generation, adapter, (n, 0)))
        post(OpeningDone(generation, [str(failure) for failure in failures]))
    except CancelledError:
        post(OpeningDone(generation, [], cancelled=True))
    except Exception as error:  # noqa: BLE001 - whatever a reader raises must not end the app
        post(OpeningDone(generation, [f"Opening the demo stopped: {type(error).__name__}: {error}"]))
