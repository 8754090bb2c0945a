"""Adapters from a Hub: what is fetched, under which names, and every way it can go wrong."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspector.adapters.hub.progress import Progress
from inspector.adapters.model import Adapter
from inspector.adapters.opening import open_sources
from inspector.adapters.options import ReadOptions
from inspector.common.errors import CancelledError
from tests.hub_server import Fault, HubServer
from tests.makers import random_factors, write_adapter, write_random


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as server:
        server.patch(monkeypatch, tmp_path / "home")
        yield server


@pytest.fixture
def published(hub, tmp_path):
    """org/one: a single adapter, with files beside it that are none of ours."""
    folder = write_random(tmp_path / "one", seed=1)
    (folder / "README.md").write_text("hello")
    (folder / "optimizer.pt").write_bytes(b"x" * 5000)
    return hub.add("org/one", folder)


def only(source: str) -> Adapter:
    adapters, failures = open_sources([source])
    assert not failures
    assert len(adapters) == 1
    return adapters[0]


def failure(source: str) -> str:
    adapters, failures = open_sources([source])
    assert not adapters
    assert len(failures) == 1
    return failures[0].message


def test_one_adapter(hub, published):
    seen: list[Progress] = []
    adapters, failures = open_sources(["org/one"], progress=seen.append)
    assert not failures
    info = adapters[0].info
    assert (info.name, info.source) == ("one", f"org/one@{published.commit}")
    assert info.modules == 6
    B, A = adapters[0].load(next(iter(adapters[0].modules)))
    assert B.shape[1] == A.shape[0] == 4
    fetched = {path.rpartition("/")[2] for method, path in hub.requests if method == "GET" and "resolve" in path}
    assert fetched == {"adapter_config.json", "adapter_model.safetensors"}
    total = sum(len(published.files[name]) for name in fetched)
    assert seen[-1].done == seen[-1].total == total
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_second_time_from_the_cache(hub, published):
    only("org/one")
    hub.requests.clear()
    only("org/one")
    assert not [path for _, path in hub.requests if "resolve" in path]


def test_revision_subfolder_and_name(hub, tmp_path):
    for run in ("a", "b"):
        write_random(tmp_path / "many" / "runs" / run)
    repo = hub.add("org/many", tmp_path / "many", revisions=("main", "v1", "refs/pr/3"))
    adapter = only("best=org/many@v1:runs/b")
    assert (adapter.info.name, adapter.info.source) == ("best", f"org/many@{repo.commit}:runs/b")
    assert only("org/many@refs/pr/3:runs/a").info.name == "a"
    assert only(f"org/many@{repo.commit}:runs/a").info.name == "a"


def test_several_adapters_in_natural_order(hub, tmp_path):
    folder = write_random(tmp_path / "r")
    for step in (1000, 500):
        write_random(folder / f"checkpoint-{step}")
    hub.add("org/run", folder)
    every = ReadOptions(checkpoints=True)
    names = [a.info.name for a in open_sources(["org/run"], read_options=every)[0]]
    assert names == ["run", "run/checkpoint-500", "run/checkpoint-1000"]
    named = [a.info.name for a in open_sources(["x=org/run"], read_options=every)[0]]
    assert named == ["x", "x/checkpoint-500", "x/checkpoint-1000"]
    for info in (a.info for a in open_sources(["org/run:checkpoint-*"])[0]):
        assert only(f"{info.name}={info.source}").info == info


def test_pickle_only_without_safetensors(hub, tmp_path):
    folder = write_random(tmp_path / "r")
    (folder / "adapter_model.bin").write_bytes(b"not needed")
    hub.add("org/both", folder)
    only("org/both")
    assert not [path for _, path in hub.requests if path.endswith(".bin")]


def test_offline_uses_the_cache(hub, published, monkeypatch):
    online = only("org/one").info
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert only("org/one").info == online
    assert "Cannot reach http://127.0.0.1:9 for org/other" in failure("org/other")


def test_offline_mode(hub, published, monkeypatch):
    online = only("org/one").info
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert only("org/one").info == online
    assert "HF_HUB_OFFLINE" in failure("org/other")


def test_server_error_falls_back_to_the_cache(hub, published):
    online = only("org/one").info
    hub.faults.append(Fault("api/models", status=503))
    assert only("org/one").info == online


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("api/models", 401, {"X-Error-Code": "RepoNotFound"}), "if it is private, log in with `hf auth login`"),
        (Fault("api/models", 403, {"X-Error-Code": "GatedRepo"}), "is gated: accept its terms"),
        (Fault("resolve", 403, {"X-Error-Code": "GatedRepo"}), "is gated: accept its terms"),
        (Fault("api/models", 403), "forbids it to this token"),
        (Fault("api/models", 429), "is asked too often"),
        (Fault("api/models", 500), "the Hub answers 500: try again later"),
    ],
)
def test_refusals(hub, published, fault, message):
    hub.faults.append(fault)
    assert message in failure("org/one")


def test_missing_things(hub, published, tmp_path):
    assert "There is no org/none on the Hub" in failure("org/none")
    assert "no revision 'v9'" in failure("org/one@v9")
    assert "org/one:runs is not there" in failure("org/one:runs")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_bytes(b"x")
    hub.add("org/model", tmp_path / "model")
    assert "org/model holds no LoRA adapter" in failure("org/model")
    (tmp_path / "model" / "adapter_config.json").write_text("{}")
    hub.add("org/model", tmp_path / "model")
    assert "no weights" in failure("org/model")


def test_control_characters_in_a_listing_are_not_shown(hub, published):
    published.listed = ("../\x1b[31mred",)
    assert "\x1b" not in str(open_sources(["org/one"])[1][0])


def test_one_bad_repo_leaves_the_others(hub, published, tmp_path):
    local = write_random(tmp_path / "local")
    adapters, failures = open_sources(["org/none", str(local), "org/one"])
    assert [a.info.name for a in adapters] == ["local", "one"]
    assert [f.source for f in failures] == ["org/none"]


def test_cut_connection_is_resumed(hub, published):
    content = published.files["adapter_model.safetensors"]
    hub.faults.append(Fault("adapter_model.safetensors", cut_after=len(content) // 2, methods=("GET",), once=True))
    only("org/one")


def test_wrong_length(hub, published):
    published.sizes["adapter_model.safetensors"] = 12
    assert "is longer than the 12 bytes the Hub lists: it was not kept" in failure("org/one")
    published.sizes["adapter_model.safetensors"] = 10_000
    assert "the Hub lists 10000: it was not kept" in failure("org/one")
    published.sizes.clear()
    only("org/one")


def test_cancel_while_the_server_is_slow(hub, tmp_path):
    folder = write_adapter(tmp_path / "big", random_factors({"layers.0.q_proj": (4000, 4000)}, r=64))
    hub.add("org/big", folder)
    hub.faults.append(Fault("adapter_model.safetensors", pause=0.2, methods=("GET",)))
    done: list[int] = []
    with pytest.raises(CancelledError):
        open_sources(["org/big"], progress=lambda p: done.append(p.done), cancelled=lambda: len(done) > 3)
    assert 0 < max(done) < 2_000_000
    assert not [p for p in tmp_path.rglob("*.safetensors") if "snapshots" in p.parts]


def test_cancel_while_the_server_says_nothing(hub, published):
    hub.faults.append(Fault("api/models", pause=20.0))
    started = time.monotonic()
    with pytest.raises(CancelledError):
        open_sources(["org/one"], cancelled=lambda: time.monotonic() > started + 0.2)
    assert time.monotonic() - started < 20


def test_as_users_set_it_up(hub, published, tmp_path):
    """HF_ENDPOINT and HF_HOME in the environment; nothing of the library's on stdout or stderr."""
    environment = os.environ | hub.environment(tmp_path / "fresh")
    code = (
        "import sys\nfrom inspector.adapters.opening import open_sources\n"
        "adapters, failures = open_sources(['org/one', 'org/none'])\n"
        "print(adapters[0].info.name, len(failures), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=Path(__file__).parents[3],
    )
    assert (done.stdout, done.stderr) == ("one 1 False\n", "")
