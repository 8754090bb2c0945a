"""huggingface_hub's settings belong to the process: importing leaves them, a call gives them back."""

import subprocess
import sys
import threading
import time

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
from huggingface_hub.utils import logging as hub_logging

from inspector.common import hub_library
from inspector.common.hub_library import quiet_hub

MODULES = (
    "inspector.adapters.hub.fetch", "inspector.adapters.hub.download", "inspector.base_model.model_files",
    "inspector.tasks.datasets", "inspector.base_model.base", "inspector.adapters.opening", "inspector.api.library",
    "trainer.runs.bases", "trainer.runs.push", "inspector.tui.app",
)  # fmt: skip
IMPORTING = """
import importlib, logging, os, sys, warnings
import numpy, peft, torch, transformers  # whatever these set at import is theirs
from huggingface_hub import constants
from huggingface_hub.utils import are_progress_bars_disabled
from huggingface_hub.utils import logging as hub_logging

def settings():
    return {
        "chunk": constants.DOWNLOAD_CHUNK_SIZE,
        "verbosity": hub_logging.get_verbosity(),
        "no bars": are_progress_bars_disabled(),
        "levels": [logging.getLogger(name).level for name in ("", "transformers", "torch", "math_verify")],
        "filters": list(warnings.filters),
        "threads": torch.get_num_threads(),
        "environment": dict(os.environ),
    }

for name in sys.argv[1:]:
    before = settings()
    importlib.import_module(name)
    changed = [key for key, value in settings().items() if value != before[key]]
    assert not changed, (name, changed)
"""


@pytest.fixture
def settings(monkeypatch):
    """The library's settings now; all of them other than these tools'."""
    while hub_library._users:  # a download that another test has abandoned
        time.sleep(0.05)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 12345)
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity(30)
    enable_progress_bars()
    yield lambda: (constants.DOWNLOAD_CHUNK_SIZE, hub_logging.get_verbosity(), are_progress_bars_disabled())
    hub_logging.set_verbosity(verbosity)


def test_importing_changes_no_setting_of_the_process():
    run = [sys.executable, "-c", IMPORTING, *MODULES]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_settings_are_set_within_and_restored(settings):
    before = settings()
    with quiet_hub():
        assert settings() == (128 * 1024, 50, True)
        with quiet_hub():
            pass
        assert settings() == (128 * 1024, 50, True)
    assert settings() == before


def test_they_are_restored_after_an_error_too(settings):
    before = settings()
    with pytest.raises(OSError, match="cut"), quiet_hub():
        raise OSError("cut")
    assert settings() == before


def test_the_last_of_several_threads_restores_them(settings):
    """An abandoned download ends after the one that was started next: it must not put back the other's settings."""
    before, entered, leave = settings(), threading.Event(), threading.Event()

    def abandoned():
        with quiet_hub():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=abandoned)
    with quiet_hub():
        thread.start()
        entered.wait()
    assert settings() == (128 * 1024, 50, True)
    leave.set()
    thread.join()
    assert settings() == before


def test_a_user_who_turned_bars_off_finds_them_off(settings, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    before = settings()
    with quiet_hub():
        pass
    assert settings() == before
