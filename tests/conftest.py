"""No test reads or leaves anything in the user's own cache."""

import fcntl
import gc
import os
import signal
from itertools import count

import pytest

MAY_SKIP = "needs a CUDA device", "root may read everything"
"""With CI=true nothing else is a reason."""

_caches = count()


def pytest_configure():
    """A shell lets background jobs ignore Ctrl-C, nohup a hang-up, and their children too: here both are sent."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items):
    """Files that take long begin first, and short ones fill the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """What was imported stays: the full collection that every training asks for need not walk it again."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory):
    """A cache with the converted base, which all processes of this run share: 20 s of work."""
    from inspector.base_model import smollm2

    place = tmp_path_factory.getbasetemp()
    cache = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "smollm2"
    cache.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setenv("XDG_CACHE_HOME", str(cache))
        smollm2.offline_folder()
    return cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """A folder that is made when it is needed: `mktemp` reads thousands of names to find a new one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / f"cache-{next(_caches)}"))
