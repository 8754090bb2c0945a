"""What to run is asked once, on one screen, by keyboard; bad values are explained and kept."""

import subprocess
import sys
from pathlib import Path

import pytest
from textual.widgets import Input

from inspector.tui import session
from inspector.tui.app import InspectorApp
from inspector.tui.messages import Snapshot
from inspector.tui.probing.choices import ProbeChoices
from tests.tui.helpers import area, settle, strike, visit
from tests.tui.prober import app_with, asks, told, visible

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
@pytest.mark.parametrize("colour", [True, False])
async def test_everything_is_asked_on_one_screen_with_the_cost(prober, size, colour, monkeypatch):
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    app = app_with(prober)
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "basins")
        await pilot.press("p")
        await settle(pilot, lambda: "40 s" in told(app))
        text = visible(app)
        for words in (
            "[loss barriers]",
            "CKA + lens depth",
            "org/base-135M (as named)",
            "[gsm8k]",
            "64 (default)",
            "auto",
            "[plotted (4)]",
            "all (10)",
            "cost: at most 40 passes, about 40 s",
            "enter runs",
        ):
            assert words in text, words


async def test_too_few_prompts_are_said_before_the_run(prober):
    prober.caution = "cka on 16 prompts: fewer than 20 scatter more than adapters differ"
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("p")
        await settle(pilot, lambda: "40 s" in told(app))
        assert told(app).startswith(f"cost: {prober.caution}; at most")
        assert "differ; at most 40 passes" in visible(app)


async def test_fields_by_keyboard_only_are_asked_once_and_remembered(prober, tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text('{"question": "1+1?", "answer": "2"}\n', encoding="utf-8")
    app = app_with(prober)
    prober.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "layers")
        await pilot.press("p", "right")
        await pilot.press("tab")
        await strike(pilot, *"smollm2")
        await pilot.press("tab", "right", "tab")
        await strike(pilot, *str(file))
        await pilot.press("tab", *"12", "down", *"cpu", "tab", "space")
        await settle(pilot, lambda: prober.asked and prober.asked[-1].limit == 12)
        await pilot.press("shift+tab", "enter")
        await settle(pilot, lambda: prober.requests and app.progress is None)
        (request,) = prober.requests
        assert request.probes == ("cka", "lens")
        assert (request.base, request.device, request.limit) == ("smollm2", "cpu", 12)
        assert request.prompts == str(file)
        assert len(request.pairs) == 10
        await pilot.press("p")
        await pilot.pause()
        assert app.screen.query_one("#base", Input).value == "smollm2"
        assert app.screen.query_one("#limit", Input).value == "12"
        await pilot.press("escape")
    assert session._choices(session.read().probe) == app.state.probe
    assert app.state.probe.every_pair
    again = app_with(prober, base="org/other")
    async with again.run_test(size=(80, 24)) as pilot:
        await pilot.press("p")
        assert again.state.probe == app.state.probe
        assert again.screen.query_one("#base", Input).value == ""  # another family of adapters has another base


async def test_what_is_typed_ahead_goes_to_the_field_that_the_keys_before_chose(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        await strike(pilot, "p")
        await strike(pilot, *["tab"] * 4, *"12", "down", *"cpu", "shift+tab", "end", "3")
        assert app.screen.query_one("#base", Input).value == ""
        assert app.screen.query_one("#limit", Input).value == "123"
        assert app.screen.query_one("#device", Input).value == "cpu"
        await strike(pilot, "escape")
        await strike(pilot, "?", "f", "m", "x")
        assert app.state.filter == ""
        assert app.state.size == 5


async def test_what_is_typed_replaces_a_remembered_value_unless_a_key_goes_into_it(prober):
    app = app_with(prober)
    app.state.probe = ProbeChoices(limit=64, device="cuda:1")
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        await strike(pilot, "p")
        await strike(pilot, *["tab"] * 4, *"37", "tab")  # typed ahead
        assert app.screen.query_one("#limit", Input).value == "37"
        await pilot.press("end", "backspace", "0")
        assert app.screen.query_one("#device", Input).value == "cuda:0"
        await pilot.press("shift+tab", *"205")
        assert app.screen.query_one("#limit", Input).value == "205"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"limit": "many"}, "not a whole number above 0"),
        ({"limit": "0"}, "not a whole number above 0"),
        ({"device": "gpu"}, "none of auto, cpu, cuda"),
        ({"file": "no/such.jsonl"}, "there is no file"),
        ({"file": "x.txt"}, "ending in .jsonl or .parquet"),
    ],
)
async def test_a_bad_value_is_explained_and_kept(prober, fields, why):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot)
        if "file" in fields:
            await pilot.press(*["tab"] * 3, "right")
        for name, value in fields.items():
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert len(app.screen_stack) == 2
        assert why in told(app)
        assert app.screen.focused.id == next(iter(fields))
        assert app.screen.query_one(f"#{next(iter(fields))}", Input).value == next(iter(fields.values()))
        assert prober.requests == []


