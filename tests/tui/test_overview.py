"""The first screen: groups and sentences under one cursor, each with its evidence."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from inspector.insights import overview as insights
from inspector.study.aggregate import aggregate
from inspector.tui.app import InspectorApp
from inspector.tui.go_to import view_of
from tests.tui.factory import make_study
from tests.tui.helpers import area, body, settle, visit

NAMES = ("sft", "rft", "dft", "dpo", "grpo")
ALIKE = {(0, 1): 0.95, (0, 2): 0.75, (1, 2): 0.74}
"""Cosines of sft, rft and dft; all others are 0.05."""


def made(*, measured=True, names=NAMES):
    study = make_study(5, layers=4, names=names)
    cosine = np.full((5, 5, len(study.modules)), 0.05)
    cosine[np.arange(5), np.arange(5)] = 1.0
    for (i, j), value in ALIKE.items():
        cosine[i, j] = cosine[j, i] = value
    blocks = {key: values for key, values in study.blocks.items() if key[1] == "module"}
    blocks["cosine", "module"] = cosine
    blocks["norm", "module"] = np.outer([1.0, 2.0, 3.0, 0.1, 4.0], np.ones(len(study.modules)))
    infos = [replace(info, digest="d" if measured else "") for info in study.adapters]
    if not measured:
        blocks["norm", "module"][:, 4:] = np.nan
        blocks["cosine", "module"][:, :, 4:] = np.nan
    return aggregate(replace(study, adapters=tuple(infos), blocks=blocks))


async def opened(app, pilot):
    await settle(pilot, lambda: app.views["overview"].answer.newest(app.state))
    await pilot.pause()


def row(app, name):
    return next(n for n, line in enumerate(body(app).splitlines()) if line[4:].startswith(f"{name} "))


def cursor(app):
    return next(line for line in body(app).splitlines() if line.startswith("▸"))


async def test_groups_members_and_sentences():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert app.state.view == "overview"
        shown = body(app).splitlines()
        assert "5 adapters of base-135M" in shown[0]
        heading = next(n for n, line in enumerate(shown) if "one direction, cosine 0.74 to 0.95" in line)
        assert [line[4:].split()[0] for line in shown[heading + 1 : heading + 4]] == ["dft", "rft", "sft"]
        assert row(app, "dpo") > next(n for n, line in enumerate(shown) if line.strip() == "alone")
        assert "Weights only" in body(app)
        norm = app.state.own("norm", 0)
        assert f"{norm:.3g}" in shown[row(app, "sft")]


async def test_one_cursor_goes_through_adapters_and_sentences():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("home")
        seen = []
        for _ in range(20):
            if (line := cursor(app)[4:].split()[0]) in NAMES:
                seen.append(line)
                assert app.state.names[app.state.row] == line
            await pilot.press("down")
        assert seen[:3] == ["dft", "rft", "sft"]
        assert sorted(seen) == sorted(NAMES)
        assert cursor(app).startswith("▸ !")
        assert app.views["overview"].sentence == len(app.views["overview"].answer.of(app.state).so_what) - 1


async def test_enter_on_an_adapter_opens_the_pair_with_its_nearest():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("home", "enter")
        assert app.state.view == "pair"
        assert [app.state.names[at] for at in app.state.pair] == ["dft", "sft"]


async def test_enter_on_a_sentence_opens_the_view_of_its_numbers():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        so_what = app.views["overview"].answer.of(app.state).so_what
        at = next(n for n, one in enumerate(so_what) if one.numbers)
        first = so_what[at].numbers[0]
        await pilot.press("end")
        while app.views["overview"].sentence != at:
            await pilot.press("up")
        await pilot.press("enter")
        assert app.state.view == view_of(app.views.values(), first.metric, layer=first.layer is not None) != "overview"
        assert first.a in app.state.names[app.state.row]


@pytest.mark.parametrize("size", [(110, 30), (120, 40), (200, 50)])
async def test_the_evidence_stands_beside_from_110_columns(size):
    app = InspectorApp(study=made())
    async with app.run_test(size=size) as pilot:
        await opened(app, pilot)
        await pilot.press("home")
        beside = [line.partition("│ ")[2] for line in body(app).splitlines()]
        assert beside[0] == "dft"
        assert any(line.startswith("beside sft") for line in beside)
        assert any("u₁" in line for line in beside)
        await pilot.press("end")
        beside = [line.partition("│ ")[2] for line in body(app).splitlines()]
        assert "Weights only" in beside[0]


async def test_what_is_known_is_shown_while_more_is_measured():
    app = InspectorApp(study=made(measured=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert "! 4 of 16 modules measured so far" in body(app)
        assert "one direction, cosine 0.74 to 0.95" in body(app)
        app.state.replace_study(made())
        app.repaint()
        await opened(app, pilot)
        assert "so far" not in body(app)


async def test_a_search_keeps_the_groups_of_all():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        before = [line for line in body(app).splitlines() if "A  " in line]
        await pilot.press("slash", *"ft", "enter")
        assert [line for line in body(app).splitlines() if "A  " in line] == before
        assert "alone" not in body(app)
        assert [line[4:].split()[0] for line in body(app).splitlines() if " 0." in line[20:]][:3]
        await pilot.press("slash", "ctrl+u", *"grpo", "enter")
        assert "one direction" not in body(app)
        assert app.state.names == ("grpo",)
        await pilot.press("enter")
        assert app.state.view == "pair"
        assert len(app.state.names) == 5  # its nearest is shown again


async def test_a_search_that_finds_nobody_has_no_evidence():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("slash", *"zzz", "enter", "enter")
        assert app.state.names == ()
        assert app.state.view == "overview"
        await pilot.press("escape")
        assert len(app.state.names) == 5


async def test_the_reference_is_marked():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("home", "down", "asterisk", "down")
        assert body(app).splitlines()[row(app, "rft")].startswith(" *")
        assert "* rft" in area(app, "status").text


async def test_a_click_moves_the_cursor_to_the_line_and_then_opens_it():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        for _ in range(2):
            await pilot.click("#body", offset=(6, row(app, "grpo")))
            assert app.state.names[app.state.row] == "grpo"
        assert app.state.view == "pair"


async def test_names_that_begin_alike_are_told_apart_at_80_columns():
    names = tuple(f"run1-qwen3-4b-lora-r32-math-{name}-s42" for name in NAMES)
    app = InspectorApp(study=made(names=names))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert "run1-qwen3-4b-lora-r32-math-" in body(app)
        for name in NAMES:
            assert row(app, name)


async def test_those_alone_share_a_line_if_there_is_no_room_until_the_cursor_is_on_one():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 16)) as pilot:
        await opened(app, pilot)
        await pilot.press("home")
        line = next(line for line in body(app).splitlines() if "alone" in line)
        assert "alone: grpo 0.05 · dpo 0.05" in line
        assert "more adapter" not in body(app)
        for _ in range(3):
            await pilot.press("down")
        assert cursor(app)[4:].startswith("grpo ")
        assert "alone:" not in body(app)
        await pilot.press("end")
        assert "alone: grpo 0.05 · dpo 0.05" in body(app)


async def test_more_adapters_than_lines_are_counted_and_reached():
    app = InspectorApp(study=make_study(64, layers=2))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("home")
        assert "more adapters" in body(app)
        seen = set()
        for _ in range(70):
            seen.add(app.state.names[app.state.row])
            assert cursor(app)
            await pilot.press("down")
        assert len(seen) == 64


async def test_it_is_worked_out_in_a_thread_and_a_failure_is_told(monkeypatch):
    threads = []

    def broken(_study):
        threads.append(threading.get_ident())
        raise ZeroDivisionError("in a rule")

    monkeypatch.setattr(insights, "overview", broken)
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert ("The overview could not be worked out: ZeroDivisionError: in a rule", "bad") in app.log_lines
        assert "No rule could be applied" in body(app)
        assert threads == [one for one in threads if one != threading.get_ident()]
        await pilot.press("enter", "down", "y", "home", "end")


async def test_the_table_has_every_adapter_and_sentence():
    app = InspectorApp(study=made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        rows = app.view.table(app.state).rows
        found = app.views["overview"].answer.of(app.state)
        assert [line[1] for line in rows[:5]] == ["dft", "rft", "sft", "grpo", "dpo"]
        assert [line[0] for line in rows[:5]] == ["A", "A", "A", "alone", "alone"]
        assert [line[1] for line in rows[5:]] == [one.text for one in found.so_what]
        await visit(pilot, "overview")


@pytest.mark.parametrize("tab", ["2", "4", "5"])
async def test_before_any_key_the_pair_is_the_marked_adapter_and_its_nearest(tab):
    study = made()
    app = InspectorApp(study=study.subset((2, 3, 1, 4, 0)))  # dft before dpo
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert cursor(app)[4:].startswith("dft ")
        await pilot.press(tab)
        assert "dft↔sft" in body(app)
