"""Keys and passwords go to the server they are for, and are shown nowhere: two servers, every client."""

import base64
import json

import pytest

from inspector.base_model.endpoint import Endpoint
from inspector.base_model.generation import Hooks
from inspector.base_model.server import Server
from inspector.cli import main
from inspector.common.errors import InspectorError
from inspector.common.text import plain
from tests.base_model.chat_server import ChatServer
from tests.makers import write_random
from tests.odd_server import OddServer, reply
from trainer.objectives.vllm_sampler import Place
from trainer.rollouts.teachers import remote

KEY, PASSWORD = "sk-secret", "pa:s%40s"
CHAT = [[{"role": "user", "content": "1 + 1 = ?"}]]
MODELS = json.dumps({"data": [{"id": "base"}, {"id": "sft"}]}).encode()


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def other():
    """Another origin, by its port."""
    with OddServer(lambda handler, _body: reply(handler, 200, MODELS)) as server:
        yield server


def moved(other, status, where):
    """A server that redirects what is asked at `where`."""

    def answer(handler, _body):
        if where in handler.path:
            reply(handler, status, b"{}", {"Location": f"{other.url.replace('//', '//me:word@')}{handler.path}"})
        else:
            reply(handler, 200, MODELS)

    return OddServer(answer)


CLIENTS = {
    "eval": lambda url: list(Server(url, 8).answers("sft", CHAT, Hooks())),
    "rollouts": lambda url: list(remote((url,), "sft", 1, 0, "").server.answers("sft", CHAT, Hooks())),
    "vllm": lambda url: Place(url, "base", 4).check(),
}


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize("where", ["models", "/v1"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_key_does_not_follow_a_redirect(other, client, where, status):
    part = where if where == "models" else "comple" if client != "vllm" else "load"
    said = rf"redirects to {other.url}/v1/\S+, and nothing is sent on"
    with moved(other, status, part) as server, pytest.raises(InspectorError, match=said) as caught:
        CLIENTS[client](server.url)
    assert server.credentials == {f"Bearer {KEY}"}
    assert not other.asked
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\n{KEY}", f"{KEY}\u2026", f"{KEY}\x7f"])
def test_a_key_that_no_header_takes_is_not_quoted(other, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InspectorError, match="The key in OPENAI_API_KEY has characters") as caught:
        Endpoint(other.url).cards()
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    assert [card["id"] for card in Endpoint(other.url).cards()] == ["base", "sft"]


@pytest.mark.parametrize(
    "location", ["http://[::1", "http://host:port/", "", "//", "file:///etc/passwd", "http://a b/"]
)
def test_a_redirect_to_nowhere(location):
    with OddServer(lambda handler, _body: reply(handler, 302, b"", {"Location": location})) as server:
        with pytest.raises(InspectorError, match="The server "):
            Endpoint(server.url, tries=2, pause=0.01).cards()
        assert len(server.asked) < 25


def test_a_key_goes_along_within_its_origin(other):
    def answer(handler, _body):
        if handler.path == "/v1/models":
            reply(handler, 307, b"", {"Location": "/v2/models"})
        else:
            reply(handler, 200, MODELS)

    with OddServer(answer) as server:
        assert [card["id"] for card in Endpoint(server.url).cards()] == ["base", "sft"]
        assert [headers["Authorization"] for *_, headers in server.asked] == [f"Bearer {KEY}"] * 2


def test_another_scheme_is_another_origin():
    def answer(handler, _body):
        reply(handler, 301, b"", {"Location": f"https://{handler.headers['Host']}{handler.path}"})

    with OddServer(answer) as server, pytest.raises(InspectorError, match="redirects to https://"):
        Endpoint(server.url).cards()


def test_the_proxys_password_stays_with_the_proxy(other, monkeypatch):
    """A proxy that sends to a host that is reached without it."""
    with OddServer(lambda handler, _body: reply(handler, 302, b"", {"Location": f"{other.url}/v1/models"})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:word@"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(InspectorError, match="redirects to"):
            Endpoint("http://server.invalid").cards()
        assert "Proxy-Authorization" in proxy.asked[0][2]
    assert not other.asked


def test_the_user_of_an_address_is_sent_there_instead_of_the_key(other):
    address = other.url.replace("//", f"//me:{PASSWORD}@")
    assert [card["id"] for card in Endpoint(address).cards()] == ["base", "sft"]
    assert other.credentials == {f"Basic {base64.b64encode(b'me:pa:s@s').decode()}"}
    assert PASSWORD not in repr(Server(address, 8))


@pytest.mark.parametrize(
    "address",
    [
        "ftp://me:word@host/v1",
        "http://me:word@host:port",
        "http://me:wo/rd@host",
        "me:word@host:99999",
        "http://me:word@",
    ],
)
def test_a_malformed_address_is_refused_without_its_password(address):
    with pytest.raises(InspectorError, match="is not a server") as caught:
        Endpoint(address).cards()
    assert not any(part in str(caught.value) for part in ("me:", "wo", "rd@"))


@pytest.mark.parametrize("sign", "#/?")
def test_a_malformed_proxy_is_refused_without_its_password(monkeypatch, sign):
    monkeypatch.setenv("http_proxy", f"http://me:wo{sign}rd@proxy:8080")
    with pytest.raises(
        InspectorError, match=r"HTTP_PROXY or HTTPS_PROXY is not an address|cannot be reached"
    ) as caught:
        Endpoint("http://server.invalid").cards()
    assert "wo" not in str(caught.value)


@pytest.mark.parametrize("refused", [False, True])
def test_a_password_is_neither_printed_nor_recorded_nor_exported(tmp_path, monkeypatch, capsys, refused):
    monkeypatch.chdir(tmp_path)
    write_random(tmp_path / "sft", 0, base_model_name_or_path="base")
    (tmp_path / "sums.jsonl").write_text('{"question": "1 + 1 = ?", "answer": "2"}\n')
    with ChatServer(("base", "sft"), lambda *_: "\\boxed{2}", key="other" if refused else "") as chat:
        address = chat.url.replace("//", "//me:word@")
        arguments = ["eval", "sft", "--task", "sums.jsonl", "--server", address, "--records", "kept"]
        code = main.run(lambda: main.cli.main([*arguments, "--out", "s.json"], standalone_mode=False))
        assert code == (2 if refused else 0)
        out, err = capsys.readouterr()
        assert "127.0.0.1" in err
        assert ("does not take the user and password of its address" in err) == refused
        rollouts = ["rollouts", "--task", "arithmetic-train", "--limit", "1", "--k", "1", "--server", address]
        command = [*rollouts, "--teacher", "sft", "--out", "r.jsonl"]
        code = main.run(lambda: main.cli.main(command, standalone_mode=False))
        assert code == (2 if refused else 0)
    more = capsys.readouterr()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "sft"]
    assert len(written) > 1
    for text in (out, err, more.out, more.err, *(path.read_bytes().decode() for path in written)):
        assert "word" not in text.replace("password", "")


def test_no_text_from_outside_is_shown_with_a_password():
    assert plain("at http://me:word@host/x and https://t@h") == "at http://host/x and https://h"
    assert plain("write http://user:password@host:port") == "write http://user:password@host:port"
    assert plain("https://huggingface.co/org/repo@main") == "https://huggingface.co/org/repo@main"


def test_an_unexpected_error_shows_none(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["inspector", "--debug"])

    def fails():
        raise RuntimeError("http://me:word@host")

    assert main.run(fails) == 2
    assert "word" not in (err := capsys.readouterr().err)
    assert "http://host" in err
