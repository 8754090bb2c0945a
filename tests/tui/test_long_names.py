"""Eight adapters as people name them: what all names share stands in the title, what tells them apart everywhere."""

import pytest

from inspector.tui.app import InspectorApp
from tests.tui.factory import make_study
from tests.tui.helpers import area, body, visit
from tests.tui.probed import probed_study

SHORT = (
    *("run1-sft-s1", "run2-sft-s2", "run3-dft-s1", "run4-rft-s1"),
    *("run5-rift-s1", "run6-dpo-s1", "run7-grpo-s1", "run8-grpo-lr2e-4"),
)
SHARED = "qwen3-4b-lora-r32-math-"
LONG = tuple(name.replace("-", f"-{SHARED}", 1) for name in SHORT)


@pytest.mark.parametrize("view", ["overview", "adapters", "map", "size", "sum"])
async def test_each_adapter_has_a_row_under_its_short_name(view):
    app = InspectorApp(study=make_study(8, names=LONG))
    async with app.run_test(size=(80, 30)) as pilot:
        await visit(pilot, view)
        await app.workers.wait_for_complete()
        await pilot.pause()
        lines = [line.lstrip("▸~ ") for line in body(app).splitlines()]
        assert all(any(line.startswith(name) for line in lines) for name in SHORT), body(app)
        assert sum(SHARED in line for line in lines) <= 2  # the title, and the source of the one under the cursor


@pytest.mark.parametrize("view", ["map", "layers", "curves", "pair", "angles", "merge", "accuracy", "basins", "cka"])
async def test_pairs_leave_out_what_all_names_share(view):
    app = InspectorApp(study=probed_study(8, names=LONG))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, view)
        await app.workers.wait_for_complete()
        await pilot.pause()
        text = body(app)
        assert "run1-sft-s1" in text
        said = sum(SHARED in line for line in text.splitlines())
        assert said == 1 if view in {"map", "pair", "merge"} else said <= 1, text


async def test_the_columns_of_the_map_break_between_words():
    app = InspectorApp(study=make_study(8, names=LONG))
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        heads = area(app, "body").text.splitlines()[1:4]
        assert "".join(heads).split().count("grpo-") == 2
        assert heads[2].split()[-3:] == ["dft-s1", "s1", "s1"]
