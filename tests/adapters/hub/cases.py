"""What the tests of the Hub share: a server as this process's Hub, and the study's repo with tiny adapters."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from inspector.adapters.model import Adapter
from inspector.adapters.opening import open_sources
from tests.hub_server import HubServer
from tests.makers import write_random

STUDY = "AlexWortega/capabilityvectors-qwen3-4b"
METHODS = ("sft", "rft", "dft", "rift", "dpo", "grpo", "dapo")
RUNS = tuple(f"{method}_lr{rate}_s{seed}" for method in METHODS for rate in ("5e-6", "2e-4") for seed in (42, 123))
"""28 folders, as `adapters/<method>_lr<LR>_s<seed>` of the repo."""


@contextmanager
def hub_for(monkeypatch: Any, home: Path, timeout: float = 10) -> Iterator[HubServer]:
    """A Hub that this process asks; huggingface_hub's waits between its tries are short."""
    from huggingface_hub import constants

    over = quicken(monkeypatch)
    try:
        with HubServer() as server:
            server.patch(monkeypatch, home)
            for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
                monkeypatch.setattr(constants, name, timeout)
            yield server
    finally:
        over.set()


def quicken(monkeypatch: Any) -> threading.Event:
    """Make huggingface_hub's waits between its tries short, in this process; calls that wait for minutes end by the
    event.

    A call that a test has abandoned would else keep the library's settings for an hour, and later tests waiting.
    """
    from huggingface_hub import file_download
    from huggingface_hub.utils import _http

    over = threading.Event()

    def sleep(seconds: float) -> None:
        if seconds <= 60:
            time.sleep(seconds / 100)
        elif over.wait(seconds):
            raise ConnectionAbortedError

    for module in (file_download, _http):
        monkeypatch.setattr(module, "time", SimpleNamespace(**vars(time) | {"sleep": sleep}))
    return over


def write_study(folder: Path, runs: tuple[str, ...] = RUNS) -> Path:
    """The layout of the study's repo: a card, a study.json, and one PEFT folder a run with files beside it."""
    for seed, run in enumerate(runs):
        adapter = write_random(folder / "adapters" / run, seed, base="Qwen/Qwen3-4B")
        (adapter / "README.md").write_text("---\nlibrary_name: peft\n---\n")
        (adapter / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("# Capability vectors")
    (folder / "analysis.json").write_text("{}")
    return folder


def only(source: str, **options: Any) -> Adapter:
    """The one adapter of a source."""
    adapters, failures = open_sources([source], **options)
    assert not failures
    assert len(adapters) == 1
    return adapters[0]


def failure(source: str, **options: Any) -> str:
    """Why a source gives no adapter."""
    adapters, failures = open_sources([source], **options)
    assert not adapters
    assert len(failures) == 1
    return failures[0].message


def kept(home: Path) -> list[str]:
    """What the cache holds that a later run would take: names in snapshots, and blobs."""
    return sorted(
        path.name for path in home.rglob("*") if {"snapshots", "blobs"} & set(path.parts) and not path.is_dir()
    )
