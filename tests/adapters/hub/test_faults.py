"""Everything that goes wrong between here and a Hub, over real HTTP: one sentence, a clean cache, and an end."""

import hashlib
import json
import signal

import pytest

from inspector.adapters.opening import open_sources
from inspector.adapters.options import ReadOptions
from inspector.adapters.sources import Remote
from inspector.base_model.model_files import listed
from inspector.checking.checks import Checked
from inspector.cli.main import cli
from inspector.cli.main import run as run_cli
from inspector.tables.checks import text
from inspector.tasks.datasets import dataset_files
from tests.adapters.hub.cases import failure, kept, only
from tests.hub_server import Fault
from tests.makers import random_factors, write_adapter

WEIGHTS = "adapter_model.safetensors"
NOT_FOUND = {"X-Error-Code": "EntryNotFound"}


@pytest.fixture(autouse=True)
def no_hang():
    """A fault that hangs ends the test, not the machine's patience."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("hangs"))
    signal.alarm(30)
    yield
    signal.alarm(0)


@pytest.fixture
def impatient(hub, monkeypatch):
    from huggingface_hub import constants

    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(constants, name, 0.3)


@pytest.fixture
def repo(hub, tmp_path):
    """Weights of three download chunks and a bit."""
    folder = write_adapter(tmp_path / "one", random_factors({"layers.0.q_proj": (1000, 1000)}, r=55))
    return hub.add("org/one", folder, lfs=True)


def refused(home, source="org/one") -> str:
    """The message of a failure that left nothing of the weights behind."""
    message = failure(source)
    assert message.endswith((".", "HF_ENDPOINT."))
    assert message.isprintable()
    assert "Traceback" not in message
    assert not [name for name in kept(home) if name == WEIGHTS]
    return message


def offsets(size: int) -> list[int]:
    return [0, 1, 7, size // 2, size - 1]


@pytest.mark.parametrize("where", range(5))
def test_a_cut_is_resumed_where_it_was(hub, repo, where):
    content = repo.files[WEIGHTS]
    hub.faults.append(Fault(WEIGHTS, cut_after=offsets(len(content))[where], methods=("GET",), once=True))
    adapter = only("org/one")
    assert adapter.files[0].read_bytes() == content
    assert hub.ranges == ([f"bytes={128 * 1024 * (offsets(len(content))[where] // (128 * 1024))}-"] * (where > 2))


@pytest.mark.parametrize("where", range(5))
def test_a_line_that_is_always_cut(hub, repo, home, where):
    hub.faults.append(Fault(WEIGHTS, cut_after=offsets(len(repo.files[WEIGHTS]) % 1000)[where], methods=("GET",)))
    assert "org/one" in refused(home)
    hub.faults.clear()
    assert only("org/one").files[0].read_bytes() == repo.files[WEIGHTS]


@pytest.mark.parametrize("where", range(5))
def test_a_listing_that_is_cut(hub, repo, home, where):
    hub.faults.append(Fault("api/models", cut_after=offsets(300)[where]))
    assert "org/one" in refused(home)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 500, 502, 503])
@pytest.mark.parametrize("call", ["api", "HEAD", "GET"])
def test_refusals(hub, repo, home, status, call):
    where, methods = ("api/models", ("GET",)) if call == "api" else ("resolve", (call,))
    hub.faults.append(Fault(where, status, NOT_FOUND if status == 404 and call != "api" else {}, methods=methods))
    message = refused(home)
    known = ("token", "There is no", "no such file", "is asked too often", "stopped answering", f"answers {status}")
    assert any(words in message for words in known)


@pytest.mark.parametrize("header", [{"Retry-After": "3600"}, {"Retry-After": "never"}])
def test_a_hub_that_asks_for_patience_is_not_waited_for(hub, repo, home, impatient, header):
    hub.faults.append(Fault("resolve", 429, header))
    assert "asked too often" in refused(home)


@pytest.mark.parametrize("where", ["api/models", WEIGHTS])
def test_silence(hub, repo, home, impatient, where):
    hub.faults.append(Fault(where, pause=5.0, methods=("GET",)))
    message = refused(home)
    assert "stopped answering" in message or "Cannot reach" in message


def test_slow_is_not_silent(hub, repo, impatient):
    hub.faults.append(Fault(WEIGHTS, pause=0.05, methods=("GET",)))
    assert only("org/one").files[0].read_bytes() == repo.files[WEIGHTS]


def test_wrong_bytes_are_not_kept(hub, repo, home):
    hub.faults.append(Fault(WEIGHTS, wrong=True, methods=("GET",)))
    assert "does not have the sha256 the Hub lists: it was not kept" in refused(home)
    hub.faults.clear()
    assert only("org/one").files[0].read_bytes() == repo.files[WEIGHTS]


@pytest.mark.parametrize("listed", [1, 1000, 10**6])
def test_wrong_length(hub, repo, home, listed):
    repo.sizes[WEIGHTS] = listed
    assert "it was not kept" in refused(home)


@pytest.mark.parametrize("listed", [10**15, 10**30])
def test_more_than_the_disk_holds_is_refused_before_anything_is_asked(hub, repo, home, listed):
    repo.sizes[WEIGHTS] = listed
    message = refused(home)
    assert "would download" in message
    assert "free" in message
    assert not [path for _, path in hub.requests if "resolve" in path]


@pytest.mark.parametrize("listed", [-1, "12", 1.5, True, [1]])
def test_sizes_that_are_none(hub, repo, home, listed):
    repo.sizes[WEIGHTS] = listed
    assert "does not answer for org/one as a Hub does" in refused(home)


@pytest.mark.parametrize("where", ["api/models", "resolve"])
def test_redirects_in_a_circle(hub, repo, home, where):
    path = "/api/models/org/one" if where == "api/models" else f"/org/one/resolve/{repo.commit}/adapter_config.json"
    hub.faults.append(Fault(where, 307, {"Location": path}))
    assert "redirects in circles for org/one" in refused(home)


def test_a_redirect_into_nothing(hub, repo, home):
    hub.faults.append(Fault("resolve", 302, {"Location": "http://127.0.0.1:9/x", "X-Repo-Commit": repo.commit,
                                             "X-Linked-ETag": '"0"', "X-Linked-Size": "9"}))  # fmt: skip
    assert "org/one" in refused(home)


@pytest.mark.parametrize("name", ["../adapter_config.json", "/etc/adapter_config.json", "a\\b", "a/../../b", "a/./b",
                                  "a//b", "", "x\0/adapter_model.safetensors", "C:\\adapter_model.bin",
                                  "C:evil/adapter_model.safetensors", "runs/D:x", "//host/share/x"])  # fmt: skip
def test_names_that_leave_the_folder_are_left_out_and_told(hub, repo, home, name):
    repo.listed = (name,)
    (adapter,), (lost,) = open_sources(["org/one"])
    assert adapter.files[0].read_bytes() == repo.files[WEIGHTS]
    assert str(lost).removeprefix("Skipped: ").startswith("org/one lists ")
    assert str(lost).endswith(", which would leave its folder: left out.")
    assert str(lost).isprintable()
    assert lost.skipped == (not name.endswith((".json", ".safetensors", ".bin")))
    assert {path.rpartition("/")[2] for _, path in hub.requests if "resolve" in path} == {
        WEIGHTS,
        "adapter_config.json",
    }


@pytest.mark.parametrize("name", ["step:100/adapter_config.json", "a..b", "...", "con"])
def test_names_that_only_look_so_are_read(hub, repo, name):
    repo.listed = (name,)
    assert not [failure for failure in open_sources(["org/one"])[1] if "left out" in failure.message]


def test_an_adapter_of_such_names_alone(hub, repo, home):
    for name in ("adapter_config.json", WEIGHTS):
        repo.files[f"C:evil/{name}"] = repo.files.pop(name)
    said = refused(home)
    assert said.startswith("org/one holds no")
    assert said.endswith("It lists 'C:evil/adapter_config.json', 'C:evil/adapter_model.safetensors', which would leave "
                         "its folder: left out.")  # fmt: skip


def test_such_names_in_a_list(hub, repo, capsys):
    repo.listed = ("../x", "C:evil/adapter_config.json")
    assert run_cli(lambda: cli.main(["ls", "org/one", "--json"], standalone_mode=False)) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["sources"][0]["adapters"]) == 1
    assert err == "org/one lists '../x', 'C:evil/adapter_config.json', which would leave its folder: left out.\n"


@pytest.mark.parametrize("where", ["api/models", "resolve"])
@pytest.mark.parametrize("header", [{"Retry-After": "0"}, {"RateLimit": '"api";r=0;t=0'}])
def test_a_time_to_wait_is_waited(hub, repo, where, header):
    """Of a listing as of a file."""
    hub.faults += [Fault(where, 429, header, once=True) for _ in range(3)]
    assert only("org/one").files[0].read_bytes() == repo.files[WEIGHTS]
    assert not hub.faults


@pytest.mark.parametrize(
    "ask", [lambda: listed(Remote("org/one")).sha, lambda: dataset_files("org/one", "a", (".json",))]
)
def test_a_time_to_wait_is_waited_for_bases_and_datasets(hub, repo, ask):
    hub.faults.append(Fault("api/models", 429, {"Retry-After": "0"}, once=True))
    assert ask()
    assert not hub.faults


@pytest.mark.parametrize("where", ["api/models", "resolve"])
def test_a_time_too_long_to_wait(hub, repo, home, impatient, where, monkeypatch):
    hub.faults.append(Fault(where, 429, {"Retry-After": "3600"}))
    assert refused(home).endswith("wait some minutes, or log in with `hf auth login` or set HF_TOKEN.")
    monkeypatch.setenv("HF_TOKEN", "hf_known")
    assert refused(home).endswith("the Hub is asked too often from here: wait some minutes.")


@pytest.mark.parametrize("folder", ["\x1b[31mred", "new\nline", "[bold]markup[/]", "\u202egnp", "x" * 300])
def test_odd_names_are_shown_as_plain_text(hub, repo, folder):
    for name in ("adapter_config.json", WEIGHTS):
        repo.files[f"{folder}/{name}"] = repo.files[name]
    alone, _ = open_sources(["org/one"])
    adapters, failures = open_sources(["org/one"], read_options=ReadOptions(checkpoints=True))
    assert (len(alone), len(adapters) + len(failures)) == (1, 2)
    adapters += alone
    shown = [a.info.name for a in adapters] + [str(f) for f in failures]
    shown += [
        line
        for a in adapters
        for line in text([Checked(a, None, None, None, None, a.info.findings)], None, tensors=True).splitlines()
    ]
    assert all(text.isprintable() for text in shown)


@pytest.mark.parametrize("twice", ["same", "other"])
def test_a_name_listed_twice(hub, repo, home, twice):
    if twice == "same":
        repo.listed = ("README.md", "README.md")
        only("org/one")
    else:
        repo.listed = (WEIGHTS,)
        assert "lists 'adapter_model.safetensors' twice" in refused(home)


def test_a_hundred_thousand_files(hub, repo):
    repo.listed = tuple(f"data/{n}/{n}.txt" for n in range(100_000))
    only("org/one")


@pytest.mark.parametrize(
    "answer",
    ["", "[]", "7", "null", "{", "{}", '{"id": "x", "sha": 7}', '{"id": "x", "sha": "main"}', "<html>", "[" * 100_000,
     '{"id": "x", "siblings": [{}]}', '{"id": "x", "siblings": [7]}', '{"id": "x", "siblings": [{"rfilename": 7}]}',
     '{"id": "x", "siblings": [{"rfilename": "a", "lfs": 7}]}'],
)  # fmt: skip
def test_answers_of_no_hub(hub, repo, home, answer):
    if '"siblings"' in answer:
        answer = answer.replace('"id": "x"', f'"id": "x", "sha": "{repo.commit}"')
    hub.answers["api/models/org/one"] = answer.encode()
    assert "does not answer for org/one as a Hub does" in refused(home)


@pytest.mark.parametrize("headers", [{}, {"X-Repo-Commit": "0" * 40}, {"ETag": '"1"'}])
def test_files_without_what_a_hub_says_of_them(hub, repo, home, headers):
    hub.faults.append(Fault("resolve", 200, headers))
    assert "org/one" in refused(home)


def test_a_file_that_vanishes_between_listing_and_download(hub, repo, home):
    hub.answers["api/models/org/one"] = _listing(repo)
    repo.pinned = repo.commit
    content = repo.files.pop(WEIGHTS)
    assert "no such file any more" in refused(home)
    repo.files[WEIGHTS] = content
    only("org/one")


def test_a_file_that_changes_between_listing_and_download(hub, repo, home):
    """The commit is pinned: new contents are another commit, and old ones under its name do not pass."""
    hub.answers["api/models/org/one"] = _listing(repo)
    old = repo.commit
    repo.files[WEIGHTS] = repo.files[WEIGHTS][:-1] + b"\0"
    assert old != repo.commit
    assert "org/one" in refused(home)
    repo.pinned = old
    assert "it was not kept" in refused(home)


def test_what_another_left_damaged_in_the_cache_is_fetched_again(hub, repo):
    path = only("org/one").files[0]
    path.resolve().write_bytes(b"short")
    assert only("org/one").files[0].read_bytes() == repo.files[WEIGHTS]


@pytest.mark.parametrize("what", ["dangling", "loop", "elsewhere"])
def test_links_in_the_cache(hub, repo, tmp_path, what):
    path = only("org/one").files[0]
    (tmp_path / "secret").write_bytes(b"secret")
    path.unlink()
    path.symlink_to({"dangling": "nowhere", "loop": path.name, "elsewhere": tmp_path / "secret"}[what])
    assert only("org/one").files[0].read_bytes() == repo.files[WEIGHTS]
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_a_cache_that_cannot_be_written(hub, repo, home):
    home.mkdir()
    (home / "hub").write_text("a file, no folder")
    assert "in the cache" in failure("org/one")


def test_other_adapters_after_a_dead_line(hub, repo, tmp_path):
    """What is in the cache opens all the same, and the rest does not wait for it again and again."""
    for run in "abcdef":
        folder = write_adapter(tmp_path / "runs" / run, random_factors(seed=ord(run)))
    many = hub.add("org/runs", folder.parent)
    only("org/runs:f")
    hub.faults.append(Fault("resolve", 503))
    adapters, failures = open_sources(["org/runs"])
    assert [a.info.name for a in adapters] == ["f"]
    assert [f.source.rpartition(":")[2] for f in failures] == ["a", "b", "c", "d", "e"]
    assert all("503" in f.message for f in failures)
    assert not [path for _, path in hub.requests if "/c/" in path]
    assert many.files


def _listing(repo) -> bytes:
    siblings = [
        {"rfilename": name, "size": len(content), "lfs": {"sha256": hashlib.sha256(content).hexdigest(),
         "size": len(content), "pointerSize": 1}}
        for name, content in repo.files.items()
    ]  # fmt: skip
    return json.dumps({"_id": "1", "id": "org/one", "sha": repo.commit, "siblings": siblings}).encode()
