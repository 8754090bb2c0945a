"""What is sent to the terminal: only what changed, in the right colours, or in none."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from inspector.common.colours import DARK, LIGHT, LINES, NEGATIVE_HUE, POSITIVE_HUE, hue, lightness, rgb, shade
from inspector.tui.theme import PALETTE, STEPS, ink_for
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
        app.view.move(app.state, -64)
        area(app, "body").repaint()
        app.view.move(app.state, 1)
        regions = area(app, "body").repaint()
        rows = {
            y
            for y, line in enumerate(area(app, "body").text.splitlines())
            if line.startswith(" run_") and "↔" not in line
        }
        assert len(rows & {region.y for region in regions}) == 2


PALETTES = [(dark, sign) for dark in (True, False) for sign in ("+", "-", "grey")]


def seen(index):
    return tuple(Color.from_ansi(index).get_truecolor())


@pytest.mark.parametrize(("dark", "sign"), PALETTES)
def test_in_256_colours_lightness_leaves_the_background_and_hues_stay(dark, sign):
    palette = PALETTE[dark, sign]
    lights = [lightness(DARK if dark else LIGHT), *(lightness(seen(index)) for index in palette)]
    assert len(palette) == STEPS
    assert all((b > a) is dark for a, b in pairwise(lights))
    for step, index in enumerate(palette, start=1):
        near = lightness(shade(step / STEPS, dark=dark))
        assert abs(lightness(seen(index)) - near) < 0.16
        if sign != "grey":
            want = POSITIVE_HUE if sign == "+" else NEGATIVE_HUE
            assert abs((hue(seen(index)) - want + 180) % 360 - 180) < 42


@pytest.mark.parametrize("theme", ["inspector-dark", "inspector-light"])
@pytest.mark.parametrize("colours", ["truecolor", "256"])
def test_a_cell_has_the_colour_of_its_value(theme, colours):
    ink = ink_for(theme, coloured=True, colours=colours)
    assert ink.cell(0.0) == ink.cell(float("nan")) == ink.dim
    assert ink.cell(1.0).bgcolor != ink.cell(-1.0).bgcolor != ink.cell(1.0, "grey").bgcolor
    assert ink.cell(5.0) == ink.cell(1.0)
    if colours == "truecolor":
        assert tuple(ink.cell(0.5).bgcolor.get_truecolor()) == shade(0.5, dark=ink.dark)
    else:
        marks = [ink.cell(step / STEPS).bgcolor.number for step in range(1, STEPS + 1)]
        assert marks == list(PALETTE[ink.dark, "+"])


@pytest.mark.parametrize("ink", [ink_for("", coloured=False), ink_for("inspector-terminal", coloured=True)])
def test_without_a_background_of_its_own_weight_says_how_large_a_value_is(ink):
    looks = [ink.cell(v) for v in (0.0, 0.3, 0.6, 0.9)]
    assert [bool(look.dim) for look in looks] == [True, False, False, False]
    assert [bool(look.bold) for look in looks] == [False, False, True, True]
    assert [bool(look.reverse) for look in looks] == [False, False, False, True]
    assert all(look.bgcolor is None for look in looks)
    assert not ink.blocks


def test_adapters_have_the_hues_of_the_report_on_both_backgrounds():
    for theme in ("inspector-dark", "inspector-light"):
        ink = ink_for(theme, coloured=True)
        assert len(ink.lines) == len(LINES)
        for n, colour in enumerate(LINES[:-1]):  # the last is a grey
            mine = tuple(ink.line(n).color.get_truecolor())
            assert abs((hue(mine) - hue(rgb(colour)) + 180) % 360 - 180) < 30, (theme, n)


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
    ramp = {*PALETTE[True, "+"], *PALETTE[True, "-"]}
    assert backgrounds - chrome <= ramp
    assert len(backgrounds & ramp) >= STEPS + 2
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
    assert re.search(r"−0?\.", text)
    assert "[2 Map]" in re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert last.endswith("False 0")