async def test_what_the_prober_refuses_is_shown_before_it_runs(prober):
    prober.refusal = "No problems 'x': name a file."
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        await pilot.press("p")
        await settle(pilot, lambda: "No problems" in told(app))
        await pilot.press("enter")
        await pilot.pause()
        assert told(app) == "✗ cannot run: No problems 'x': name a file."
        assert len(app.screen_stack) == 2
        assert prober.requests == []


async def test_without_a_named_base_one_must_be_given(prober):
    app = app_with(prober, base="")
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot)
        assert "no adapter names its base" in told(app)
        await pilot.press("enter")
        assert len(app.screen_stack) == 2
        assert app.screen.focused.id == "base"
        await pilot.press(*"smollm2")
        await settle(pilot, lambda: "passes" in told(app))
        await pilot.press("enter")
        await settle(pilot, lambda: prober.requests)
        assert prober.requests[0].base == "smollm2"


async def test_each_view_presets_its_probe_and_hides_what_does_not_matter(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        presets = (("basins", "[loss barriers]"), ("cka", "[CKA + lens depth]"), ("accuracy", "[accuracy]"))
        for view, chosen in presets:
            await asks(pilot, view)
            assert chosen in visible(app)
            assert ("plotted (4)" in visible(app)) == (view != "accuracy")
            await pilot.press("escape")
        await asks(pilot, "size")
        assert "[intruders]" in visible(app)
        assert "how many" not in visible(app)
        await pilot.press("escape")


async def test_nothing_open_is_said(prober):
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("p")
        assert "nothing is open" in area(app, "status").text


async def test_it_begins_with_what_to_run_and_marks_the_row_that_keys_go_to(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot)
        assert marked(app) == "▸ run"
        await pilot.press("right")
        assert "[CKA + lens depth]" in visible(app)
        await pilot.press("left", "tab")
        await pilot.pause()
        assert marked(app) == "▸ loss"


def marked(app) -> str:
    """The labels that are marked."""
    labels = [str(label.render()) for label in app.screen.query(".label")]
    return " ".join(label for label in labels if label.startswith("▸"))


async def test_what_is_asked_while_adapters_are_measured_runs_once_they_are(prober):
    app = app_with(prober)
    prober.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        app.progress = ("analysing", 1, 2)
        await visit(pilot, "basins")
        await pilot.press("p", "enter")
        await pilot.pause()
        assert "the base runs once the adapters are measured" in app.note[0]
        assert prober.requests == []
        app.post_message(Snapshot(app.generation, app.state.study, complete=True))
        await settle(pilot, lambda: prober.requests and app.progress is None)
        assert app.state.study.probe("lmc")


async def test_p_while_adapters_are_read_asks_once_they_are_measured(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        app.state.opening = "2 sources"
        await pilot.press("p")
        assert "p asks what to run once they are measured" in app.note[0]
        app.state.opening = ""
        app.post_message(Snapshot(app.generation, app.state.study, complete=True))
        await settle(pilot, lambda: len(app.screen_stack) == 2 and app.screen.query("#cost"))


async def test_one_adapter_has_no_pair(prober):
    app = app_with(prober, n=1)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "cka")
        await pilot.press("p")
        await settle(pilot, lambda: "passes" in told(app))
        await pilot.press("escape")
        await visit(pilot, "basins")
        await pilot.press("p", "left", "right")
        await pilot.pause()
        assert "there is no pair yet" in told(app)


def test_a_foreign_session_gives_the_defaults():
    assert session._choices({"what": 3, "limit": True, "base": "x", "else": 1}) == ProbeChoices(base="x")
    assert session._choices(None) == ProbeChoices()


def test_the_dialog_and_its_estimate_need_no_torch(tmp_path):
    program = """
import asyncio, sys
from tests.tui.helpers import settle, visit
from tests.tui.prober import app_with, told
from inspector.probes.runner import Prober
async def main():
    app = app_with(Prober())
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "basins")
        await pilot.press("p")
        await settle(pilot, lambda: "tokens" in told(app))
    print("torch" in sys.modules)
asyncio.run(main())
"""
    env = {"PATH": "/usr/bin:/bin", "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=180, env=env, check=False
    )
    assert done.stdout.strip() == "False", done.stderr
