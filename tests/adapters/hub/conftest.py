"""A Hub on this machine, and the home of who asks it."""

import pytest

from tests.adapters.hub.cases import hub_for


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def hub(home, monkeypatch):
    with hub_for(monkeypatch, home) as server:
        yield server
