"""`inspector serve`: the app over a websocket, for its own pages only."""

import asyncio
import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from inspector.cli import browser_server as serving_module
from tests.makers import write_random

ENDING = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(tmp_path, *arguments):
    port = free_port()
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    server = subprocess.Popen(
        [sys.executable, "-m", "inspector", "serve", "--port", str(port), *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        said = server.stderr.readline()
        said += server.stderr.readline() if "localhost" in said else ""
        while server.poll() is None and not listening(port):
            time.sleep(0.05)
        yield port, said
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(ENDING) == 0
        server.stderr.close()


def token_of(said):
    return re.search(r"token=(\S+)", said)[1]


def cookie(port, token):
    """The header that a browser sends after it has opened the printed address."""
    line = http.client.HTTPConnection("127.0.0.1", port)
    line.request("GET", f"/?token={token}")
    with contextlib.closing(line):
        return {"Cookie": line.getresponse().headers["Set-Cookie"].partition(";")[0]}


def alive(pid):
    """Whether a process runs: a zombie, which its parent has not waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(held):
    async with asyncio.timeout(180):
        while not held():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


async def status(port, path="/", **headers):
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_the_app_is_drawn_and_takes_keys(tmp_path):
    folder = write_random(tmp_path / "one")
    with serving(tmp_path, folder) as (port, said):
        assert re.match(rf"Serving on http://localhost:{port}/\?token=\S+  \(Ctrl-C ends it\)\n", said)
        seen = b""
        async with (
            aiohttp.ClientSession(headers=cookie(port, token_of(said))) as session,
            session.ws_connect(
                f"http://127.0.0.1:{port}/ws?width=80&height=24", origin=f"http://127.0.0.1:{port}"
            ) as socket_,
        ):
            deadline = time.monotonic() + 180
            asked = False
            while b"Keys" not in seen and time.monotonic() < deadline:
                message = await socket_.receive(timeout=180)
                if message.type == aiohttp.WSMsgType.BINARY:
                    seen += message.data
                if b"one" in seen and not asked:
                    asked = True
                    await socket_.send_json(["stdin", "?"])
        assert asked
        assert b"Keys" in seen


async def test_the_token_opens_everything_and_nothing_is_open_without_it(tmp_path):
    with serving(tmp_path) as (port, said):
        token = token_of(said)
        assert len(token) >= 20
        assert "ssh -L" in said
        for path in ("/", "/ws", "/download/x", "/static/css/xterm.css", "/nothing", "/?token=", "/?token=wrong"):
            assert (await status(port, path))[0] == 401, path
        assert (await status(port, Cookie="inspector_token=wrong"))[0] == 401
        code, page = await status(port, f"/?fontsize=20&token={token}")
        assert code == 200
        assert f"http://127.0.0.1:{port}/static" in page
        assert 'data-font-size="20"' in page
        assert (await status(port, f"/static/css/xterm.css?token={token}"))[0] == 200
        assert "http://localhost:9999/static" in (await status(port, Host="localhost:9999", **cookie(port, token)))[1]


async def test_other_sites_and_names_are_refused_also_with_the_token(tmp_path):
    with serving(tmp_path) as (port, said):
        ticket = cookie(port, token_of(said))
        for host in (f"evil.example:{port}", "localhost.evil.example", "192.168.1.5", "[2001:db8::1]", ""):
            assert (await status(port, Host=host, **ticket))[0] == 403, host
        here = f"127.0.0.1:{port}"
        for origin in (
            "http://evil.example",
            "null",
            f"https://{here}",
            "http://127.0.0.1",
            f"http://localhost:{port}",
        ):
            for path in ("/", "/ws"):
                assert (await status(port, path, Origin=origin, **ticket))[0] == 403, origin
        assert (await status(port, Origin=f"http://{here}", **ticket))[0] == 200


async def test_what_a_page_may_do_and_what_is_listed(tmp_path):
    with serving(tmp_path) as (port, said):
        ticket = cookie(port, token_of(said))
        async with aiohttp.ClientSession(headers=ticket) as session:
            for path in ("/", "/static/css/xterm.css", "/nothing"):
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], path
                    assert answer.headers["X-Frame-Options"] == "DENY"
            async with session.get(f"http://127.0.0.1:{port}/?token={token_of(said)}", allow_redirects=False) as answer:
                assert answer.headers["Location"] == "/"
                given = answer.headers["Set-Cookie"]
                assert "HttpOnly" in given
                assert "SameSite=Strict" in given
        for path in ("/static", "/static/", "/static/css", "/static/js/"):
            code, text = await status(port, path, **ticket)
            assert code in {403, 404}, path
            assert "xterm.css" not in text


@contextmanager
def many(monkeypatch, arguments=("sleep", "600"), most=2):
    """A server of this process whose app is `arguments`."""
    monkeypatch.setattr(serving_module, "SESSIONS", most)
    yield serving_module._Server(list(arguments), "127.0.0.1", 0)


async def test_one_session_too_many_is_told_so(monkeypatch):
    with many(monkeypatch) as served:
        async with TestClient(TestServer(await served._make_app())) as client:
            token = {"token": served._token}
            first, second = [await client.ws_connect("/ws", params=token) for _ in range(2)]
            for path in ("/", "/ws"):
                answer = await client.get(path, params=token)
                assert answer.status == 503
                assert "close one of its pages" in await answer.text()
            await until(lambda: [bool(session._process) for session in served._sessions] == [True, True])
            processes = [session._process.pid for session in served._sessions]
            monkeypatch.setattr(serving_module._Session.stop, "__defaults__", (0.2,))
            await first.close()
            await until(lambda: len(served._sessions) == 1)
            await until(lambda: not alive(processes[0]))
            third = await client.ws_connect("/ws", params=token)
            await until(lambda: all(session._process for session in served._sessions))
            left = [session._process for session in served._sessions]
            await third.send_str('["resize", 5]')  # of no page of this server
            assert (await third.receive()).type == aiohttp.WSMsgType.CLOSE
            assert not second.closed
        assert [await process.wait() for process in left] == [-signal.SIGKILL] * 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_it_ends_with_its_sessions_whatever_they_do(tmp_path, number):
    """Of an app that neither quits nor reads."""
    fake = tmp_path / "inspector" / "__main__.py"
    fake.parent.mkdir()
    fake.write_text(
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(600)\n"
    )
    pids = tmp_path / "pids"
    program = (
        "import sys; from inspector.cli.browser_server import _Server;"
        f"_Server([sys.executable, {str(fake)!r}, {str(pids)!r}], '127.0.0.1', int(sys.argv[1])).serve()"
    )
    port = free_port()
    server = subprocess.Popen(  # noqa: ASYNC220 - nothing else waits
        [sys.executable, "-c", program, str(port)], stderr=subprocess.PIPE, text=True
    )
    said = server.stderr.readline()
    await until(lambda: listening(port))
    async with (
        aiohttp.ClientSession(headers=cookie(port, token_of(said))) as session,
        session.ws_connect(f"http://127.0.0.1:{port}/ws"),
    ):
        await until(lambda: pids.exists() and pids.read_text())
        server.send_signal(number)
        assert await asyncio.to_thread(server.wait, ENDING) == 0
    server.stderr.close()
    assert not [pid for pid in pids.read_text().split() if alive(int(pid))]


async def test_an_exposed_server_answers_to_addresses_and_its_own_names(tmp_path):
    with serving(tmp_path, "--host", "0.0.0.0", "--expose") as (port, said):
        assert f"http://{socket.gethostname()}:{port}/?token=" in said
        ticket = cookie(port, token_of(said))
        assert (await status(port))[0] == 401
        for host in (f"10.0.0.7:{port}", "localhost", socket.gethostname().upper(), "[2001:db8::1]:80"):
            assert (await status(port, Host=host, **ticket))[0] == 200, host
        assert (await status(port, Host="evil.example", **ticket))[0] == 403


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--host", "0.0.0.0"), "add --expose"), (("--host", "no.such.host.invalid", "--expose"), "Cannot listen")],
)
def test_what_cannot_be_served(arguments, said):
    done = subprocess.run(
        [sys.executable, "-m", "inspector", "serve", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "inspector", "serve", "--host", "127.0.0.1", "--port", port],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "choose another --port" in done.stderr
