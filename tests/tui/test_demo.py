"""`inspector demo`: everything that was measured of the bundled adapters, at once and without torch."""

import json
import subprocess
import sys
from pathlib import Path

from inspector.common.assets import DEMO
from inspector.tui import session, workers
from inspector.tui.app import InspectorApp
from tests.tui.helpers import area, body, settle

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, json, sys
from inspector.tui.app import InspectorApp
from tests.tui.helpers import body

async def main():
    app = InspectorApp(demo=True)
    seen = {}
    async with app.run_test(size=(80, 24)) as pilot:
        while app.progress is not None or not app.state.study.blocks:
            await pilot.pause(0.05)
        for view in app.views.values():
            if view.tab == "5" or not view.there(app.state):  # a sum is of the adapters' own weights
                continue
            app.go(view.id)
            app.repaint()
            await pilot.pause()
            seen[view.id] = body(app)
    print(json.dumps([seen, "torch" in sys.modules]))

asyncio.run(main())
"""


def test_every_view_has_its_numbers_without_torch(tmp_path):
    env = {"PATH": "/usr/bin:/bin", "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, env=env, check=False
    )
    seen, torch = json.loads(done.stdout)
    assert not torch, done.stderr
    assert "above chord" in seen["basins"]
    assert "CKA" in seen["cka"]
    assert "McNemar" in seen["accuracy"]
    for label in ("accuracy", "loss", "states", "direction", "size", "opposed"):
        assert f"\n   {label} " in seen["pair"]
    for view, text in seen.items():
        assert "runs the base model" not in text, view
        assert "is open" not in text, view


async def test_the_adapters_can_be_measured_again_and_the_next_start_finds_the_same(monkeypatch):
    asked = []
    monkeypatch.setattr(
        workers, "measure", lambda adapters, settings, *_rest: asked.append((len(adapters), settings.k))
    )
    app = InspectorApp(demo=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.state.study.blocks)
        assert "the study that ships with the demo" in area(app, "status").text
        assert list(app.loaded) == list(DEMO)
        assert asked == []
    again = InspectorApp()
    async with again.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: again.state.study.blocks)
        assert again.state.study.probe("lmc")
    other = InspectorApp(demo=True, k=4)
    async with other.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: asked)
        assert asked == [(11, 4)]
        assert other.state.study.probe("lmc")


async def test_a_study_of_other_adapters_is_not_shown_and_that_is_said(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(workers, "measure", lambda adapters, *_rest: asked.append(len(adapters)))
    monkeypatch.setattr("inspector.workflows.demo.demo_study", lambda: tmp_path / "none.parquet")
    app = InspectorApp(demo=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: asked)
        assert asked == [11]
        assert any("missing, or of other adapters" in text for text, _ in app.log_lines)
        assert not app.state.study.blocks
    assert len(session.read().adapters) == 11


async def test_the_first_frame_says_what_is_being_read(monkeypatch):
    monkeypatch.setattr("inspector.tui.adapter_list.read_demo", lambda *_rest: None)
    app = InspectorApp(demo=True)
    async with app.run_test(size=(80, 24)):
        app.go("map")
        app.repaint()
        assert "Reading 11 adapters" in body(app)
