"""The app as Chromium shows it: keys go to it without a click, and the mouse does what the keys would."""

import json
import time

import pyte
import pytest
from playwright import sync_api as playwright

from tests.acceptance.test_serve import serving, token_of
from tests.makers import write_random
from tests.report.test_browser import CHROMIUM

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


class Page:
    """A page with the app in it; `lines` is its terminal, read from what the websocket brought."""

    def __init__(self, tab, address):
        self.tab, self.sent, self.data = tab, [], b""
        tab.on("websocket", self._listen)
        tab.goto(address)

    def _listen(self, line):
        line.on("framesent", lambda text: self.sent.append(json.loads(text)))
        line.on("framereceived", self._take)

    def _take(self, data):
        self.data += data if isinstance(data, bytes) else b""

    @property
    def size(self):
        return next((frame[1] for frame in reversed(self.sent) if frame[0] == "resize"), {"width": 80, "height": 24})

    @property
    def lines(self):
        screen = pyte.Screen(self.size["width"], self.size["height"])
        pyte.ByteStream(screen).feed(self.data)
        return screen.display

    def until(self, held):
        end = time.monotonic() + 180
        while not held(self.lines):
            assert time.monotonic() < end, "\n".join(self.lines)
            self.tab.wait_for_timeout(100)

    def click(self, text):
        """On the first cell that shows the text."""
        row = next(n for n, line in enumerate(self.lines) if text in line)
        box = self.tab.locator(".xterm-screen").bounding_box()
        at = (self.lines[row].index(text), "width"), (row, "height")
        x, y = ((n + 0.5) * box[side] / self.size[side] for n, side in at)
        self.tab.mouse.click(box["x"] + x, box["y"] + y)


def test_keys_without_a_click_and_the_mouse(tmp_path):
    sources = [write_random(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "two", "three"))]
    with serving(tmp_path, *sources) as (port, said), playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--headless=new", "--no-sandbox"])
        page = Page(browser.new_page(), f"http://localhost:{port}/?token={token_of(said)}")
        page.until(lambda lines: any("3 adapters · 3 pairs · 6 modules" in line for line in lines))
        assert ["focus"] in page.sent
        page.tab.keyboard.press("?")
        page.until(lambda lines: any("esc closes" in line for line in lines))
        page.tab.keyboard.press("Escape")
        page.until(lambda lines: not any("esc closes" in line for line in lines))
        page.click("Map")
        page.until(lambda lines: any("cosine" in line for line in lines[1:4]))
        page.click("quit")
        page.tab.wait_for_selector("body.-closed")
        browser.close()
