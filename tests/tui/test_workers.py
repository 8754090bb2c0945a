"""Opening and measuring in the background: order, progress, cancel, late results, failures."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.adapters.options import ReadOptions
from inspector.study.study import Settings
from inspector.tui import workers
from inspector.tui.app import InspectorApp
from inspector.tui.messages import Filtered, Opened, OpeningDone, Progress, Snapshot, Stopped
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, app_with, area, body, settle, visit


def adapters_of(study) -> list[Adapter]:
    modules = {m: LoraModule(m, 576, 576, 8, Scale(2.0, "α/r"), "float32", f"model.layers.{m}") for m in study.modules}
    return [Adapter(info, modules, load=lambda _m: (_ for _ in ()).throw(AssertionError)) for info in study.adapters]


@pytest.fixture
def backstage(monkeypatch):
    """Stand-ins for opening and measuring, held back until released."""
    study = make_study(3, layers=4)
    stage = SimpleNamespace(study=study, measured=[], read_options=[], release=threading.Event(), failures=[])

    def open_all(sources, read_options, taken, generation, post, cancelled):
        stage.read_options.append(read_options)
        for n, adapter in enumerate(adapters_of(study)):
            name = adapter.info.name + ("-2" if adapter.info.name in taken else "")
            post(Opened(generation, replace(adapter, info=replace(adapter.info, name=name)), (0, n)))
        post(OpeningDone(generation, stage.failures))

    def measure(adapters, settings, generation, post, cancelled):
        stage.measured.append(([a.info.name for a in adapters], settings.k))
        post(Progress(generation, "analysing 5/16 modules", 5, 16))
        part = {key: np.where(np.arange(values.shape[-1]) >= 0, values, values) for key, values in study.blocks.items()}
        post(Snapshot(generation, replace(study, blocks=part), complete=False))
        while not stage.release.wait(0.01):
            if cancelled():
                post(Stopped(generation, "cancelled: what was measured so far stays", "warn"))
                return
        names = [a.info.name for a in adapters]
        done = make_study(len(names), layers=4, k=settings.k, names=tuple(names))
        post(Snapshot(generation, done, complete=True))

    monkeypatch.setattr(workers, "open_all", open_all)
    monkeypatch.setattr(workers, "measure", measure)
    yield stage
    stage.release.set()


async def test_list_then_numbers_then_done(backstage):
    app = InspectorApp(["a", "b", "c"])
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "analysing 5/16 modules" in area(app, "status").text)
        assert "run_2" in body(app)
        await settle(pilot, lambda: app.state.study.blocks)
        assert not app.complete
        backstage.release.set()
        await settle(pilot, lambda: app.progress is None)
        assert app.complete
        assert {app.state.row, app.state.col} == {0, 1}, "a pair, though one adapter was there first"
        assert backstage.measured == [(["run_0", "run_1", "run_2"], 10)]


async def test_what_is_being_opened_is_said(monkeypatch):
    opened, may = threading.Event(), threading.Event()

    def open_all(sources, read_options, taken, generation, post, cancelled):
        may.wait(30)
        post(Opened(generation, adapters_of(make_study(1, layers=4))[0], (0, 0)))
        opened.wait(30)
        post(OpeningDone(generation, ["two: no such folder"]))

    monkeypatch.setattr(workers, "open_all", open_all)
    monkeypatch.setattr(workers, "measure", lambda *_rest: None)
    app = InspectorApp(["one", "two"])
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        assert "Reading 2 sources …" in body(app)
        assert "reading 2 sources" in area(app, "status").text
        may.set()
        await settle(pilot, lambda: "One adapter is open so far; this view compares two." in body(app))
        opened.set()
        await settle(pilot, lambda: "One adapter is open; this view compares two." in body(app))


async def test_cancel_keeps_what_is_there(backstage):
    app = InspectorApp(["a"])
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.state.study.blocks)
        await pilot.press("escape")
        await settle(pilot, lambda: app.progress is None)
        assert "cancelled" in area(app, "status").text
        assert "run_0" in body(app)


async def test_another_k_measures_again_and_late_results_are_dropped(backstage):
    app = InspectorApp(["a"])
    backstage.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.progress is None and app.complete and app.state.study.blocks)
        old = app.generation
        backstage.release.clear()
        await visit(pilot, "angles")
        await pilot.press("-", "-")
        assert app.state.k == 6
        late = make_study(3, layers=4, seed=9)
        app.post_message(Snapshot(old, late, complete=True))
        app.post_message(Filtered(-1, "", late))
        app.post_message(Progress(old, "late", 1, 2))
        await pilot.pause()
        assert app.state.study is not late
        assert "late" not in area(app, "status").text
        backstage.release.set()
        await settle(pilot, lambda: app.progress is None)
        assert app.state.study.settings.k == 6
        assert "k = 6" in body(app)


async def test_opening_more_keeps_names_apart_and_measures_everyone(backstage):
    app = InspectorApp(["a"])
    backstage.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.progress is None and app.state.study.blocks)
        await visit(pilot, "adapters")
        await pilot.press("pageup", "x", "o", *"b", "enter")
        await settle(pilot, lambda: len(backstage.measured) == 2 and app.progress is None)
        names = ["run_1", "run_2", "run_0", "run_1-2", "run_2-2"]
        assert backstage.measured[1][0] == names
        assert app.state.names == tuple(names)


async def test_a_saved_study_that_cannot_be_read_again_stays(backstage):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("o", *"b", "enter")
        await settle(pilot, lambda: app.log_lines)
        assert "stays as it is" in app.note[0]
        assert app.state.names == NAMES
        assert backstage.measured == []


async def test_failing_sources_are_messages(backstage):
    backstage.failures = ["nowhere: no such folder"]
    backstage.release.set()
    app = InspectorApp(["nowhere"])
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.log_lines)
        assert ("nowhere: no such folder", "bad") in app.log_lines


def test_a_progress_flood_is_coalesced_within_its_generation():
    assert Progress(1, "a").can_replace(Progress(1, "b"))
    assert not Progress(2, "a").can_replace(Progress(1, "b"))
    study = make_study(2, layers=1)
    assert Snapshot(1, study, complete=False).can_replace(Snapshot(1, study, complete=True))
    assert not Snapshot(1, study, complete=True).can_replace(Snapshot(1, study, complete=False))


def test_what_follows_the_last_module_is_told_as_such():
    from tests.memory import random_adapter  # with torch, which no import of this file needs

    posted = []
    workers.measure([random_adapter("a", 0, layers=1)], Settings(k=2), 1, posted.append, lambda: False)
    told = [message.text for message in posted if isinstance(message, Progress)]
    assert told == ["loading torch", "analysing 1/2 modules", "adding up 2 modules"]
    assert posted[-1].complete


@pytest.mark.parametrize("view", ["map", "layers"])
async def test_every_view_says_of_how_many_modules_its_numbers_are(view):
    """Also where the title has no room for it: here, of 40 adapters, the map's has none."""
    study = make_study(40, layers=4)
    study.blocks["norm", "module"][:, 5:] = np.nan
    app = InspectorApp(study=study)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, view)
        assert "40 adapters · 780 pairs · 5 of 16 modules" in area(app, "status").text


