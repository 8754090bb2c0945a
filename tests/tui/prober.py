"""A Prober that measures nothing: one pair, a wait, then all; and an app around it."""

import threading
from dataclasses import replace
from types import SimpleNamespace

from textual.widgets import Static

from inspector.common.errors import CancelledError, InspectorError
from inspector.tui.app import InspectorApp
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, visit
from tests.tui.probed import with_digests, with_lmc
from tests.tui.test_workers import adapters_of


class FakeProber:
    """Measures one pair, waits to be released, then measures all."""

    def __init__(self) -> None:
        self.requests, self.asked, self.adapters = [], [], []
        self.release, self.refusal, self.failure = threading.Event(), "", ""
        self.caution = ""

    def estimate(self, adapters, study, request):
        self.asked.append(request)
        if self.refusal:
            raise InspectorError(self.refusal)
        return SimpleNamespace(text=f"at most {10 * len(request.pairs)} passes, about 40 s", caution=self.caution)

    def run(self, adapters, study, request, *, progress, partial, note, cancelled):
        self.requests.append(request)
        self.adapters.append([a.info.name for a in adapters])
        if self.failure:
            raise InspectorError(self.failure)
        note("out of memory: batches of 8 instead of 16")
        progress("loss 0.1·sft_s42 + 0.9·rft_s42 · 1,234 tokens/s · 3:20 min left", 3, 44)
        partial(with_lmc(study, pairs=((0, 1),)))
        while not self.release.wait(0.01):
            if cancelled():
                raise CancelledError
        return with_lmc(study)


def app_with(prober, n: int = 5, base: str = "org/base-135M") -> InspectorApp:
    study = with_digests(make_study(n, names=NAMES if n == 5 else (), layers=4))
    study = replace(study, adapters=tuple(replace(a, base=base) for a in study.adapters))
    app = InspectorApp(study=study)
    app.loaded = {adapter.info.name: adapter for adapter in adapters_of(study)}
    app.probers = SimpleNamespace(get=lambda: prober)
    return app


async def asks(pilot, view: str = "basins", *keys: str) -> None:
    """The question what to run, asked from a view."""
    await visit(pilot, view)
    await pilot.press(*keys, "p")
    await pilot.pause()


def told(app) -> str:
    return str(app.screen.query_one("#cost", Static).render())


def visible(app) -> str:
    """The dialog as it stands on the screen."""
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in lines)
