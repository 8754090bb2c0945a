"""The app as Chromium shows it: keys go to it without a click, and the mouse does what the keys would."""

import json
import time

import pytest
from playwright import sync_api as playwright

from tests.acceptance.test_serve import serving, token_of
from tests.makers import write_random
from tests.report.test_browser import CHROMIUM

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


class Page:
    """A page, and what went through its websocket."""

    def __init__(self, tab, address):
        self.tab, self.sent, self.seen = tab, [], b""
        tab.on("websocket", self._listen)
        tab.goto(address)

    def _listen(self, line):
        line.on("framesent", lambda text: self.sent.append(json.loads(text)))
        line.on("framereceived", self._take)

    def _take(self, data):
        self.seen += data if isinstance(data, bytes) else b""

    def until(self, held):
        end = time.monotonic() + 180
        while not held():
            assert time.monotonic() < end, self.seen[-3000:]
            self.tab.wait_for_timeout(50)

    def shows(self, text):
        self.until(lambda: text.encode() in self.seen)

    def click(self, column, row):
        """On a cell of the terminal."""
        size = next(frame[1] for frame in reversed(self.sent) if frame[0] == "resize")
        box = self.tab.locator(".xterm-screen").bounding_box()
        x, y = ((at + 0.5) * box[side] / size[side] for at, side in ((column, "width"), (row, "height")))
        self.tab.mouse.click(box["x"] + x, box["y"] + y)


def test_keys_without_a_click_and_clicks(tmp_path):
    sources = [write_random(tmp_path / name, seed) for seed, name in enumerate(("one", "two"))]
    with serving(tmp_path, *sources) as (port, said), playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--headless=new", "--no-sandbox"])
        page = Page(browser.new_page(), f"http://localhost:{port}/?token={token_of(said)}")
        page.shows("2 adapters")
        assert ["focus"] in page.sent
        page.tab.keyboard.press("?")
        page.shows("scroll")
        page.tab.keyboard.press("Escape")
        page.seen = b""
        tab = page.tab
        page.click(tabs_at(page, "2"), 0)
        page.shows("Map")
        assert not tab.is_closed()
        browser.close()


def tabs_at(page, _key):
    return 7
