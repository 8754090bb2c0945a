"""The Claims view: what holds, why not, the numbers behind a claim, and the published adapters beside one's own."""

from dataclasses import replace

import pytest

from inspector.claims.bundled import claim_set
from inspector.study.adapter_info import HealthIssue
from inspector.tui.app import InspectorApp
from inspector.tui.views.claims.state import Published
from tests.claims.studies import Numbers, claim
from tests.makers import random_factors, write_adapter
from tests.tui.factory import make_study
from tests.tui.helpers import area, body, visit

NAMES = ("sft", "rft", "dpo")
ADAPTERS = "{sft: x/y:sft, rft: x/y:rft, dpo: x/y:dpo, gone: x/y:gone}"
HEAD = f"title: Toy\naddress: toy\nbase: org/base\nadapters: {ADAPTERS}\nclaims:\n"
CLAIMS = (
    claim("metric: cosine; pairs: [[rft, dpo]]; relation: at most; value: 2", "whole")
    + claim("metric: u1; pairs: [[sft, dpo], [sft, rft]]; layers: 3; relation: at least; value: 2", "layer")
    + claim("metric: [stable_rank, effective_rank]; adapters: [dpo]; relation: at most; value: 3", "rank")
    + claim("metric: principal_angle; k: 1; pairs: [[sft, rft]]; relation: at least; value: 0", "angle")
    + claim(
        "metric: cosine; pairs: [[sft, rft]]; layers: all; statistic: argmin layer; relation: at least; value: 0", "dip"
    )
    + claim("metric: barrier_mean; prompts: sums; pairs: [[sft, dpo]]; relation: at least; value: 0", "barrier")
    + claim("metric: cosine; pairs: [[sft, gone]]; relation: at least; value: 0", "away")
)


@pytest.fixture
def toy(tmp_path):
    file = tmp_path / "toy.yaml"
    file.write_text(
        HEAD + CLAIMS.replace("so it is", "it is so") + "    disagreements: [elsewhere it says otherwise]\n"
    )
    return str(file)


def app_on(toy, *, show=True, **changes):
    return InspectorApp(study=make_study(3, names=NAMES), published=Published(toy, show=show), **changes)


async def measured(app, pilot):
    for _ in range(600):
        if app.state.study.blocks and app.complete and app.progress is None:
            return
        await pilot.pause(0.05)
    raise AssertionError(app.log_lines)


async def loaded(app, pilot):
    for _ in range(100):
        if app.state.judged is not None:
            break
        await pilot.pause(0.05)
    await pilot.pause()


async def down_to(app, pilot, name):
    await loaded(app, pilot)
    at = [found.id for found in app.state.judged.claims.claims].index(name)
    await pilot.press("home", *["up"] * 10, *["down"] * at)


async def test_verdicts_and_everything_about_one(toy):
    app = app_on(toy)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(app, pilot)
        assert app.state.view == "claims"
        text = body(app)
        assert " 7 claims · toy · 3 hold, 1 partly, 1 fail, 2 unknown" in text.splitlines()[0]
        assert "▸ ✓ holds!  whole" in text
        assert "  ✗ fails!  layer" in text
        assert "  ± partly! rank" in text
        await down_to(app, pilot, "barrier")
        assert "needs the base (lmc on sums): p runs it" in " ".join(body(app).split())
        await down_to(app, pilot, "away")
        assert "gone is not open" in body(app)
        assert "elsewhere it says otherwise" in body(app)
        assert "[8 Claims]" in area(app, "tabs").text


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (120, 40)])
async def test_every_line_fits(toy, size):
    app = app_on(toy)
    async with app.run_test(size=size) as pilot:
        await loaded(app, pilot)
        await pilot.press(*["down"] * 6)
        lines = body(app).splitlines()
        assert any(line.startswith("▸ · unknown away") for line in lines)
        assert all(len(line) <= size[0] for line in lines)


