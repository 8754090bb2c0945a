"""Remove, rename, reorder, sort, filter: without measuring again, and undone one by one."""

import numpy as np

from inspector.insights.order import similarity_order
from tests.tui.helpers import NAMES, app_with, area, body, visit


async def test_remove_and_undo():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("down", "x")
        assert app.state.names == ("sft_s42", "dft_s42", "dpo_s42", "sft_s123")
        assert "4 adapters · 6 pairs" in area(app, "status").text
        await pilot.press("u")
        assert app.state.names == NAMES
        await pilot.press("u")
        assert "nothing to undo" in area(app, "status").text


async def test_removing_everyone_leaves_a_usable_app():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*["x"] * 5, *"1234567")
        await visit(pilot, "map")
        await pilot.press("down", "space", "enter", "s", "m")
        await pilot.press(*["u"] * 5)
        assert app.state.names == NAMES


async def test_reorder_moves_adapter_and_cursor():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        await pilot.press("down", "<")
        assert app.state.names[:2] == ("rft_s42", "sft_s42")
        assert app.state.row == 0
        await pilot.press(">", ">")
        assert app.state.names[:3] == ("sft_s42", "dft_s42", "rft_s42")


async def test_rename_is_seen_everywhere():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        await pilot.press("pageup", "r")
        await pilot.press("ctrl+a", "ctrl+k", *"first", "enter")
        await pilot.pause()
        assert app.state.names[0] == "first"
        await visit(pilot, "map")
        assert "first" in body(app)
        await pilot.press("u")
        assert app.state.names == NAMES


async def test_rename_to_a_taken_name_is_refused():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        await pilot.press("pageup", "r")
        await pilot.press("ctrl+a", "ctrl+k", *"dft_s42", "enter")
        await pilot.pause()
        assert app.state.names == NAMES
        assert "is taken" in area(app, "status").text


async def test_order_by_similarity_and_back():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        await pilot.press("s")
        assert app.state.names != NAMES
        values = app.state.matrix("cosine")
        assert np.diag(values, 1).sum() >= np.diag(app.state.study.block("cosine", "global")[:, :, 0], 1).sum()
        await pilot.press("s")
        assert app.state.names == NAMES
        await pilot.press("s", "u")
        assert app.state.names == NAMES
        await pilot.press("s")
        assert app.state.names != NAMES, "what was undone is not an order by similarity any more"


def test_similarity_order_groups_blocks_and_survives_nan():
    blocks = np.full((6, 6), 0.1)
    for group in ((0, 2, 4), (1, 3, 5)):
        for i in group:
            for j in group:
                blocks[i, j] = 0.9
    order = similarity_order(blocks)
    assert {frozenset(order[:3]), frozenset(order[3:])} == {frozenset((0, 2, 4)), frozenset((1, 3, 5))}
    assert order == similarity_order(blocks)
    blocks[0, 1] = blocks[1, 0] = np.nan
    assert sorted(similarity_order(blocks)) == list(range(6))
    assert sorted(similarity_order(np.full((4, 4), np.nan))) == [0, 1, 2, 3]


async def test_filter_goes_through_projections_and_changes_numbers():
    from inspector.study.aggregate import aggregate

    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("f")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "q_proj only · 30 modules" in body(app)
        expected = aggregate(app.state.study, frozenset({"q_proj"})).block("cosine", "global")
        np.testing.assert_array_equal(app.state.matrix("cosine"), expected[:, :, 0])
        await pilot.press("f", "f", "f", "f")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.state.filter == ""
        assert "120 modules" in body(app)


async def test_k_of_a_saved_study_is_explained():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "angles")
        await pilot.press("+")
        assert "saved study" in area(app, "status").text


def plotted(app):
    return [{app.state.names[a], app.state.names[b]} for a, b in app.state.plotted]


async def test_toggled_pairs_follow_their_adapters_through_reordering():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        app.state.chosen = frozenset()
        await visit(pilot, "map")
        while {app.state.names[at] for at in app.state.pair} in plotted(app):
            await pilot.press("n")
        await pilot.press("space")
        pair = {app.state.names[at] for at in app.state.pair}
        assert pair in plotted(app)
        await visit(pilot, "adapters")
        await pilot.press("<", ">", ">")
        await visit(pilot, "layers")
        assert pair in plotted(app)
