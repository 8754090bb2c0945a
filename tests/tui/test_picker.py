"""A repo with several adapters: which to download is asked once, with sizes, by keyboard, at 80x24 too."""

import asyncio
import re

import pytest

from inspector.tui import workers
from inspector.tui.app import InspectorApp
from inspector.tui.hub_picker.dialog import Picker
from inspector.tui.messages import Snapshot
from tests.adapters.hub.cases import STUDY, hub_for, only, write_study
from tests.hub_server import Fault
from tests.tui.helpers import area, settle
from tests.tui.prober import visible


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The study's repo; opening is real, measuring is left out."""

    def measure(adapters, settings, generation, post, cancelled):
        post(Snapshot(generation, workers.headers_only(adapters, settings), complete=True))

    monkeypatch.setattr(workers, "measure", measure)
    with hub_for(monkeypatch, tmp_path / "home") as server:
        server.study = server.add(STUDY, write_study(tmp_path / "study"), lfs=True)
        yield server


def weights(hub) -> set[str]:
    return {p.split("/")[-2] for m, p in hub.requests if m == "GET" and p.endswith("adapter_model.safetensors")}


async def asked(pilot, app):
    await settle(pilot, lambda: isinstance(app.screen, Picker))
    await pilot.pause()


async def opened(pilot, app, hub):
    await settle(pilot, lambda: app.progress is None and app.state.size)
    return set(app.state.study.names)


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (140, 50)])
async def test_the_list_says_what_there_is_and_what_it_weighs(hub, size):
    app = InspectorApp([STUDY])
    async with app.run_test(size=size) as pilot:
        await asked(pilot, app)
        text = visible(app)
        assert "28 adapters, " in text
        assert "none chosen" in text
        assert re.search(r"▸ \[ \] \S*ers/dapo_lr2e-4_s42", text)
        assert re.search(r"ers/dapo_lr2e-4_s42 +PEFT +\d+\.\d kB", text)
        assert "space chooses · a all · ⏎ opens · esc cancels" in text
        await pilot.press("end")
        assert re.search(r"▸ \[ \] \S*ers/sft_lr5e-6_s123", visible(app))
        assert not weights(hub)
        await pilot.press("escape")


async def test_some_are_chosen_and_only_they_are_downloaded(hub):
    app = InspectorApp([STUDY])
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot, app)
        await pilot.press("down", "space", "space", "k", "space")
        assert "[x] adapters/dapo_lr2e-4_s123" in visible(app)
        assert "1 chosen" in visible(app)
        await pilot.press("end", "space", "enter")
        assert await opened(pilot, app, hub) == {"dapo_lr2e-4_s123", "sft_lr5e-6_s123"}
        assert weights(hub) == {"dapo_lr2e-4_s123", "sft_lr5e-6_s123"}


async def test_all_and_none(hub):
    app = InspectorApp([STUDY])
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot, app)
        await pilot.press("a")
        assert "28 chosen" in visible(app)
        await pilot.press("a")
        assert "none chosen" in visible(app)
        await pilot.press("a", "enter")
        assert len(await opened(pilot, app, hub)) == 28


async def test_enter_alone_opens_the_one_under_the_cursor(hub):
    app = InspectorApp([STUDY])
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot, app)
        await pilot.press("down", "enter")
        assert await opened(pilot, app, hub) == {"dapo_lr2e-4_s123"}


async def test_escape_opens_nothing_and_the_app_goes_on(hub):
    app = InspectorApp([STUDY])
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot, app)
        await pilot.press("escape")
        await settle(pilot, lambda: app.progress is None)
        assert not app.state.size
        assert not weights(hub)
        await pilot.press("o")
        await pilot.press(*f"{STUDY}:adapters/sft_lr2e-4_s42", "enter")
        assert await opened(pilot, app, hub) == {"sft_lr2e-4_s42"}


async def test_nothing_is_asked_of_one_or_of_what_is_all_here(hub, tmp_path):
    one = InspectorApp([f"{STUDY}:adapters/sft_lr2e-4_s42"])
    async with one.run_test(size=(80, 24)) as pilot:
        assert await opened(pilot, one, hub) == {"sft_lr2e-4_s42"}
    pair = hub.add("org/pair", write_study(tmp_path / "pair", ("a", "b")))
    only("org/pair:adapters/a")
    only("org/pair:adapters/b")
    again = InspectorApp(["org/pair"])
    async with again.run_test(size=(80, 24)) as pilot:
        assert await opened(pilot, again, hub) == {"a", "b"}
    assert pair.files


async def test_progress_and_cancel_of_the_download(hub):
    hub.faults.append(Fault("adapter_model.safetensors", pause=0.2, methods=("GET",)))
    app = InspectorApp([STUDY])
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot, app)
        await pilot.press("a", "enter")
        await settle(pilot, lambda: " of 133.3 kB" in area(app, "status").text)
        await pilot.press("escape")
        await settle(pilot, lambda: app.progress is None)
        assert "opening cancelled" in area(app, "status").text
        assert len(weights(hub)) < 28


async def test_leaving_the_app_with_the_list_open_leaves_no_thread_waiting(hub):
    app = InspectorApp([STUDY])
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot, app)
        work = app.work
        app.exit()
    for _ in range(100):
        if work.is_finished:
            break
        await asyncio.sleep(0.02)
    assert work.is_finished


async def test_names_from_outside_are_text(hub):
    hub.study.files |= {
        name.replace("adapters/sft_lr2e-4_s42", "[bold]\x1b[31m"): content
        for name, content in hub.study.files.items()
        if "sft_lr2e-4_s42" in name
    }
    app = InspectorApp([STUDY])
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot, app)
        assert "[bold]�[31m" in visible(app)
        assert "29 adapters" in visible(app)
        await pilot.press("escape")
