"""Files, clipboard, commands, screenshots: what leaves the app."""

import csv
import shlex

import numpy as np
from textual.widgets import Static

from inspector.study.export import load
from inspector.tui.app import InspectorApp
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, VIEWS, app_with, area, visit


async def type_path(pilot, path):
    await pilot.press("e")
    await pilot.press("ctrl+a", "ctrl+k")
    pilot.app.screen.query_one("Input").value = str(path)
    await pilot.press("enter")
    await pilot.pause()


def texts(folder, pattern):
    return [path.read_text(encoding="utf-8").lstrip() for path in folder.glob(pattern)]


async def test_export_of_the_map_as_csv(tmp_path):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await type_path(pilot, tmp_path / "map.csv")
        assert "wrote 5 rows of Map" in area(app, "status").text
    with (tmp_path / "map.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == list(NAMES)
    values = np.array([[float(v) for v in row[1:]] for row in rows[1:]])
    np.testing.assert_array_equal(values, app.state.matrix("cosine"))


async def test_every_view_exports_and_copies(tmp_path):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
            await type_path(pilot, tmp_path / f"{view}.txt")
            assert (tmp_path / f"{view}.txt").stat().st_size > 100
            await pilot.press("y")
            assert app.clipboard == (tmp_path / f"{view}.txt").read_text(encoding="utf-8")


async def test_export_of_the_whole_study_opens_again(tmp_path):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("x")
        await type_path(pilot, tmp_path / "study.json")
    assert load(tmp_path / "study.json").names == NAMES[1:]


async def test_half_a_study_is_not_written(tmp_path):
    study = make_study(5, names=NAMES)
    study.blocks["norm", "module"][:, 28:] = np.nan
    app = InspectorApp(study=study)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_path(pilot, tmp_path / "study.json")
        assert app.note == ("Only 28 of 120 modules are measured: a study is written once all are.", "bad")
    assert not (tmp_path / "study.json").exists()


async def test_overwriting_asks_first(tmp_path):
    target = tmp_path / "map.csv"
    target.write_text("mine", encoding="utf-8")
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await type_path(pilot, target)
        await pilot.press("n")
        await pilot.pause()
        assert target.read_text(encoding="utf-8") == "mine"
        await type_path(pilot, target)
        await pilot.press("y")
        await pilot.pause()
        assert target.read_text(encoding="utf-8") != "mine"


async def test_unwritable_places_and_names_are_messages(tmp_path):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await type_path(pilot, tmp_path / "missing" / "x.csv")
        assert "Cannot write" in app.note[0]
        await type_path(pilot, tmp_path / "x.exe")
        assert "must end in" in app.note[0]
        await pilot.press("w")
        await pilot.pause()
        assert len(app.screen_stack) == 2
        await pilot.press("escape")


async def test_a_message_leaves_with_the_next_key_and_an_error_is_marked_until_it_is_read(tmp_path):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await type_path(pilot, tmp_path / "missing" / "x.csv")
        assert "Cannot write" in area(app, "status").text
        await visit(pilot, "map")
        assert "Cannot write" not in area(app, "status").text
        assert "1 error: w reads it" in area(app, "status").text
        await pilot.press("y")
        assert "copied Map" in area(app, "status").text
        await pilot.press("down")
        assert "copied Map" not in area(app, "status").text
        await type_path(pilot, tmp_path / "missing" / "y.csv")
        await visit(pilot, "layers")
        assert "2 errors: w reads them" in area(app, "status").text
        await pilot.press("!")
        assert "y.csv" in " ".join(str(app.screen.query(Static).last().render()).split())
        await pilot.press("escape")
        assert "error" not in area(app, "status").text


async def test_copied_command_parses_and_names_what_is_shown():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("m", "f", "Y")
        words = shlex.split(app.clipboard)
        assert words[:2] == ["inspector", "analyze"]
        assert words[2] == "sft_s42=/data/adapters/sft_s42"
        assert words[-4:] == ["--metric", "u1", "--modules", "q_proj"]
        await app.workers.wait_for_complete()


async def test_screenshot_is_svg(tmp_path):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("P")
    assert [text[:4] for text in texts(tmp_path, "inspector-overview-*.svg")] == ["<svg"]


async def test_theme_cycles():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        first = app.theme
        await pilot.press("t")
        assert app.theme != first
        await pilot.press("t", "t")
        assert app.theme == first
