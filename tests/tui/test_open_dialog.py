"""What to open is completed as it is typed, and chosen from what was opened before; an empty app says how."""

import pytest
from textual.widgets import Input

from inspector.study.export import save
from inspector.tui import session, workers
from inspector.tui.app import InspectorApp
from inspector.tui.opening.dialog import OpenDialog
from inspector.tui.opening.offers import Offer, completed, offers, paths, recently
from tests.adapters.hub.cases import hub_for
from tests.adapters.hub.test_search import listed, nowhere
from tests.makers import write_random
from tests.tui.factory import make_study
from tests.tui.helpers import app_with, area, body, everything, settle, strike
from tests.tui.prober import visible


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of adapters to stand in; nothing is in the Hub's cache."""
    for seed, name in enumerate(("sft-a", "sft-b", "dpo")):
        write_random(tmp_path / "runs" / name, seed)
    (tmp_path / "runs" / ".hidden").mkdir()
    (tmp_path / "runs" / "notes.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """The sources that were to be opened."""
    found = []
    monkeypatch.setattr(workers, "open_all", lambda sources, *_rest: found.extend(sources))
    return found


def field(app) -> str:
    return app.screen.query_one(Input).value


async def listing(pilot, app, *keys):
    """The dialog once it shows the offers for what is typed, with these keys."""
    await pilot.press(*keys)
    await settle(pilot, lambda: isinstance(app.screen, OpenDialog) and app.screen.shown == app.screen.typed)
    await pilot.pause()
    return visible(app)


def test_paths_are_offered_by_their_beginning(runs):
    assert [offer.text for offer in paths("ru")] == ["runs/"]
    assert list(paths("runs/s")) == [Offer("runs/sft-a/", "adapter"), Offer("runs/sft-b/", "adapter")]
    assert [offer.text for offer in paths("runs/")] == ["runs/dpo/", "runs/sft-a/", "runs/sft-b/"]
    assert [offer.text for offer in paths("runs/.")] == ["runs/.hidden/"]
    assert [offer.text for offer in paths("runs/dpo/")] == ["runs/dpo/adapter_model.safetensors"]
    for nothing in ("no/such/", "\0", "~nobody-here/", f"{runs}/runs/notes.txt/"):
        assert list(paths(nothing)) == []


def test_home_stays_as_it_is_typed(runs, monkeypatch):
    monkeypatch.setenv("HOME", str(runs))
    assert [offer.text for offer in paths("~/ru")] == ["~/runs/"]


def test_what_was_opened_before_and_the_cache_are_offered_by_any_part(runs):
    known = ["/data/math/sft", "org/other"]
    assert [offer.text for offer in offers("", known, ["org/cached"])] == ["demo", *known, "org/cached"]
    assert offers("MATH", known, []) == [Offer("/data/math/sft", "recent")]
    assert offers("org/", known, ["org/other", "org/cached"])[0] == Offer("org/other", "recent")
    assert len(offers("org/", known, ["org/other", "org/cached"])) == 2
    assert [offer.text for offer in offers("x=runs/d", [], [])] == ["x=runs/dpo/"]
    assert offers("de", [], [])[0].text == "demo"


def test_completion_is_what_offers_share():
    found = [Offer("runs/sft-a/"), Offer("runs/sft-b/"), Offer("org/runs/s")]
    assert completed("runs/s", found) == "runs/sft-"
    assert completed("nothing", found) == "nothing"


def test_what_was_opened_is_remembered_newest_first_and_not_for_ever():
    assert recently(("a", "b"), ["b", "c"]) == ("b", "c", "a")
    assert len(recently([str(n) for n in range(50)], ["x"])) == 12


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (140, 40)])
async def test_tab_completes_and_goes_on(runs, asked, size):
    app = InspectorApp([])
    async with app.run_test(size=size) as pilot:
        assert "demo" in await listing(pilot, app, "o")
        await strike(pilot, "r", "tab")
        await settle(pilot, lambda: field(app) == "runs/")
        text = await listing(pilot, app)
        assert "runs/sft-a/" in text
        assert "notes" not in text
        await strike(pilot, "s", "tab")
        await settle(pilot, lambda: field(app) == "runs/sft-")
        await listing(pilot, app)
        await pilot.press("tab", "tab")
        await settle(pilot, lambda: field(app) == "runs/sft-a/")
        await pilot.press("enter")
        await settle(pilot, lambda: asked)
        assert asked == ["runs/sft-a/"]


async def test_arrows_choose_and_enter_opens_the_marked_one(runs, asked):
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        await listing(pilot, app, "o")
        await listing(pilot, app, *"runs/")
        await pilot.press("down", "down", "down", "up", "enter")
        await settle(pilot, lambda: asked)
        assert asked == ["runs/sft-a/"]


async def test_nothing_typed_and_nothing_marked_opens_nothing(runs, asked):
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        await listing(pilot, app, "o")
        await pilot.press("enter")
        await pilot.pause()
        assert len(app.screen_stack) == 1
        assert asked == []


async def test_what_was_opened_is_listed_by_the_next_start(runs):
    app = InspectorApp(["runs/dpo"])
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app.state.size)
    assert session.read().recent == [str(runs / "runs" / "dpo")]
    again = InspectorApp([])
    again.asked = []
    async with again.run_test(size=(80, 24)) as pilot:
        again.state.opening = ""
        again.repaint()
        assert "Recent, and listed by o:" in body(again)
        text = await listing(pilot, again, "o")
        assert "recent" in text


async def test_a_saved_study_opens_alone(runs, monkeypatch):
    save(make_study(3), runs / "runs" / "three.parquet")
    (runs / "runs" / "torn.parquet").write_bytes(b"PAR1")
    assert Offer("runs/three.parquet", "study") in offers("runs/t", [], [])
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        for name, text in (("torn", "torn.parquet"), ("three", "run_0"), ("three", "opens alone")):
            await pilot.press("o")
            await listing(pilot, app)
            await pilot.press(*f"runs/{name}.parquet", "enter")
            await settle(pilot, lambda text=text: text in everything(app))
        assert app.state.names == ("run_0", "run_1", "run_2")
        assert app.state.measured


async def test_an_empty_start_offers_demo_and_open(runs):
    app = InspectorApp([])
    async with app.run_test(size=(60, 15)) as pilot:
        assert "d  opens the demo" in body(app)
        assert "o  opens a path" in body(app)
        await pilot.pause()


async def test_the_demo_does_not_join_others_by_one_key(asked):
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("d")
        assert "others are open" in area(app, "status").text
        assert app.state.size == 5
        await listing(pilot, app, "o")
        await pilot.press(*"demo", "enter")
        await settle(pilot, lambda: asked)
        assert len(asked) == 11 + 5


async def test_the_hub_is_asked_on_request_alone(runs, asked, monkeypatch, tmp_path):
    with hub_for(monkeypatch, tmp_path / "home") as hub:
        hub.answers["api/models"] = listed("org/math-lora", "org/math-dpo")
        app = InspectorApp([])
        async with app.run_test(size=(80, 24)) as pilot:
            await listing(pilot, app, "o")
            await pilot.press("ctrl+f")
            await pilot.pause()
            assert "type what to search the Hub for" in visible(app)
            await listing(pilot, app, *"x=math")
            assert hub.requests == []
            await pilot.press("ctrl+f")
            await settle(pilot, lambda: "2 repos of PEFT on the Hub" in visible(app))
            assert "10 downloads" in visible(app)
            await pilot.press("down", "enter")
            await settle(pilot, lambda: asked)
            assert asked == ["x=org/math-lora"]


async def test_a_hub_that_cannot_be_reached_leaves_what_is_listed(runs, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", nowhere())
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        await listing(pilot, app, "o")
        await listing(pilot, app, *"ru")
        await pilot.press("ctrl+f")
        await settle(pilot, lambda: "Cannot reach" in visible(app))
        assert "runs/" in visible(app)


async def test_clicks_mark_and_open(runs, asked):
    app = InspectorApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        await listing(pilot, app, "o")
        await listing(pilot, app, *"runs/")
        await pilot.click("#offers", offset=(4, 1))
        assert app.screen.at == 1
        await pilot.click("#offers", offset=(4, 1))
        await settle(pilot, lambda: asked)
        assert asked == ["runs/sft-a/"]
