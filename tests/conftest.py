"""No test reads or leaves anything in the user's own cache."""

import signal

import pytest


def pytest_configure():
    """A shell lets background jobs ignore Ctrl-C, and their children with them: here it is sent on purpose."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
