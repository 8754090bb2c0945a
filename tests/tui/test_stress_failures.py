"""Whatever a worker, an export or a copy raises is a message on the screen, and the app goes on."""

import errno
from types import SimpleNamespace

import pytest
from textual.widgets import Static

from inspector.adapters import opening
from inspector.analysis import analyse
from inspector.common.errors import InspectorError
from inspector.merging import spectra
from inspector.study import aggregate, export
from inspector.tui import workers
from inspector.tui.app import InspectorApp
from inspector.tui.export import write
from inspector.tui.views.trajectory import watcher
from tests.makers import write_random
from tests.trajectory.training import trained
from tests.tui.helpers import app_with as saved_app
from tests.tui.helpers import area, settle, visit
from tests.tui.prober import app_with as probing_app
from tests.tui.prober import asks

pytestmark = pytest.mark.slow

ERRORS = {
    "input": InspectorError("Nothing can be done with it: take another."),
    "bug": RuntimeError("a bare one"),
    "memory": MemoryError("none left"),
    "disk": OSError(errno.ENOSPC, "No space left on device"),
}


@pytest.fixture(params=ERRORS)
def error(request):
    return ERRORS[request.param]


def raising(error):
    def fail(*_args, **_more):
        raise error

    return fail


async def told(pilot, app, error) -> None:
    """The error's words are on the screen, nothing is waited for, and keys still act."""
    words = str(error.strerror or error) if isinstance(error, OSError) else str(error)
    await settle(pilot, lambda: any(tone == "bad" and words in line for line, tone in app.log_lines))
    await settle(pilot, lambda: app.progress is None)
    assert app.state.probing == ""
    app.note = next((line, tone) for line, tone in reversed(app.log_lines) if words in line)
    app.repaint()
    assert words[:10] in area(app, "status").text or "w: more" in area(app, "status").text
    await pilot.press("w")
    assert words in " ".join(str(app.screen.query(Static).last().render()).split())
    await pilot.press("escape")
    await visit(pilot, "size")
    assert app.state.view == "size"


async def test_opening(monkeypatch, error):
    monkeypatch.setattr(opening, "iterate", raising(error))
    app = InspectorApp(["somewhere"])
    async with app.run_test(size=(80, 24)) as pilot:
        await told(pilot, app, error)


async def test_opening_in_a_way_nobody_foresaw(monkeypatch, error):
    """Not one of the worker's own catches: the worker itself ends in error."""
    monkeypatch.setattr(workers, "open_all", raising(error))
    app = InspectorApp(["somewhere"])
    async with app.run_test(size=(80, 24)) as pilot:
        await told(pilot, app, error)


async def test_measuring(monkeypatch, tmp_path, error):
    monkeypatch.setattr(analyse, "analyse", raising(error))
    app = InspectorApp([str(write_random(tmp_path / name)) for name in "ab"])
    async with app.run_test(size=(80, 24)) as pilot:
        await told(pilot, app, error)
        assert app.state.size == 2


async def test_filtering(monkeypatch, error):
    app = saved_app()
    async with app.run_test(size=(80, 24)) as pilot:
        monkeypatch.setattr(aggregate, "aggregate", raising(error))
        await visit(pilot, "map")
        await pilot.press("f")
        await told(pilot, app, error)


async def test_the_base(prober, error):
    prober.run = raising(error)
    app = probing_app(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot)
        await pilot.press("enter")
        await told(pilot, app, error)


async def test_the_cost_of_the_base(prober, error):
    prober.estimate = raising(error)
    app = probing_app(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        await pilot.press("p")
        await settle(pilot, lambda: str(error) in str(app.screen.query_one("#cost", Static).render()))
        await pilot.press("escape")
        await visit(pilot, "size")
        assert app.state.view == "size"


@pytest.mark.parametrize("where", ["scan", "update"])
async def test_watching(monkeypatch, tmp_path, error, where):
    monkeypatch.setattr(watcher, "EVERY", 0.05)
    if where == "scan":
        monkeypatch.setattr(watcher.Scanner, "scan", raising(error))
    else:
        monkeypatch.setattr(watcher.Meters, "get", lambda _self: SimpleNamespace(update=raising(error)))
    app = InspectorApp(watch=[str(trained(tmp_path / "sft", 10))])
    async with app.run_test(size=(80, 24)) as pilot:
        await told(pilot, app, error)


async def test_adding_up(monkeypatch, tmp_path, error):
    monkeypatch.setattr(spectra, "spectra", raising(error))
    app = InspectorApp([str(write_random(tmp_path / name, seed)) for seed, name in enumerate("ab")])
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(10):
            try:
                await settle(pilot, lambda: app.complete and app.state.study.blocks and app.progress is None)
            except AssertionError:
                continue
            break
        await visit(pilot, "merge")
        await told(pilot, app, error)


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".json", ".parquet"])
async def test_export(monkeypatch, tmp_path, error, suffix):
    old = tmp_path / f"old{suffix}"
    old.write_text("mine")
    app = saved_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for place in ("rows", "_head"):
            monkeypatch.setattr(export, place, raising(error))
        monkeypatch.setattr(app.view, "table", raising(error), raising=False)
        write(app, app.view, old)
        await told(pilot, app, error)
    assert old.read_text() == "mine"
    assert [path.name for path in tmp_path.glob("*old*")] == [old.name]


async def test_copy_and_screenshot(monkeypatch, tmp_path, error):
    app = saved_app()
    async with app.run_test(size=(80, 24)) as pilot:
        monkeypatch.setattr(app, "copy_to_clipboard", raising(error))
        monkeypatch.setattr(app, "export_screenshot", raising(error))
        for act in ("copy", "copy_command", "screenshot"):
            app.log_lines.clear()
            app.action_act(act)
            await told(pilot, app, error)
    assert not list(tmp_path.glob("*.svg"))
