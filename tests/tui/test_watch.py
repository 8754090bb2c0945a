"""A training is watched: what lands appears, what is damaged is said, what has finished is named."""

import json
import shutil

import pytest

from inspector.trajectory.result import METRICS
from inspector.tui.app import InspectorApp
from inspector.tui.views.trajectory import watcher
from tests.trajectory.training import begin, damage, drift, finish, land, log, trained
from tests.tui.helpers import area, body, everything, settle, visit


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(watcher, "EVERY", 0.05)


def watching(*roots, **more) -> InspectorApp:
    return InspectorApp(watch=list(map(str, roots)), **more)


async def measured(pilot, app, checkpoints: int) -> None:
    def known() -> bool:
        watched = app.state.watched
        points = sum(len(curve.points) for curve in watched.curves)
        return points == checkpoints and not watched.missing and app.progress is None

    for _ in range(30):  # torch is imported meanwhile
        try:
            await settle(pilot, known)
        except AssertionError:
            continue
        return
    raise AssertionError(body(app))


async def test_a_checkpoint_lands_and_appears(tmp_path):
    sft = trained(tmp_path / "runs" / "sft", 10, 20)
    trained(tmp_path / "runs" / "dpo", 10, 20, seed=1, done=True)
    app = watching(tmp_path / "runs")
    async with app.run_test(size=(80, 24)) as pilot:
        assert "[Training]" in area(app, "views").text
        await measured(pilot, app, 4)
        text = body(app)
        assert "norm ‖ΔW‖ over steps · 2 runs · 4 checkpoints" in text
        assert "training sft · finished dpo · last landed: " in text
        assert "training 20/40" in text
        await settle(pilot, lambda: app.state.size == 2 and app.progress is None)
        land(sft, 30)
        await settle(pilot, lambda: "5 checkpoints" in body(app) and not app.state.watched.missing)
        assert "last landed: sft step 30" in body(app)
        assert "training 30/40" in body(app)
        assert "sft: step 30 landed" in app.note[0]
        assert [info.source.rpartition("/")[2] for info in app.state.infos] == ["dpo", "checkpoint-20"]
        await pilot.press("enter")
        await settle(pilot, lambda: app.progress is None and app.state.size == 2)
        assert {info.source.rpartition("/")[2] for info in app.state.infos} == {"dpo", "checkpoint-30"}


async def test_keys_change_metric_run_step_and_other_run(tmp_path):
    for n, name in enumerate(("a", "b", "c")):
        trained(tmp_path / name, 10, 20, 30, seed=n)
    app = watching(tmp_path, against="b")
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 9)
        titles = []
        for _ in range(6):
            titles.append(body(app).splitlines()[0].split(" over steps")[0].strip())
            await pilot.press("m")
        assert titles == [
            "norm ‖ΔW‖",
            "effective rank",
            "cosine to its own last checkpoint",
            "cosine to the last of b",
            "cosine to b at the same step",
            "loss",
        ]
        assert "a step 30" in body(app)
        await pilot.press("left", "left")
        assert "a step 10" in body(app)
        known = app.state.watched.curves[0].points[0]
        own, other = (f"{x:.3f}".replace("-", "−") for x in (known.cosine_final, known.cosine_other_final))
        assert f"own last {own} · to b: last {other}, same step " in body(app)
        await pilot.press("right", "right")
        assert app.state.watched.step is None
        await pilot.press("down", "n")
        await settle(pilot, lambda: "to c: last" in body(app) and "to c: last ·" not in body(app))
        assert "▸b b" in body(app)
        await pilot.press("y", "Y")
        assert "inspector watch" in app.note[0]
        assert "--against c" in app.note[0]
        assert app.view.table(app.state).columns[:3] == ("run", "step", "metric")
        await pilot.press("tab")
        assert app.state.view == "claims"
        await pilot.press("shift+tab")
        assert app.state.view == "trajectory"
        await visit(pilot, "map")
        await visit(pilot, "trajectory")
        await pilot.press("?")
        await pilot.pause()
        assert len(app.screen_stack) == 2


