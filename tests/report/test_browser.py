"""The page in headless Chromium: what a reader clicks, drags and sees. Skipped where there is no browser."""

import os
import re
import shutil

import pytest
from playwright import sync_api as playwright

from inspector.report.build import report
from inspector.report.page import page as made_page
from tests.report.studies import HOSTILE, METHODS, full_study

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu"]
        found = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(made_page(report(full_study((*METHODS[:3], HOSTILE[1]), layers=6))), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def visit(browser, address):
    """Opens the page as a reader with these settings would; whatever it logs or loads is a failure."""
    contexts, noise = [], []

    def open_page(at=address, **settings):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | settings)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: noise.append(message.text))
        tab.on("pageerror", lambda error: noise.append(str(error)))
        tab.on("request", lambda request: None if request.url == at else noise.append(request.url))
        tab.on("dialog", lambda dialog: noise.append(dialog.message))
        tab.goto(at)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert noise == []


def drawn(tab, key):
    """In how many charts something with this key is to be seen, and in how many there is any."""
    return tab.evaluate(
        """key => { const of = [...document.querySelectorAll('figure')]
        .map(f => [...f.querySelectorAll(`svg [data-key="${key}"]`)]).filter(found => found.length);
        return [of.filter(found => found.some(e => getComputedStyle(e).display !== 'none')).length, of.length] }""",
        key,
    )


def test_a_pair_is_hidden_and_shown_in_all_charts(visit):
    tab = visit()
    shown, charts = drawn(tab, "pair-0-1")
    assert shown == charts >= 6
    tab.locator("#choose summary").click()
    box = tab.locator("#controls input[value=pair-0-1]")
    box.uncheck()
    assert drawn(tab, "pair-0-1") == [0, charts]
    assert drawn(tab, "pair-0-2")[0] == drawn(tab, "pair-0-2")[1]
    box.focus()
    tab.keyboard.press("Space")
    assert drawn(tab, "pair-0-1") == [charts, charts]


def test_none_and_all(visit):
    tab = visit()
    tab.locator("#choose summary").click()
    tab.locator("[data-none=pairs]").click()
    assert drawn(tab, "pair-1-2")[0] == 0
    assert drawn(tab, "adapter-1")[0] > 0
    tab.locator("[data-all=pairs]").click()
    assert drawn(tab, "pair-1-2")[0] == drawn(tab, "pair-1-2")[1]


def test_bars_close_the_gap_of_a_hidden_pair(visit):
    tab = visit()
    tab.locator("#choose summary").click()
    box = "document.querySelector('#angles svg').viewBox.baseVal.height"
    step = float(tab.locator("#angles").get_attribute("data-step"))
    before = tab.evaluate(box)
    tab.locator("#controls input[value=pair-0-1]").uncheck()
    assert tab.evaluate(box) == pytest.approx(before - step, abs=0.02)
    moved = tab.locator("#angles svg [data-key=pair-0-2]").first.get_attribute("transform")
    assert float(moved.split()[1].rstrip(")")) == pytest.approx(-step)


def test_the_slider_moves_every_cursor_and_the_numbers(visit):
    tab = visit()
    slider = tab.locator("#layer")
    slider.focus()
    tab.keyboard.press("Home")
    at = {}
    for layer in (0, 1):
        assert slider.get_attribute("aria-valuetext") == f"layer {layer}"
        for chart in ("cosine-by-layer", "cka-debiased-by-layer"):
            figure = tab.locator(f"#{chart}")
            at[chart, layer] = float(figure.locator(".cursor").get_attribute("x1"))
            row = figure.locator(f"tr[data-row=layer-{layer}] td").first.text_content()
            assert figure.locator(".legend [data-key=pair-0-1] .value").text_content() == row
            assert row in tab.locator("#live table").first.locator("tbody tr").first.inner_text()
        assert f"layer {layer}" in tab.locator("#live caption").first.text_content()
        tab.keyboard.press("ArrowRight")
    for chart in ("cosine-by-layer", "cka-debiased-by-layer"):
        assert at[chart, 1] > at[chart, 0]