@pytest.mark.parametrize(
    ("name", "view", "row", "col"),
    [("whole", "map", 1, 2), ("layer", "layers", 0, 2), ("rank", "size", 2, None), ("angle", "angles", 0, 1),
     ("dip", "layers", 0, 1), ("barrier", "basins", 0, 2)],
)  # fmt: skip
async def test_enter_goes_to_the_numbers(toy, name, view, row, col):
    app = app_on(toy)
    async with app.run_test(size=(80, 24)) as pilot:
        await down_to(app, pilot, name)
        judged = app.state.judged
        outcome = judged.outcomes(app.state.study)[judged.row]
        await pilot.press("enter")
        state = app.state
        assert (state.view, state.row) == (view, row)
        assert col is None or state.col == col
        if name == "layer":
            assert (state.layers_metric, state.layer, state.one_layer) == ("u1", 3, True)
            assert state.plotted == [(0, 1), (0, 2)]
        if name == "rank":
            assert state.rank_metric == "stable_rank"  # the definition under which it holds
        if name == "dip":
            assert state.layers[state.layer] == outcome.measured[0].values[0]
        await visit(pilot, "claims")
        assert app.state.view == "claims"


async def test_enter_shows_both_sides_at_the_layer_of_the_extreme(tmp_path):
    fields = "metric: cosine; pairs: [[sft, rft]]; layers: all; statistic: min; relation: less than"
    (tmp_path / "least.yaml").write_text(HEAD + claim(f"{fields}; than: {{pairs: [[rft, dpo]]}}", "least"))
    app = app_on(str(tmp_path / "least.yaml"))
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(app, pilot)
        await pilot.press("enter")
        least = app.state.study.block("cosine", "layer")[0, 1].argmin()
        assert (app.state.view, app.state.layer) == ("layers", least)
        assert app.state.plotted == [(0, 1), (1, 2)]


async def test_numbers_that_are_not_there_are_said(toy):
    app = app_on(toy)
    async with app.run_test(size=(80, 24)) as pilot:
        await down_to(app, pilot, "away")
        await pilot.press("enter")
        assert app.state.view == "claims"
        assert "gone: not open" in area(app, "status").text
        await visit(pilot, "adapters")
        await pilot.press("x")
        await visit(pilot, "claims")
        await down_to(app, pilot, "angle")
        await pilot.press("enter")
        assert "sft: removed from the list" in area(app, "status").text


async def test_a_filter_is_dropped_for_numbers_of_all_modules(toy):
    app = app_on(toy)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(app, pilot)
        await visit(pilot, "map")
        await pilot.press("f")
        await visit(pilot, "claims")
        assert app.state.filter
        await down_to(app, pilot, "whole")
        await pilot.press("enter")
        assert app.state.filter == ""


async def test_a_set_is_loaded_by_its_key_and_a_wrong_one_told(toy):
    app = InspectorApp(study=make_study(3, names=NAMES))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "claims")
        assert "No claims are loaded." in body(app)
        await pilot.press("c", *"dmo", "enter")
        assert "Did you mean demo?" in app.log_lines[-1][0]
        assert app.state.judged is None
        await pilot.press("c", *"demo", "enter")
        assert app.state.view == "claims"
        assert "28 claims" in body(app)
        await pilot.press("c", *toy, "enter")
        assert "7 claims" in body(app)


async def test_new_numbers_change_the_verdict(toy):
    app = app_on(toy)
    async with app.run_test(size=(80, 24)) as pilot:
        await down_to(app, pilot, "layer")
        assert "✗ fails!  layer" in body(app)
        numbers = (
            Numbers(names=NAMES).put("u1", 3, "sft", "dpo", scope="layer").put("u1", 3, "sft", "rft", scope="layer")
        )
        app.state.replace_study(numbers.study())
        app.repaint()
        await pilot.pause()
        assert "✓ holds   layer" in body(app)


async def test_the_table_has_every_definition_and_the_command_repeats_it(toy):
    app = app_on(toy)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(app, pilot)
        rows = app.view.table(app.state).rows
        assert [row[0] for row in rows].count("rank") == 2
        assert {row[6] for row in rows if row[0] == "rank"} == {"holds only under stable_rank"}
        words = app.view.shell_command(app.state)
        assert words[:4] == ["inspector", "verify", toy, "--adapters"]
        assert words[4] == "sft=/data/adapters/sft"