async def test_several_folders_one_of_them_still_to_come(tmp_path):
    sft = trained(tmp_path / "first" / "sft", 10, 20)
    app = watching(sft, tmp_path / "second")
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 2)
        assert "waiting for 1 folder" in body(app)
        trained(tmp_path / "second" / "dpo", 10, 20, seed=1)
        await measured(pilot, app, 4)
        await settle(pilot, lambda: "2 runs · 4 checkpoints" in body(app))
        assert "waiting for" not in body(app)
        await pilot.press("Y")
        assert f"{sft} {tmp_path / 'second'} --table" in app.note[0]


async def test_waits_for_the_first_run_and_its_first_checkpoint_then_it_finishes(tmp_path):
    app = watching(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "Waiting for the first run" in body(app))
        run = begin(tmp_path / "sft")
        log(run, 3)
        await settle(pilot, lambda: "training 3/40" in body(app))
        assert "Waiting for the first checkpoint of " in body(app)
        await pilot.press("M")
        assert " loss over steps" in body(app)
        assert "No loss" not in body(app)
        await pilot.press("m")
        land(run, 10)
        await measured(pilot, app, 1)
        land(run, 20)
        finish(run, 20)
        await settle(pilot, lambda: "finished sft" in body(app))
        assert any(text == "sft has finished: 20 steps" for text, _ in app.log_lines)


async def test_waits_for_a_folder_that_is_not_there_yet(tmp_path):
    root = tmp_path / "runs"
    app = watching(root)
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(3):  # a look each
            await pilot.pause(0.06)
            assert "Waiting for the folder" in body(app)
            assert "No folder" not in everything(app)
        root.mkdir()
        await settle(pilot, lambda: "Waiting for the first run in" in body(app))
        trained(root / "sft", 10)
        await measured(pilot, app, 1)
        assert "training sft" in body(app)


async def test_a_damaged_checkpoint_is_a_message(tmp_path):
    run = trained(tmp_path / "sft", 10, 20)
    app = watching(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 2)
        damage(land(run, 30))
        await settle(pilot, lambda: any("sft step 30: " in text and tone == "bad" for text, tone in app.log_lines))
        await settle(pilot, lambda: "1 note (w)" in body(app))
        land(run, 40)
        await measured(pilot, app, 3)
    assert app._exception is None


