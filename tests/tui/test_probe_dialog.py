"""One key runs the base model: asked once, explained, cancelled, never in the way."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.widgets import Input, Static

from inspector.errors import CancelledError, InspectorError
from inspector.tui import session, workers
from inspector.tui.app import InspectorApp
from inspector.tui.messages import Opened, OpeningDone, Probed, Snapshot
from inspector.tui.state import ProbeChoices
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, area, body
from tests.tui.probed import with_accuracy, with_digests, with_lmc
from tests.tui.test_workers import adapters_of, settle

ROOT = Path(__file__).parents[2]


class FakeProber:
    """Measures one pair, waits to be released, then measures all."""

    def __init__(self) -> None:
        self.requests, self.asked, self.adapters = [], [], []
        self.release, self.refusal, self.failure = threading.Event(), "", ""

    def estimate(self, adapters, study, request):
        self.asked.append(request)
        if self.refusal:
            raise InspectorError(self.refusal)
        return SimpleNamespace(text=f"at most {10 * len(request.pairs)} passes, about 40 s")

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


@pytest.fixture
def prober():
    fake = FakeProber()
    yield fake
    fake.release.set()


def app_with(prober, n: int = 5, base: str = "org/base-135M") -> InspectorApp:
    from dataclasses import replace

    study = with_digests(make_study(n, names=NAMES if n == 5 else (), layers=4))
    study = replace(study, adapters=tuple(replace(a, base=base) for a in study.adapters))
    app = InspectorApp(study=study)
    app.loaded = {adapter.info.name: adapter for adapter in adapters_of(study)}
    app.probers = SimpleNamespace(get=lambda: prober)
    return app


def told(app) -> str:
    return str(app.screen.query_one("#cost", Static).render())


def visible(app) -> str:
    """The dialog as it stands on the screen."""
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in lines)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
@pytest.mark.parametrize("colour", [True, False])
async def test_everything_is_asked_on_one_screen_with_the_cost(prober, size, colour, monkeypatch):
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    app = app_with(prober)
    async with app.run_test(size=size) as pilot:
        await pilot.press("8", "p")
        await settle(pilot, lambda: "40 s" in told(app))
        text = visible(app)
        for words in (
            "[loss barriers]",
            "CKA + lens depth",
            "org/base-135M (as named)",
            "[arithmetic]",
            "64 (default)",
            "auto",
            "[plotted (4)]",
            "all (10)",
            "cost: at most 40 passes, about 40 s",
            "enter runs",
        ):
            assert words in text, words


async def test_enter_runs_in_the_background_and_keys_stay_free(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", "p")
        await pilot.pause()
        await pilot.press("enter")
        await settle(pilot, lambda: "4 of 10 pairs · 1 measured" in body(app))
        assert "1,234 tokens/s · 3:20 min left" in area(app, "status").text
        assert area(app, "status").text.endswith("!w")  # there is a warning to read
        assert "esc cancels" in area(app, "status").text
        await pilot.press("2")
        assert "cosine" in body(app)
        await pilot.press("p")
        assert "a probe runs already" in area(app, "status").text or app.note[0].startswith("a probe runs already")
        prober.release.set()
        await settle(pilot, lambda: app.progress is None)
        assert "8 shows it" in app.note[0]
        assert ("out of memory: batches of 8 instead of 16", "warn") in app.log_lines
        await pilot.press("8")
        assert "measured to the end" not in body(app)
    (request,) = prober.requests
    assert request.probes == ("lmc",)
    assert request.base == "org/base-135M"
    assert request.pairs == tuple((NAMES[0], name) for name in NAMES[1:])
    assert prober.adapters == [list(NAMES)]


async def test_fields_by_keyboard_only_are_asked_once_and_remembered(prober, tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text('{"question": "1+1?", "answer": "2"}\n', encoding="utf-8")
    app = app_with(prober)
    prober.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3", "p", "right")
        await pilot.press("tab", *"smollm2", "tab", "right", "right", "tab", *str(file), "tab", *"12", "down", *"cpu")
        await pilot.press("tab", "space")
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


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"limit": "many"}, "no whole number above 0"),
        ({"limit": "0"}, "no whole number above 0"),
        ({"device": "gpu"}, "none of auto, cpu, cuda"),
        ({"file": "no/such.jsonl"}, "there is no file"),
        ({"file": "x.txt"}, "ending in .jsonl or .parquet"),
    ],
)
async def test_a_bad_value_is_explained_and_kept(prober, fields, why):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", "p")
        await pilot.pause()
        if "file" in fields:
            await pilot.press("tab", "right", "right")
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
        await pilot.press("8", "p")
        await settle(pilot, lambda: "No problems" in told(app))
        await pilot.press("enter")
        await pilot.pause()
        assert len(app.screen_stack) == 2
        assert prober.requests == []


async def test_without_a_named_base_one_must_be_given(prober):
    app = app_with(prober, base="")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", "p")
        await pilot.pause()
        assert "no adapter names its base" in told(app)
        await pilot.press("enter")
        assert len(app.screen_stack) == 2
        await pilot.press(*"smollm2")
        await settle(pilot, lambda: "passes" in told(app))
        await pilot.press("enter")
        await settle(pilot, lambda: prober.requests)
        assert prober.requests[0].base == "smollm2"


async def test_each_view_presets_its_probe_and_hides_what_does_not_matter(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        for key, chosen in (("8", "[loss barriers]"), ("9", "[CKA + lens depth]"), ("0", "[accuracy]")):
            await pilot.press(key, "p")
            await pilot.pause()
            assert chosen in visible(app)
            assert ("plotted (4)" in visible(app)) == (key != "0")
            await pilot.press("escape")
        await pilot.press("5", "p")
        await pilot.pause()
        assert "[intruders]" in visible(app)
        assert "how many" not in visible(app)
        await pilot.press("escape")


async def test_cancel_keeps_what_was_measured(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", "p")
        await pilot.pause()
        await pilot.press("enter")
        await settle(pilot, lambda: app.state.study.probe("lmc"))
        await pilot.press("escape")
        await settle(pilot, lambda: app.progress is None)
        assert "cancelled: what was measured so far stays" in area(app, "status").text
        assert "4 of 10 pairs · 1 measured" in body(app)
        assert not app.probing


async def test_the_cursor_s_pair_runs_with_the_plotted_ones(prober):
    app = app_with(prober)
    prober.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", *["down"] * 4, "p")
        await pilot.pause()
        assert "plotted (5)" in visible(app)
        await pilot.press("enter")
        await settle(pilot, lambda: prober.requests and app.progress is None)
        assert (NAMES[1], NAMES[2]) in prober.requests[0].pairs


async def test_other_work_takes_over_and_says_so(prober, monkeypatch):
    monkeypatch.setattr(workers, "measure", lambda *_rest: None)
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", "p")
        await pilot.pause()
        await pilot.press("enter")
        await settle(pilot, lambda: app.state.study.probe("lmc"))
        await pilot.press("4", "+")
        await pilot.pause()
        assert ("the probe gave way: what it measured so far stays", "warn") in app.log_lines
        assert not app.probing
        await pilot.press("8")
        assert "4 of 10 pairs · 1 measured" in body(app)


async def test_errors_are_words_in_status_and_log(prober):
    prober.failure = "Cannot load the base org/base-135M: give a folder."
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", "p")
        await pilot.pause()
        await pilot.press("enter")
        await settle(pilot, lambda: app.progress is None and app.log_lines)
        assert (prober.failure, "bad") in app.log_lines
        assert "Cannot load the base" in area(app, "status").text


async def test_late_results_and_other_generations_are_dropped(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        app.post_message(Probed(app.generation - 1, with_lmc(app.state.study), complete=True))
        await pilot.pause()
        assert app.state.study.probe("lmc") is None


async def test_a_rename_and_a_removal_while_it_runs(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", "p")
        await pilot.pause()
        await pilot.press("enter")
        await settle(pilot, lambda: app.state.study.probe("lmc"))
        await pilot.press("1", "r", "ctrl+a", "ctrl+k", *"first", "enter", "down", "x")
        await pilot.pause()
        prober.release.set()
        await settle(pilot, lambda: app.progress is None)
        assert app.state.names == ("first", "dft_s42", "dpo_s42", "sft_s123")
        await pilot.press("8")
        assert "first↔dft_s42" in body(app)


async def test_removed_adapters_do_not_run(prober):
    app = app_with(prober)
    prober.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("x", "8", "p")
        await pilot.pause()
        await pilot.press("enter")
        await settle(pilot, lambda: prober.requests and app.progress is None)
        assert prober.adapters == [list(NAMES[1:])]
        assert {name for pair in prober.requests[0].pairs for name in pair} == set(NAMES[1:])


async def test_probe_numbers_survive_another_analysis(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        app.take(with_accuracy(with_lmc(app.state.study)))
        fresh = with_digests(make_study(5, names=NAMES, layers=4, k=8, seed=3))
        app.post_message(Snapshot(app.generation, fresh, complete=True))
        await pilot.pause()
        assert app.state.study.settings.k == 8
        await pilot.press("8")
        assert "measured to the end" not in body(app)
        await pilot.press("0")
        assert "McNemar" in body(app)


async def test_a_saved_study_opens_its_adapters_again_first(prober, monkeypatch):
    study = with_digests(make_study(3, layers=4))

    def open_all(sources, taken, generation, post, cancelled):
        assert sources[0] == "run_0=/data/adapters/run_0"
        for n, adapter in enumerate(adapters_of(study)):
            post(Opened(generation, adapter, (0, n)))
        post(OpeningDone(generation, []))

    monkeypatch.setattr(workers, "open_all", open_all)
    monkeypatch.setattr(
        workers,
        "measure",
        lambda adapters, settings, generation, post, cancelled: post(Snapshot(generation, study, True)),
    )
    app = InspectorApp(study=study)
    app.probers = SimpleNamespace(get=lambda: prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", "p")
        await pilot.pause()
        assert "Read the 3 adapters again" in " ".join(visible(app).replace("│", " ").split())
        await pilot.press("n", "p")
        await pilot.pause()
        await pilot.press("y")
        await settle(pilot, lambda: len(app.screen_stack) == 2 and app.screen.query("#cost"))
        await pilot.press("escape")


async def test_nothing_open_and_work_in_progress_are_said(prober):
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("p")
        assert "nothing is open" in area(app, "status").text
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        app.progress = ("analysing", 1, 2)
        await pilot.press("p")
        assert "still being read" in app.note[0]
        assert len(app.screen_stack) == 1


async def test_one_adapter_has_no_pair(prober):
    app = app_with(prober, n=1)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("9", "p")
        await settle(pilot, lambda: "passes" in told(app))
        await pilot.press("escape", "8", "p", "up", "left", "right")
        await pilot.pause()
        assert "there is no pair yet" in told(app)


def test_a_foreign_session_gives_the_defaults():
    assert session._choices({"what": 3, "limit": True, "base": "x", "else": 1}) == ProbeChoices(base="x")
    assert session._choices(None) == ProbeChoices()


def test_the_dialog_and_its_estimate_need_no_torch(tmp_path):
    program = """
import asyncio, sys
from tests.tui.test_probe_dialog import app_with, told, settle
from inspector.probing import Prober
async def main():
    app = app_with(Prober())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8", "p")
        await settle(pilot, lambda: "tokens" in told(app))
    print("torch" in sys.modules)
asyncio.run(main())
"""
    env = {"PATH": "/usr/bin:/bin", "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=env, check=False
    )
    assert done.stdout.strip() == "False", done.stderr
