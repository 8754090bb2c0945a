"""The first frame comes before torch, whatever is opened."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, sys, threading
sys.path.insert(0, {root!r})
from inspector.tui import app, workers
from inspector.tui.app import InspectorApp

gate = threading.Event()
seen = []
real = workers.open_all
workers.open_all = lambda *rest: (gate.wait(120), real(*rest))
app.warm_up = lambda: gate.wait(120)  # the import of plotext, behind the first frame

async def main():
    app = InspectorApp(["/no/such/adapter"])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        seen.append("torch" in sys.modules)
        seen.append("plotext" in sys.modules)
        gate.set()

asyncio.run(main())
print(seen)
"""


def test_first_frame_needs_neither_torch_nor_plotext(tmp_path):
    program = PROGRAM.format(root=str(ROOT))
    env = {"PATH": "/usr/bin:/bin", "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=180, env=env, check=False
    )
    assert done.stdout.strip() == "[False, False]", done.stderr