def test_headers_only_study_lists_modules_and_shapes():
    study = make_study(2, layers=2)
    headers = workers.headers_only(adapters_of(study), study.settings)
    assert headers.modules == tuple(sorted(study.modules, key=lambda m: (m.layer, m.path)))
    assert (headers.shapes == 576).all()
    assert headers.blocks == {}


async def test_what_was_undone_stays_undone_when_another_is_opened(backstage):
    app = InspectorApp(["a"])
    backstage.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.progress is None and app.state.study.blocks)
        await pilot.press("down", "r", "ctrl+a", "ctrl+k", *"other", "enter", "x", "u", "u")
        assert app.state.names == ("run_0", "run_1", "run_2")
        await pilot.press("o", *"b", "enter")
        await settle(pilot, lambda: len(backstage.measured) == 2 and app.progress is None)
        assert backstage.measured[1][0][:3] == ["run_0", "run_1", "run_2"]


async def test_the_checkpoints_asked_for_are_those_of_the_first_sources(backstage):
    app = InspectorApp(["a"], read_options=ReadOptions(rank=3, checkpoints=True))
    backstage.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.progress is None and app.state.study.blocks)
        await pilot.press("o", *"b", "enter")
        await settle(pilot, lambda: len(backstage.measured) == 2 and app.progress is None)
        assert backstage.read_options == [ReadOptions(rank=3, checkpoints=True), ReadOptions(rank=3)]


async def test_a_rename_keeps_its_place_when_another_is_opened(backstage):
    app = InspectorApp(["a"])
    backstage.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.progress is None and app.state.study.blocks)
        await visit(pilot, "adapters")
        await pilot.press("pageup", "r", "ctrl+a", "ctrl+k", *"other", "enter", "o", *"b", "enter")
        await settle(pilot, lambda: len(backstage.measured) == 2 and app.progress is None)
        assert backstage.measured[1][0][:3] == ["other", "run_1", "run_2"]
