"""Size & rank: whose spectrum is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from inspector.tui.app import InspectorApp
from tests.tui.factory import make_study
from tests.tui.helpers import body, visit

WIDE = (110, 40)


def of_one_module(having):
    """Twelve adapters; the first module has singular values of these alone."""
    study = make_study(n=12)
    sigma = study.blocks["singular_value", "module"].copy()
    sigma[[i for i in range(12) if i not in having], 0] = np.nan
    return InspectorApp(study=replace(study, blocks=study.blocks | {("singular_value", "module"): sigma}))


@pytest.mark.parametrize("having", [[10, 11], [0, 11], [3]])
async def test_the_adapters_that_have_the_module_are_drawn(having):
    app = of_one_module(having)
    async with app.run_test(size=WIDE) as pilot:
        await visit(pilot, "size")
        await pilot.press("down", "down")
        legend = body(app).splitlines()[-1]
        assert [name for name in app.state.study.names if f" {name} " in f"{legend} "] == [f"run_{i}" for i in having]
        assert "0.self_attn.q_proj (1 of 4" in body(app)
        assert "adapters" not in next(line for line in body(app).splitlines() if "singular values" in line)


async def test_more_than_can_be_told_apart_are_counted_and_follow_the_cursor():
    app = of_one_module(range(1, 12))
    async with app.run_test(size=WIDE) as pilot:
        await visit(pilot, "size")
        assert "8 of 11 adapters" in body(app)
        assert "run_1 " in body(app).splitlines()[-1]
        await pilot.press(*["down"] * 11)
        assert "run_11" in body(app).splitlines()[-1]


async def test_a_module_that_nobody_has_is_said():
    app = of_one_module([])
    async with app.run_test(size=WIDE) as pilot:
        await visit(pilot, "size")
        assert "no adapter has numbers of this module" in body(app)
        await pilot.press("n")
        assert "no adapter has numbers" not in body(app)
