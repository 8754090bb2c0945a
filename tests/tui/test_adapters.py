"""The Adapters screen: the account of the one under the cursor, all of it within reach at any size."""

from dataclasses import replace

import numpy as np
import pytest
from textual.widgets import Static

from inspector.study.adapter_info import HealthIssue
from inspector.tui.app import InspectorApp
from inspector.tui.widgets.dialogs import Reader
from tests.tui.factory import make_study
from tests.tui.helpers import NAMES, SIZES, body, visit

FINDINGS = (
    HealthIssue("info", "fan_in_fan_out: the base stores W transposed"),
    HealthIssue("warning", "ΔW is exactly zero in 30 of 120 modules (all of v_proj): not trained there"),
    HealthIssue("error", "NaN or Inf in 1 of 120 modules (4.self_attn.k_proj)"),
    *(
        HealthIssue("warning", f"{n} tensors not understood, reason number {n}: a, b, c, … ({n} in all)")
        for n in range(20)
    ),
)


@pytest.fixture
def study():
    """Every v_proj of the first adapter is dead, one k_proj no number, and there is much to say of it."""
    study = make_study(5, names=NAMES)
    v_proj = [m for m, id_ in enumerate(study.modules) if id_.projection == "v_proj"]
    blocks = {key: np.array(values) for key, values in study.blocks.items()}
    blocks["norm", "module"][0, v_proj] = 0
    first = replace(
        study.adapters[0],
        base="org/base-4bit",
        tensors=240,
        ignored=3,
        unknown=2,
        scales=("2 (α/r = 16/8): 60 modules", "1 (alpha_pattern 'v_proj': α/r = 8/8): 60 modules"),
        findings=FINDINGS[:3],
        excluded=(study.modules[17],),
    )
    return replace(study, adapters=(first, *study.adapters[1:]), blocks=blocks)


def page(app) -> str:
    """The text of the page that is open."""
    assert isinstance(app.screen, Reader)
    return str(app.screen.query_one("#text", Static).render())


async def test_the_panel_shows_classes_scales_and_base(study):
    app = InspectorApp(study=study)
    async with app.run_test(size=(120, 40)) as pilot:
        await visit(pilot, "adapters")
        text = body(app)
    assert "240: 235 used, 3 ignored, 2 not understood" in text
    assert "2 (α/r = 16/8): 60 modules" in text
    assert "1 (alpha_pattern 'v_proj': α/r = 8/8): 60 modules" in text
    assert "a quantised copy by its name (4bit)" in text
    assert text.index("✗ error") < text.index("! warning") < text.index("tensors") < text.index("i info")


async def test_what_is_wrong_is_seen_on_the_smallest_screen(study):
    app = InspectorApp(study=study)
    async with app.run_test(size=(60, 15)) as pilot:
        await visit(pilot, "adapters")
        assert "✗ error" in body(app)


@pytest.mark.parametrize("size", SIZES)
async def test_what_the_panel_has_no_room_for_is_read_on_a_page(study, size):
    first = replace(study.adapters[0], findings=FINDINGS)
    app = InspectorApp(study=replace(study, adapters=(first, *study.adapters[1:])))
    async with app.run_test(size=size) as pilot:
        await visit(pilot, "adapters")
        assert "⏎ shows all" in body(app)
        await pilot.press("enter")
        await pilot.pause()
        text = " ".join(page(app).split())
        for finding in FINDINGS:
            assert finding.text in text
        assert "ΔW exactly zero (30) 0.self_attn.v_proj, 1.self_attn.v_proj" in text
        assert "29.self_attn.v_proj" in text
        assert f"NaN or Inf (1) {study.modules[17]}" in text
        widest = max(map(len, page(app).splitlines()))
        assert widest <= min(size[0], 100) - 8
        await pilot.press("down", "j", "pagedown", "end")
        await pilot.pause()
        shown = app.screen.query_one("VerticalScroll")
        assert shown.scroll_y == shown.max_scroll_y > 0
        await pilot.press("enter")
        await pilot.pause()
        assert not isinstance(app.screen, Reader)


async def test_an_adapter_with_nothing_wrong_has_a_short_page(study):
    app = InspectorApp(study=study)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        text = page(app)
    assert "/data/adapters/dft_s42" in text
    assert "240, all used" in text
    assert "exactly zero" not in text


async def test_energy_left_out_stands_beside_the_norm(study):
    blocks = dict(study.blocks) | {("energy_left_out", "global"): np.array([[0.1234], [0], [0], [0], [0]])}
    app = InspectorApp(study=replace(study, blocks=blocks))
    async with app.run_test(size=(120, 40)) as pilot:
        await visit(pilot, "adapters")
        assert "12.34% of the energy left out" in body(app)
        await pilot.press("down")
        assert "left out (" not in body(app)


async def test_a_saved_study_without_module_numbers_has_its_findings(study):
    blocks = {key: values for key, values in study.blocks.items() if key[1] == "global"}
    app = InspectorApp(study=replace(study, blocks=blocks))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        await pilot.press("enter")
        await pilot.pause()
        assert "not trained there" in page(app)


async def test_the_copied_table_holds_classes_and_every_scale(study):
    app = InspectorApp(study=study)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        table = app.view.table(app.state)
    first = dict(zip(table.columns, table.rows[0], strict=True))
    assert first["tensors"] == "240: 235 used, 3 ignored, 2 not understood"
    assert first["scale"] == "2 (α/r = 16/8): 60 modules; 1 (alpha_pattern 'v_proj': α/r = 8/8): 60 modules"


async def test_a_pinned_source_keeps_its_repo_in_sight(study):
    pinned = replace(study.adapters[0], source=f"org/repo@{'0123456789' * 4}:adapters/sft")
    app = InspectorApp(study=replace(study, adapters=(pinned, *study.adapters[1:])))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "adapters")
        assert "org/repo@0123456:adapters/sft" in body(app)
        assert app.views["adapters"].table(app.state).rows[0][1] == pinned.source
