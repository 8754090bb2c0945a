"""Every test has its own state folder; nothing of the machine's session or colours leaks in."""

import pytest


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def prober():
    from tests.tui.prober import FakeProber

    fake = FakeProber()
    yield fake
    fake.release.set()
