"""A base from the Hub: of a dry run its small files alone; what is said where the Hub is away."""

import pytest

from inspector.common.errors import InspectorError
from tests.hub_server import Fault, HubServer
from tests.trainer.small import tiny
from trainer.runs.bases import loaded, skeleton

HINT = "Without the Hub: --base FOLDER, or --recipe demo-smollm2"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as hub:
        hub.patch(monkeypatch, tmp_path / "hub")
        hub.add("org/base", tiny(tmp_path / "base"))
        yield hub


def test_a_skeleton_loads_no_weights(hub):
    shape = skeleton("org/base")
    assert shape.parameters > 0
    assert all(p.is_meta for p in shape.model.parameters())
    assert shape.tokenizer("1 + 1")["input_ids"]
    asked = [path for _, path in hub.requests]
    assert any("config.json" in path for path in asked)
    assert not any("safetensors" in path for path in asked)


def test_names_that_leave_the_folder_are_left_out(hub):
    hub.repos["org/base"].listed = ("C:x.json", "..\\evil.json")
    assert skeleton("org/base").parameters > 0


@pytest.mark.parametrize("get", [skeleton, lambda name: loaded(name, "cpu", "float32", print)])
def test_a_hub_that_is_away(hub, get, capsys):
    hub.faults.append(Fault("", status=503))
    with pytest.raises(InspectorError, match=HINT):
        get("org/base")
    assert capsys.readouterr() == ("", "")


def test_what_the_hub_answers_needs_no_hint(hub):
    with pytest.raises(InspectorError, match="There is no org/none on the Hub") as caught:
        skeleton("org/none")
    assert HINT not in str(caught.value)
