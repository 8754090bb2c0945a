"""Who may see a repo, where it has moved, where its contents lie; and that a token goes nowhere else."""

import hashlib
import re
import threading

import pytest

from inspector.adapters.opening import open_sources
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.interruptible import interruptible
from tests.adapters.hub.cases import failure, hub_for, only
from tests.hub_server import Fault, HubServer
from tests.makers import write_random

TOKEN = "hf_secret"
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with hub_for(monkeypatch, tmp_path / "home") as server:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


@pytest.fixture
def other():
    """Another host: another port is another origin."""
    with HubServer() as server:
        yield server


@pytest.fixture
def repo(hub, tmp_path):
    return hub.add("org/one", write_random(tmp_path / "one"), lfs=True)


def test_private(hub, repo, monkeypatch):
    repo.token = TOKEN
    only("org/one")
    asked = zip(hub.requests, hub.tokens, strict=True)
    assert {token for (_, path), token in asked if "org/one" in path} == {f"Bearer {TOKEN}"}
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "if it is private, log in with `hf auth login`" in failure("org/one")


@pytest.mark.parametrize("where", ["api/models", "resolve"])
def test_gated(hub, repo, where):
    hub.faults.append(Fault(where, 403, {"X-Error-Code": "GatedRepo"}))
    assert "is gated: accept its terms on its page" in failure("org/one")


def test_an_id_that_may_be_a_mistyped_path(hub, repo, tmp_path, monkeypatch):
    """The Hub is asked all the same: its owner's name may be that of a folder here."""
    monkeypatch.chdir(tmp_path)
    write_random(tmp_path / "org" / "three")
    only("org/one")
    assert failure("org/thre").startswith(
        "No file or folder 'org/thre' here (near: org/three). As a Hub id: There is no org/thre"
    )
    assert failure("org/thre@main").startswith("There is no org/thre")
    assert failure("elsewhere/thing").startswith("There is no elsewhere/thing")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    repo.token = TOKEN
    assert failure("org/one").startswith("No file or folder 'org/one' here. As a Hub id: ")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_renamed(hub, repo, monkeypatch, status):
    from huggingface_hub import constants

    hub.repos["org/new"] = hub.repos.pop("org/one")
    hub.moved["org/one"] = "org/new"
    hub.moved_status = status
    found = only("org/one").info
    assert found.source == f"org/one@{repo.commit}"
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert only("org/one").info == found
    assert only(found.source).info == found


def test_contents_on_another_host_come_without_the_token(hub, repo, other):
    other.repos["org/one"] = type(repo)(repo.files, lfs=True, pinned=repo.commit)
    repo.storage = other.url
    assert only("org/one").files[0].read_bytes() == repo.files["adapter_model.safetensors"]
    assert [path for method, path in other.requests if method == "GET"]
    assert set(other.tokens) == {""}


@pytest.mark.parametrize("where", ["api/models/org/one", "adapter_config.json"])
def test_a_redirect_to_another_host_does_not_take_the_token_along(hub, repo, other, where):
    other.repos["org/one"] = type(repo)(repo.files, lfs=True)
    path = f"/{where}" if "api" in where else f"/org/one/resolve/{repo.commit}/{where}"
    hub.faults.append(Fault(where, 302, {"Location": f"{other.url}{path}"}))
    open_sources(["org/one"])
    assert set(other.tokens) <= {""}


def test_metadata_on_a_host_of_huggingface_come_without_another_hubs_token(hub, repo, other, monkeypatch):
    """huggingface_hub itself takes the token along from HF_ENDPOINT to huggingface.co, which `other` stands for."""
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http, "_HUB_ORIGINS", frozenset({_http._url_origin(other.url)}))
    other.repos["org/one"] = type(repo)(repo.files, lfs=True, pinned=repo.commit)
    hub.faults.append(Fault("resolve", 307, {"Location": f"{other.url}/org/one/resolve/{repo.commit}/{WEIGHTS}"}))
    open_sources(["org/one"])
    assert [method for method, _ in other.requests]
    assert set(other.tokens) == {""}


