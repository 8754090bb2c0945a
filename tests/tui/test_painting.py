"""What is sent to the terminal: only what changed, in the right colours, or in none."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from inspector.tui.theme import RAMP, ramp_index
from inspector.tui.widgets.painted import changed_spans
from tests.tui.helpers import app_with, area, visit

ROOT = Path(__file__).parents[2]
PROGRAM = """
from tests.tui.helpers import NAMES
from tests.tui.factory import make_study
from inspector.tui.app import InspectorApp
import sys
code = InspectorApp(study=make_study(5, layers=6, names=NAMES)).run_to_end()
print("torch" in sys.modules, code)
"""


def test_changed_spans_join_near_and_keep_far_apart():
    old = Strip([Segment("a" * 40)])
    new = Strip([Segment("a" * 5 + "b" + "a" * 3 + "b" + "a" * 20 + "b" + "a" * 9)])
    assert changed_spans(old, new) == [(5, 10), (30, 31)]
    assert changed_spans(old, old) == []
    bold = Strip([Segment("a" * 39), Segment("a", Style(bold=True))])
    assert changed_spans(old, bold) == [(39, 40)]


def test_changed_spans_count_cells_of_wide_characters():
    old, new = Strip([Segment("日本 x")]), Strip([Segment("日本 y")])
    assert changed_spans(old, new) == [(5, 6)]


async def test_scrubbing_repaints_little():
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "layers")
        await pilot.press("]", "]")
        body = area(app, "body")
        app.state.set_layer(app.state.layer + 1)
        regions = body.repaint()
        assert 0 < sum(region.area for region in regions) < 150
        assert body.repaint() == []
        await visit(pilot, "map")
        app.state.set_layer(app.state.layer + 1)
        untouched = {0} | set(range(body.size.height)) - {region.y for region in body.repaint()}
        assert untouched
        assert area(app, "tabs").repaint() == []
        assert area(app, "keys").repaint() == []


async def test_moving_the_cursor_repaints_two_cells_and_the_readout():
    app = app_with(64, layers=2)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "map")
        await pilot.press("down")
        app.state.row += 1
        regions = area(app, "body").repaint()
        assert len({region.y for region in regions}) <= 4


def test_ramp_ends_middle_and_bounds():
    assert ramp_index(-1, diverging=True) == RAMP[0]
    assert ramp_index(0, diverging=True) == RAMP[7] == ramp_index(0, diverging=False)
    assert ramp_index(1, diverging=True) == RAMP[14] == ramp_index(1, diverging=False)
    assert ramp_index(-5, diverging=True) == RAMP[0]
    assert [ramp_index(-1 + n / 7, diverging=True) for n in range(15)] == list(RAMP)


def in_terminal(tmp_path: Path, keys: str, **env: str) -> tuple[str, str]:
    """Run the app in a pseudo-terminal of 80×24, press keys; everything it wrote, and its last line."""
    leader, follower = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    clean = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLORTERM", "TERM", "PYTHONWARNINGS"}}
    clean |= {"TERM": "screen-256color", "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)} | env
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=follower, stdout=follower, stderr=follower, env=clean, close_fds=True
    )
    os.close(follower)
    written, sent, pressed = b"", 0.0, 0
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        ready, _, _ = select.select([leader], [], [], 0.25)
        if ready:
            try:
                written += os.read(leader, 65536)
            except OSError:
                break
        elif pressed < len(keys) and b"Ada" in written and time.monotonic() - sent > 0.2:
            os.write(leader, keys[pressed].encode())
            sent, pressed = time.monotonic(), pressed + 1
    process.wait(timeout=60)
    os.close(leader)
    text = written.decode("utf-8", "replace")
    return text, text.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    return in_terminal(tmp_path_factory.mktemp("state"), "2mq")


def test_the_ramp_reaches_a_256_colour_terminal_unchanged(coloured):
    text, _ = coloured
    backgrounds = {int(code) for code in re.findall(r"48;5;(\d+)", text)}
    chrome = {234, 235, 236}
    assert backgrounds - chrome <= set(RAMP)
    assert len(backgrounds & set(RAMP)) == len(RAMP)
    assert "48;2;" not in text
    assert "38;2;" not in text


def test_the_app_leaves_the_terminal_and_loads_no_torch(coloured):
    text, last = coloured
    assert last.endswith("False 0")
    assert "\x1b[?1049l" in text
    assert "Traceback" not in text


def test_no_color_sends_no_colour_but_sign_value_and_cursor(tmp_path):
    text, last = in_terminal(tmp_path, "2q", NO_COLOR="1")
    assert not re.findall(r"[34]8;[25];", text)
    assert not re.findall(r"\x1b\[[0-9;]*\b(3[0-7]|4[0-7]|9[0-7]|10[0-7])\b[0-9;]*m", text)
    assert "−." in text
    assert "[2Map]" in re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert last.endswith("False 0")
