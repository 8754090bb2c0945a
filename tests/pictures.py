"""`make pictures`: the README's screenshots, taken of the app on the bundled adapters."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "assets" / "pictures"
VIEWS = {"overview": [], "map": ["2"], "layers": ["3"], "pair": ["4"], "angles": ["v"]}
SIZE = (96, 28)


async def take() -> None:
    from inspector.tui.app import InspectorApp

    app = InspectorApp(demo=True)
    async with app.run_test(size=SIZE) as pilot:
        while app.progress is not None or not app.state.study.blocks:
            await pilot.pause(0.2)
        for name, keys in VIEWS.items():
            await pilot.press(*keys)
            await pilot.pause(0.3)
            (PICTURES / f"{name}.svg").write_text(app.export_screenshot(title="inspector"), encoding="utf-8")
            print(f"wrote {PICTURES / name}.svg", file=sys.stderr)


if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        os.environ |= {"XDG_STATE_HOME": state, "COLORTERM": "truecolor"}
        os.environ.pop("NO_COLOR", None)
        asyncio.run(take())
