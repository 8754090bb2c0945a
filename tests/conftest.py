"""No test reads or leaves anything in the user's own cache."""

import os
import signal

import pytest

MAY_SKIP = "needs a CUDA device", "root may read everything"
"""With CI=true nothing else is a reason."""


def pytest_configure():
    """A shell lets background jobs ignore Ctrl-C, nohup a hang-up, and their children too: here both are sent."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _judged(report):
    """What CI skips for want of something has failed: `.ci/run` installs what tests need."""
    if os.environ.get("CI") == "true" and report.skipped:
        _, _, reason = report.longrepr
        if reason.removeprefix("Skipped: ") not in MAY_SKIP:
            report.outcome, report.longrepr = "failed", f"{report.nodeid} may not be skipped in CI: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _judged((yield))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
