"""Names and findings of hostile files in the app: text, on every view, and no more than text."""

from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.study.study import Settings
from inspector.tui.app import InspectorApp
from tests.hostile.make import CASES, make
from tests.tui.helpers import VIEWS, everything, visit

NAMES = ("weights: a name of escapes and markup", "weights: a name of markup alone", "config: base of escapes")


async def test_markup_is_shown_as_text_on_every_view(tmp_path):
    paths = [make(case, tmp_path / "[bold]evil[/]") for case in CASES if case.name in NAMES]
    adapters, failures = open_sources([f"[red]{n}={path}" for n, path in enumerate(paths)])
    assert not failures
    app = InspectorApp(study=analyse(adapters, Settings(k=2)))
    shown = ""
    async with app.run_test(size=(120, 40)) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
            await pilot.pause()
            text = everything(app)
            assert all(c.isprintable() or c == "\n" for c in text)
            shown += text
    assert "[red]0" in shown
    assert "[red]name[/red]" in shown