async def test_the_folder_goes_and_comes_back(tmp_path):
    trained(tmp_path / "runs" / "sft", 10)
    app = watching(tmp_path / "runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 1)
        (tmp_path / "runs").rename(tmp_path / "away")
        await settle(pilot, lambda: "No folder" in body(app))
        (tmp_path / "away").rename(tmp_path / "runs")
        await settle(pilot, lambda: "No folder" not in body(app))
        shutil.rmtree(tmp_path / "runs" / "sft")
        await settle(pilot, lambda: "Waiting for the first run" in body(app))
    assert app._exception is None


async def test_nothing_is_done_while_nothing_changes(tmp_path, monkeypatch):
    trained(tmp_path / "sft", 10, 20)
    app = watching(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 2)
        await settle(pilot, lambda: app.state.size == 1 and app.progress is None)
        taken, painted, scans = [], [], []
        monkeypatch.setattr(app.state.watched, "take", lambda *a: taken.append(a), raising=False)
        monkeypatch.setattr(app, "repaint", lambda *a: painted.append(a))
        real = app.views["trajectory"].watcher.scanner.scan
        monkeypatch.setattr(
            app.views["trajectory"].watcher.scanner, "scan", lambda now: (scans.append(now), real(now))[1]
        )
        await settle(pilot, lambda: len(scans) > 4)
        assert (taken, painted) == ([], [])


@pytest.mark.parametrize("colour", [True, False])
async def test_every_size_stands(tmp_path, colour, monkeypatch):
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    for n in range(6):
        trained(tmp_path / f"a_method_with_a_rather_long_name_{n}", 10, 20 + n, seed=n)
    app = watching(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 12)
        for size in ((60, 15), (20, 5), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.press(*"mmmmmm", "down", "left", "pagedown")
            for line in everything(app).splitlines():
                assert len(line) <= size[0]
            if size[0] >= 60:
                assert "a_method" in body(app)
                assert "nan" not in body(app)
    assert app._exception is None


async def test_long_names_leave_room_for_the_words_around_them(tmp_path):
    for n in range(2):
        trained(tmp_path / f"{n}_a_method_with_a_name_longer_than_half_of_the_screen", 10, 20, seed=n, done=True)
    app = watching(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 4)
        for title in ("to its own last checkpoint", "…", "… at the same step"):
            await pilot.press("m", *["m"] * (title == "to its own last checkpoint"))
            assert f"{title} over steps" in body(app).splitlines()[0]
        detail = body(app).splitlines()[-2:]
        assert "loss" in detail[0]
        assert "same step" in detail[1]
        assert not any(line.rstrip().endswith("…") for line in detail)


async def test_a_long_log_is_drawn_as_means(tmp_path):
    log(trained(tmp_path / "sft", 10), 1000)
    app = watching(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 1)
        await pilot.press("M")
        assert "loss over steps, means of 13" in body(app)
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert "loss over steps, means of 9" in body(app)


async def test_without_a_training_there_is_no_such_tab():
    app = InspectorApp()
    async with app.run_test(size=(80, 24)):
        assert "Training" not in area(app, "views").text
        app.action_act("go_trajectory")
        assert app.state.view == "overview"
        assert "inspector watch RUN" in app.note[0]


async def test_what_is_held_out_is_looked_at_where_it_was_measured(tmp_path):
    """`m` passes over what no run has measured, and comes to what one has."""
    for name, lines in {"sft": [], "dpo": [{"step": 0, "accuracy": 0.25}, {"step": 10, "accuracy": 0.75}]}.items():
        trained(tmp_path / name, 10, 20)
        with (tmp_path / name / "log.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    app = watching(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 4)
        titles = []
        for _ in range(7):
            await pilot.press("m")
            titles.append(app.state.watched.metric)
        assert titles == [*METRICS[1:5], "loss", "accuracy", METRICS[0]]
        await pilot.press("M")
        text = body(app)
        assert "share of held-out problems solved" in text
        assert "0.75" in text


async def test_two_checkpoints_are_compared_as_a_pair(tmp_path):
    trained(tmp_path / "a", 10, 20, 30)
    trained(tmp_path / "b", 10, seed=1)
    app = watching(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(pilot, app, 4)
        await settle(pilot, lambda: app.state.size == 2 and app.progress is None)
        await pilot.press("space")
        assert "a step 30 is marked" in app.note[0]
        await pilot.press("space")
        assert "nothing is marked" in app.note[0]
        await pilot.press("space", "left", "left", "space")
        assert app.state.view == "pair"
        await settle(pilot, lambda: app.state.size == 2 and app.progress is None and app.state.names[0] == "a@10")
        assert app.state.names == ("a@10", "a@30")
        assert "a@10" in body(app)
        await pilot.press("7", "down", "right", "right", "space")
        assert "no checkpoint of this run at this step" in app.note[0]


async def test_milestones_and_what_goes_wrong_are_said(tmp_path):
    run = trained(tmp_path / "a", 10, 20)
    app = watching(run)
    async with app.run_test(size=(100, 30)) as pilot:
        await measured(pilot, app, 2)
        assert "Keep steps" not in body(app)
        factors = drift(30)
        path, (B, A) = next(iter(factors.items()))
        land(run, 30, factors | {path: (B * 40, A)})
        land(run, 40, factors | {path: (B * float("nan"), A)})
        await measured(pilot, app, 4)
        assert "The direction has settled from step 30 on" in body(app)
        assert "Keep steps 10, 20, 30, 40: over 10% of ‖ΔW‖" in " ".join(body(app).split())
        said = " ".join(text for text, _ in app.log_lines)
        assert "a: nan at step 40" in said