async def test_published_adapters_are_opened_beside_ones_own(tmp_path):
    for seed, name in enumerate(("mine", "sft", "dpo")):
        write_adapter(tmp_path / name, random_factors(seed=seed % 2), base="org/base")
    file = tmp_path / "toy.yaml"
    file.write_text(
        "title: x\nbase: org/base\nadapters: {sft: ./sft, dpo: ./dpo}\nclaims:\n"
        + claim("metric: norm; adapters: [sft]; relation: at least; value: 0")
    )
    app = InspectorApp([str(tmp_path / "mine")], published=Published(reference=claim_set(str(file))))
    async with app.run_test(size=(100, 30)) as pilot:
        await measured(app, pilot)
        await visit(pilot, "adapters")
        assert app.state.study.names == ("mine", "ref.sft", "ref.dpo")
        assert "ref.dpo cosine 1.00, ‖ΔW‖ ×1, layers all (1.00)" in " ".join(body(app).split())


async def test_ones_own_are_measured_where_no_base_is_shared(tmp_path):
    write_adapter(tmp_path / "mine", random_factors(), base="org/other")
    file = tmp_path / "toy.yaml"
    file.write_text(
        "title: x\nbase: org/base\nadapters: {sft: no/where:sft}\nclaims:\n"
        + claim("metric: norm; adapters: [sft]; relation: at least; value: 0")
    )
    app = InspectorApp([str(tmp_path / "mine")], published=Published(reference=claim_set(str(file))))
    async with app.run_test(size=(80, 24)) as pilot:
        await measured(app, pilot)
        assert app.state.study.names == ("mine",)
        assert any("another base than org/base" in text for text, _ in app.log_lines)
        assert app.state.study.adapters[0].health == "warning"


async def test_a_finding_stands_beside_the_verdict_it_limits(toy):
    """A mark in the list, the finding under the claim, and a column of what is copied; claims of others have none."""
    study = make_study(3, names=NAMES)
    text = "DoRA: ΔW needs the base (--base); only the direction part s·B·A is analysed"
    adapters = tuple(
        replace(
            info,
            base="org/base",
            findings=(HealthIssue("warning", text), HealthIssue("info", "a pickle")) if info.name == "dpo" else (),
        )
        for info in study.adapters
    )
    app = InspectorApp(study=replace(study, adapters=adapters), published=Published(toy, show=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(app, pilot)
        shown = body(app)
        for line in ("✓ holds!  whole", "✗ fails!  layer", "± partly! rank", "✓ holds   angle", "· unknown barrier"):
            assert line in shown
        await down_to(app, pilot, "whole")
        assert f"warning: dpo: {text}" in " ".join(body(app).split())
        assert "a pickle" not in body(app)
        await down_to(app, pilot, "angle")
        assert "warning" not in body(app)
        table = app.view.table(app.state)
        rows = {row[0]: row[table.columns.index("findings")] for row in table.rows}
        assert rows["whole"] == f"warning: dpo: {text}"
        assert rows["angle"] == ""


async def test_copied_commands_read_as_the_app_did(toy):
    study = make_study(3, names=NAMES)
    reading = ("--base", "org/base", "--svd-rank", "8")
    study = replace(study, settings=replace(study.settings, reading=reading))
    app = InspectorApp(study=study, published=Published(toy, show=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(app, pilot)
        for view in ("claims", "merge", "map"):
            app.state.view = view
            assert app.view.shell_command(app.state)[-4:] == ["--base", "org/base", "--svd-rank", "8"]


async def test_a_filtered_claim_about_unpublished_adapters_differs_and_shows_the_pairs_it_found(tmp_path):
    fields = "metric: cosine; pairs: all; where: {rank: 4}; relation: at least; value: 2; unpublished: yes"
    (tmp_path / "every.yaml").write_text(HEAD + claim(fields, "every"))
    study = make_study(3, names=NAMES)
    infos = (replace(a, ranks=(8,) if a.name == "sft" else (4,)) for a in study.adapters)
    study = replace(study, adapters=tuple(infos))
    app = InspectorApp(study=study, published=Published(str(tmp_path / "every.yaml"), show=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(app, pilot)
        assert "≠ fails!  every" in body(app)
        assert " 1 claim · toy · 1 unpublished" in body(app)
        assert "of others than the unpublished adapters it is about" in " ".join(body(app).split())
        await pilot.press("enter")
        assert (app.state.view, app.state.row, app.state.col) == ("map", 1, 2)
