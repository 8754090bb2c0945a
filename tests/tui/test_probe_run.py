"""A probe runs in the background: never in the way, cancelled, renamed under, carried on."""

from types import SimpleNamespace

from inspector.tui import workers
from inspector.tui.app import InspectorApp
from inspector.tui.messages import Opened, OpeningDone, Probed, Snapshot
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, area, body, settle, visit
from tests.tui.probed import with_accuracy, with_digests, with_lmc
from tests.tui.prober import app_with, asks, visible
from tests.tui.test_workers import adapters_of


async def test_enter_runs_in_the_background_and_keys_stay_free(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot)
        await pilot.press("enter")
        await settle(pilot, lambda: "4 of 10 pairs · 1 measured" in body(app))
        assert "1,234 tokens/s · 3:20 min left" in area(app, "status").text
        assert area(app, "status").text.endswith("!w")  # there is a warning to read
        assert "esc cancels" in area(app, "status").text
        await visit(pilot, "map")
        assert "cosine" in body(app)
        await pilot.press("p")
        await pilot.pause()
        assert "The base runs for loss barriers now. Stop that" in " ".join(visible(app).replace("│", " ").split())
        await pilot.press("n")
        prober.release.set()
        await settle(pilot, lambda: app.progress is None)
        assert "6 Loss path shows it" in app.note[0]
        assert ("out of memory: batches of 8 instead of 16", "warn") in app.log_lines
        await visit(pilot, "basins")
        assert "measured to the end" not in body(app)
    (request,) = prober.requests
    assert request.probes == ("lmc",)
    assert request.base == "org/base-135M"
    assert request.pairs == tuple((NAMES[0], name) for name in NAMES[1:])
    assert prober.adapters == [list(NAMES)]


async def test_cancel_keeps_what_was_measured(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot)
        await pilot.press("enter")
        await settle(pilot, lambda: app.state.study.probe("lmc"))
        await pilot.press("escape")
        await settle(pilot, lambda: app.progress is None)
        assert "cancelled: what was measured so far stays" in area(app, "status").text
        assert "4 of 10 pairs · 1 measured" in body(app)
        assert not app.state.probing


async def test_p_while_the_base_runs_stops_that_and_asks_anew(prober):
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot)
        await pilot.press("enter")
        await settle(pilot, lambda: app.state.study.probe("lmc"))
        await visit(pilot, "cka")
        assert "The base runs for another view: p stops that" in body(app)
        await pilot.press("p")
        await pilot.pause()
        await pilot.press("y")
        await settle(pilot, lambda: app.progress is None)
        assert "[CKA + lens depth]" in visible(app)
        prober.release.set()
        await pilot.press("enter")
        await settle(pilot, lambda: len(prober.requests) == 2 and app.progress is None)
        assert [request.probes[0] for request in prober.requests] == ["lmc", "cka"]
        assert app.state.study.probe("lmc")


async def test_the_cursor_s_pair_runs_with_the_plotted_ones(prober):
    app = app_with(prober)
    prober.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot, "basins", *["down"] * 4)
        assert "plotted (5)" in visible(app)
        await pilot.press("enter")
        await settle(pilot, lambda: prober.requests and app.progress is None)
        assert (NAMES[1], NAMES[2]) in prober.requests[0].pairs


async def test_other_work_takes_over_and_says_so(prober, monkeypatch):
    monkeypatch.setattr(workers, "measure", lambda *_rest: None)
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot)
        await pilot.press("enter")
        await settle(pilot, lambda: app.state.study.probe("lmc"))
        await visit(pilot, "angles")
        await pilot.press("-")
        await pilot.pause()
        assert ("the probe gave way: what it measured so far stays", "warn") in app.log_lines
        assert not app.state.probing
        await visit(pilot, "basins")
        assert "4 of 10 pairs · 1 measured" in body(app)


async def test_errors_are_words_in_status_and_log(prober):
    prober.failure = "Cannot load the base org/base-135M: give a folder."
    app = app_with(prober)
    async with app.run_test(size=(80, 24)) as pilot:
        await asks(pilot)
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
        await asks(pilot)
        await pilot.press("enter")
        await settle(pilot, lambda: app.state.study.probe("lmc"))
        await visit(pilot, "adapters")
        await pilot.press("r", "ctrl+a", "ctrl+k", *"first", "enter", "down", "x")
        await pilot.pause()
        prober.release.set()
        await settle(pilot, lambda: app.progress is None)
        assert app.state.names == ("first", "dft_s42", "dpo_s42", "sft_s123")
        await visit(pilot, "basins")
        assert "first↔dft_s42" in body(app)


async def test_removed_adapters_do_not_run(prober):
    app = app_with(prober)
    prober.release.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("x")
        await asks(pilot)
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
        await visit(pilot, "basins")
        assert "measured to the end" not in body(app)
        await visit(pilot, "accuracy")
        assert "McNemar" in body(app)


async def test_a_saved_study_opens_its_adapters_again_first(prober, monkeypatch):
    study = with_digests(make_study(3, layers=4))

    def open_all(sources, given, taken, generation, post, cancelled):
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
        await asks(pilot)
        assert "Read the 3 adapters again" in " ".join(visible(app).replace("│", " ").split())
        await pilot.press("n", "p")
        await pilot.pause()
        await pilot.press("y")
        await settle(pilot, lambda: len(app.screen_stack) == 2 and app.screen.query("#cost"))
        await pilot.press("escape")
