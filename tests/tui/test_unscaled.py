"""An adapter of unknown scale in the app: no norm, no place in a sum, a spectrum of shares."""

import pytest
from safetensors.torch import save_file

from inspector.adapters.formats import read_adapter
from inspector.analysis.analyse import analyse
from inspector.study.study import Settings
from inspector.tui.app import InspectorApp
from tests.makers import lora_tensors, random_factors, write_random
from tests.tui.helpers import VIEWS, body, visit

SIZE = (120, 40)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("unscaled")
    save_file(lora_tensors(random_factors(seed=1), ""), root / "unscaled.safetensors")
    write_random(root / "known", lora_alpha=16)
    adapters = [read_adapter(root / name, name.partition(".")[0], "") for name in ("unscaled.safetensors", "known")]
    return analyse(adapters, Settings(k=2))


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("adapters", ["unknown (no α", "‖ΔW‖ · ·"]),
        ("size", ["singular values σ/‖ΔW‖", "a unscaled b known"]),
        ("sum", ["Left out, their scale is unknown: unscaled (--alpha gives it)", "Σ w·ΔW of 1 adapter"]),
    ],
)
async def test_what_depends_on_the_scale_is_not_shown(study, view, says):
    app = InspectorApp(study=study)
    async with app.run_test(size=SIZE) as pilot:
        await visit(pilot, view)
        shown = body(app)
        assert [text for text in says if text not in shown] == []
        row = next(line for line in shown.splitlines() if line.startswith("▸ unscaled"))
        assert "·" in row.split()


async def test_every_view_can_be_painted(study):
    app = InspectorApp(study=study)
    async with app.run_test(size=SIZE) as pilot:
        for view in VIEWS:
            await visit(pilot, view)
            assert body(app).strip()