def test_the_tokens_of_xet_are_not_asked_elsewhere(hub, repo, other):
    digest = hashlib.sha256(repo.files[WEIGHTS]).hexdigest()
    xet = {"X-Xet-Hash": "a" * 64, "X-Xet-Refresh-Route": f"{other.url}/xet-token/x"}
    hub.faults.append(
        Fault(WEIGHTS, 200, {"ETag": f'"{digest}"', "X-Repo-Commit": repo.commit} | xet, methods=("HEAD",))
    )
    assert f"{hub.url} leads to {other.url}/xet-token/x, where your token does not go" in failure("org/one")
    assert not other.requests


def test_the_password_of_an_endpoint_is_not_shown(hub, repo, monkeypatch):
    from huggingface_hub import constants

    for fault in (Fault("api", 500), Fault("api", 429), Fault("api", 302, {"Location": "http://127.0.0.1:9/x"})):
        hub.faults = [fault]
        monkeypatch.setattr(constants, "ENDPOINT", hub.url.replace("//", "//me:word@"))
        assert "word" not in failure("org/one")


def test_where_a_hub_leads_is_named_without_password_or_signature():
    from huggingface_hub import get_session

    from inspector.common.hub_token import AGENT, _keep

    head = {"User-Agent": AGENT, "Authorization": f"Bearer {TOKEN}"}
    request = get_session().build_request("GET", "https://me:word@other.test/x?signature=7", headers=head)
    with pytest.raises(InspectorError, match=r"leads to https://.*other\.test/x, where your token does not") as error:
        _keep(request)
    assert not {"word", "signature", TOKEN} & set(re.findall(r"\w+", str(error.value)))


def test_requests_of_others_in_this_process_are_left_alone(hub, repo, other):
    """As those of an InferenceClient, to whose address the token belongs."""
    from huggingface_hub import get_session

    only("org/one")
    get_session().get(f"{other.url}/x", headers={"Authorization": "Bearer theirs"})
    assert other.tokens == ["Bearer theirs"]


def test_a_look_at_a_large_file_on_another_host_comes_without_the_token(hub, repo, other):
    repo.files = {"big.safetensors": b"\0" * 100}
    repo.sizes["big.safetensors"] = 10**9
    other.repos["org/one"] = type(repo)(repo.files, pinned=repo.commit)
    repo.storage = other.url
    assert "holds weights but no adapter" in failure("org/one")
    assert set(other.tokens) == {""}
    assert other.ranges == ["bytes=0-65535"]


def test_the_client_made_anew_after_a_failed_connection_keeps_the_token_too(hub, repo, other):
    from huggingface_hub import close_session, get_session

    from inspector.common.hub_token import AGENT

    only("org/one")
    close_session()  # as the library does where it cannot connect, before it tries again
    headers = {"User-Agent": AGENT, "Authorization": f"Bearer {TOKEN}"}
    get_session().head(f"{other.url}/x", headers=headers)
    with pytest.raises(InspectorError, match="where your token does not go"):
        get_session().get(f"{other.url}/x", headers=headers)
    assert other.tokens == [""]


def test_a_call_that_nobody_waits_for_asks_no_more(hub, repo):
    """Where it cannot connect, the library closes the client of all threads, again at each of its tries."""
    from huggingface_hub import get_session

    only("org/one")
    asked, ended = threading.Event(), threading.Event()
    errors = []

    def call():
        asked.wait()
        try:
            get_session().get(f"{hub.url}/api/models/org/one")
        except CancelledError as error:
            errors.append(error)
        ended.set()

    with pytest.raises(CancelledError):
        interruptible(call, lambda: True)
    hub.requests.clear()
    asked.set()
    assert ended.wait(10)
    assert errors
    assert not hub.requests


def test_a_client_that_another_thread_closes_is_no_fault_of_the_hub(hub, repo, monkeypatch):
    from huggingface_hub import HfApi, close_session, get_session

    info, closed = HfApi.model_info, []

    def closing(self, *args, **options):
        if len(closed) < 3:
            closed.append(get_session())
            close_session()
            closed[-1].get(f"{hub.url}/api/models/org/one")
        return info(self, *args, **options)

    monkeypatch.setattr(HfApi, "model_info", closing)
    assert only("org/one")
    assert len(closed) == 3
