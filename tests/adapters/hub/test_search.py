"""The Hub's repos of adapters for some words, and those in the cache."""

import json
import socket

import pytest

from inspector.adapters.hub.search import Found, cached, search
from inspector.common.errors import CancelledError, InspectorError
from tests.adapters.hub.cases import hub_for
from tests.hub_server import Fault
from tests.makers import write_config


def listed(*names):
    return json.dumps([{"id": name, "_id": name, "downloads": 10 - n} for n, name in enumerate(names)]).encode()


def nowhere() -> str:
    """An address of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_what_the_hub_lists_in_its_order(monkeypatch, tmp_path):
    with hub_for(monkeypatch, tmp_path) as hub:
        hub.answers["api/models"] = listed("org/math-lora", "me/\x1b[31mred")
        found = search("math")
        assert found[0] == Found("org/math-lora", 10)
        assert "\x1b" not in found[1].repo
        hub.answers["api/models"] = b"[]"
        assert search("nothing") == []


def test_a_hub_that_does_not_answer_is_said(monkeypatch, tmp_path):
    with hub_for(monkeypatch, tmp_path) as hub:
        hub.answers["api/models"] = b"<html>"
        with pytest.raises(InspectorError, match="does not answer a search as a Hub does"):
            search("math")
        hub.faults.append(Fault("api/models", status=500))
        with pytest.raises(InspectorError, match="answers the search with 500"):
            search("math")
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", nowhere())
        with pytest.raises(InspectorError, match=r"Cannot reach .*: paths and the cache are still listed"):
            search("math")


def test_a_search_is_cancelled(monkeypatch, tmp_path):
    with hub_for(monkeypatch, tmp_path) as hub:
        hub.answers["api/models"] = listed("org/one")
        hub.faults.append(Fault("api/models", hold_after=1))
        with pytest.raises(CancelledError):
            search("one", lambda: bool(hub.requests))


def test_the_cache_is_listed_where_it_holds_adapters(monkeypatch, tmp_path):
    with hub_for(monkeypatch, tmp_path):
        hub = tmp_path / "hub"
        write_config(hub / "models--org--one" / "snapshots" / ("a" * 40))
        write_config(hub / "models--org--set" / "snapshots" / ("b" * 40) / "runs" / "sft")
        (hub / "models--org--base" / "snapshots" / ("c" * 40)).mkdir(parents=True)
        (hub / "datasets--org--data").mkdir()
        assert list(cached()) == ["org/one", "org/set"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "nowhere"))
    assert list(cached()) == []
