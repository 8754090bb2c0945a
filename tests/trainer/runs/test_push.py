"""Adapters to a Hub on localhost, over HTTP: what arrives, under which names, and every way it can go wrong."""

import contextlib
from collections import defaultdict
from dataclasses import replace

import pytest

from inspector.adapters.opening import open_sources
from inspector.common.errors import InspectorError
from tests.hub_server import Fault, Repo
from tests.hub_upload_server import HubUploadServer
from tests.odd_server import OddServer
from tests.trainer.small import options, rollouts, tiny
from trainer.runs import push
from trainer.runs.push import Target
from trainer.train import train

pytestmark = pytest.mark.filterwarnings("ignore")
FILES = {"adapter_model.safetensors", "adapter_config.json", "README.md", "run.json", "recipe.yaml", "log.jsonl"}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubUploadServer() as server:
        server.patch(monkeypatch, tmp_path / "home")
        yield server


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Options of a run that is done already."""
    place = tmp_path_factory.mktemp("done")
    asked = options(tiny(place / "base"), "sft", rollouts(place), place / "out")
    train(asked)
    return replace(asked, push="org/set")


def test_a_run_is_trained_pushed_and_opened_from_the_hub(hub, tmp_path):
    asked = options(tiny(tmp_path / "base"), "sft", rollouts(tmp_path), tmp_path / "out", steps=2, save_steps=1)
    assert train(replace(asked, push="org/set", private=True)) == 0
    assert (tmp_path / "out" / "sft" / ".checkpoints" / "checkpoint-1" / "adapter_model.safetensors").is_file()
    there = hub.repos["org/set"].files
    assert set(there) == {f"sft/{name}" for name in FILES}
    assert all(content == (tmp_path / "out" / name).read_bytes() for name, content in there.items())
    assert hub.visibility["org/set"] == "private"
    assert not any(str(tmp_path).encode() in content for content in there.values())
    train(replace(asked, method="rft", push="org/set"))
    adapters, failures = open_sources(["org/set"])
    assert not failures
    assert [adapter.info.name for adapter in adapters] == ["rft", "sft"]
    assert len(open_sources(["org/set:rft"])[0]) == 1


@pytest.fixture
def other():
    with OddServer() as server:
        yield server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["api/whoami", "repos/create", "auth-check", "preupload", "info/lfs", "/commit/"])
def test_the_token_does_not_follow_a_redirect(hub, done, other, where, status, tmp_path):
    hub.faults.append(Fault(where, status, {"Location": f"{other.url}/{where}"}, methods=("GET", "POST")))
    with contextlib.suppress(InspectorError):
        target = Target("org/set")
        target.check()
        target.push(done.out / "sft")
    assert not other.credentials


def test_an_upload_lies_elsewhere_and_the_token_does_not(hub, done, other):
    hub.storage, hub.objects = other.url, defaultdict(bytes)
    Target("org/set").check()
    Target("org/set").push(done.out / "sft")
    assert [(method, path.partition("/lfs/")[0]) for method, path, _ in other.asked] == [("PUT", "")]
    assert not other.credentials
    hub.verify = f"{other.url}/verify"
    hub.repos["org/set"].files.clear()
    with pytest.raises(InspectorError, match=rf"{hub.url} leads to {other.url}/verify, where your token does not go"):
        Target("org/set").push(done.out / "sft")
    assert not other.credentials


def test_what_is_done_is_only_pushed(hub, done, capsys):
    assert train(done) == 0
    assert "sft: done before (4 steps)." in (err := capsys.readouterr().err)
    assert "sft: pushed. `inspector org/set:sft` opens it." in err
    assert hub.visibility["org/set"] is None


@pytest.mark.parametrize("repo", ["set", "a/b/c", "org/", "org/set@v1", "../x", "org/a b"])
def test_what_is_no_repo_is_refused_first(repo, done):
    with pytest.raises(InspectorError, match="is no repo: write org/repo"):
        train(replace(done, push=repo))


def test_private_alone(done):
    with pytest.raises(InspectorError, match="add --push org/repo"):
        train(replace(done, push="", private=True))


def refused(target):
    with pytest.raises(InspectorError) as caught:
        target.check()
    return str(caught.value)


def test_a_token_is_asked_for_before_training(hub, done, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    with pytest.raises(InspectorError, match=r"Cannot push to org/set: the Hub does not take the token: log in"):
        train(replace(done, out=tmp_path / "new"))
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InspectorError, match=r"there is no token: log in with `hf auth login` or set HF_TOKEN\.$"):
        train(replace(done, out=tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    assert not hub.repos


def test_where_the_token_may_not_write(hub):
    said = refused(Target("other/set"))
    assert said.startswith("Cannot push to other/set: the token may not write there (You don't have the rights")
    assert said.endswith("use one with write access to other.")
    hub.repos["foreign/set"] = Repo({})
    assert "use one with write access to foreign" in refused(Target("foreign/set"))


@pytest.mark.parametrize(
    ("status", "said"), [(429, "wait some minutes"), (503, r"the Hub answers 503 \(not now\): try again later")]
)
def test_a_hub_that_does_not_answer_well(hub, status, said):
    hub.fail("whoami", status)
    with pytest.raises(InspectorError, match=said):
        Target("org/set").check()


def test_no_hub_at_all(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached: check the connection, or HF_ENDPOINT" in refused(Target("org/set"))


@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        ("/commit/", 500, r"the Hub answers 500 \(not now\): try again later"),
        ("lfs/", 403, "the token may not write there"),
        ("/commit/", 413, "a file too large"),
    ],
)
def test_a_failed_upload_loses_nothing(hub, done, where, status, said, capsys):
    """The folder stays, the other runs go on, and the same command uploads alone."""
    hub.fail(where, status)
    rest = rf"was not pushed to org/set: .*{said}.*The adapter is complete there; the same command tries the upload"
    with pytest.raises(InspectorError, match=rest):
        train(done)
    assert not hub.repos["org/set"].files
    assert {path.name for path in (done.out / "sft").iterdir() if path.name[0] != "."} == FILES
    hub.faults.clear()
    capsys.readouterr()
    assert train(done) == 0
    assert set(hub.repos["org/set"].files) == {f"sft/{name}" for name in FILES}
    assert "step" not in capsys.readouterr().err.replace("(4 steps)", "")


def test_several_failures_are_raised_at_the_end(hub, done, tmp_path, capsys):
    hub.fail("/commit/", 500)
    uploads = push.Uploads("org/set")
    for name in ("sft", "sft"):
        uploads.push(done.out / name)
    assert capsys.readouterr().err.count("sft: not pushed, the reason comes at the end.") == 2
    with pytest.raises(InspectorError, match="So it went with 2 of the adapters"):
        uploads.close()