def test_a_phone_scrolls_no_page_sideways(visit):
    tab = visit(viewport={"width": 360, "height": 700})
    for fold in tab.locator("details").all():
        fold.evaluate("fold => { fold.open = true }")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    wide = tab.locator(".scroll:has(table.matrix)").first
    assert wide.evaluate("box => getComputedStyle(box).overflowX") == "auto"


def test_a_phone_begins_with_the_findings_and_says_where_a_chart_goes_on(visit):
    phone, desk = visit(viewport={"width": 390, "height": 844}), visit()
    for tab, narrow in ((phone, True), (desk, False)):
        assert tab.locator("nav ol").is_visible() != narrow
        assert tab.locator("#cosine-by-layer .swipe").is_visible() == narrow
        wider = tab.locator("#cosine-by-layer .chart").evaluate("box => box.scrollWidth > box.clientWidth")
        assert wider == narrow
    phone.locator("nav summary").click()
    assert phone.locator("nav ol a").first.is_visible()


def test_which_pairs_are_drawn_first_is_said_until_others_are_chosen(visit, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(made_page(report(full_study(METHODS[:4], layers=2, probes=()))), encoding="utf-8")
    tab = visit(path.as_uri())
    said = tab.locator("#drawn").inner_text()
    assert re.match(r"The charts draw \d of 6 pairs at first: ", said)
    assert "“Choose pairs and adapters”" in said
    checked = tab.locator("#controls [data-of=pairs]:checked").count()
    assert f"draw {checked} of 6" in said
    tab.locator("#choose summary").click()
    tab.locator("[data-all=pairs]").click()
    assert not tab.locator("#drawn").is_visible()


def test_without_javascript_it_can_be_read(visit):
    tab = visit(java_script_enabled=False)
    assert not tab.locator("#controls").is_visible()
    assert tab.locator("#cosine-by-layer svg").first.is_visible()
    assert tab.locator("#cosine").is_visible()
    details = tab.locator("#cosine-by-layer details")
    details.locator("summary").click()
    assert details.locator("table").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes_follow_the_system_and_the_button(visit, scheme):
    tab = visit(color_scheme=scheme)
    bright = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(n => n > 200)"
    line = "getComputedStyle(document.querySelector('#cosine-by-layer svg [data-key] path')).stroke"
    assert tab.evaluate(bright) == (scheme == "light")
    before = tab.evaluate(line)
    tab.locator("#theme").click()
    assert tab.evaluate(bright) == (scheme == "dark")
    assert tab.evaluate(line) != before


def test_text_can_be_read_on_its_ground(visit):
    """WCAG's 4.5 to 1 for the text and the cells of a matrix, light and dark."""
    contrast = """() => { const rgb = c => c.match(/[\\d.]+/g).map(Number);
      const over = ([r, g, b, a = 1], under) => [r, g, b].map((v, i) => v * a + under[i] * (1 - a));
      const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
      const bright = c => { const [r, g, b] = c.map(linear); return .2126 * r + .7152 * g + .0722 * b };
      const paper = rgb(getComputedStyle(document.body).backgroundColor);
      const texts = '.matrix td, .caution, .caution strong, .about, .findings a, summary, .trap, .some, tr.now td';
      return [...document.querySelectorAll(texts)].map(e => {
        const ground = getComputedStyle(e.matches('strong') ? e.parentElement : e).backgroundColor;
        const [x, y] = [bright(rgb(getComputedStyle(e).color)), bright(over(rgb(ground), paper))].sort((a, b) => b - a);
        return [`${e.tagName} ${e.className}`, (x + .05) / (y + .05)] }) }"""
    for scheme in ("light", "dark"):
        low = [(what, ratio) for what, ratio in visit(color_scheme=scheme).evaluate(contrast) if ratio < 4.5]
        assert low == []
