"""`inspector serve`: the app over a websocket, for its own pages only."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import aiohttp
import pytest

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
        while server.poll() is None and not listening(port):
            time.sleep(0.05)
        yield port, said
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(ENDING) == 0
        server.stderr.close()


async def status(port, path="/", **headers):
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_the_app_is_drawn_and_takes_keys(tmp_path):
    folder = write_random(tmp_path / "one")
    with serving(tmp_path, folder) as (port, said):
        assert said == f"Serving on http://localhost:{port}  (Ctrl-C ends it)\n"
        seen = b""
        async with (
            aiohttp.ClientSession() as session,
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


async def test_other_sites_and_names_are_refused(tmp_path):
    with serving(tmp_path) as (port, _):
        code, page = await status(port)
        assert code == 200
        assert f"http://127.0.0.1:{port}/static" in page
        code, page = await status(port, Host="localhost:9999")
        assert "http://localhost:9999/static" in page
        assert (await status(port, Host=f"evil.example:{port}"))[0] == 403
        assert (await status(port, "/ws", Origin="http://evil.example"))[0] == 403
        assert (await status(port, "/ws", Origin="null"))[0] == 403


async def test_an_exposed_server_asks_for_its_token(tmp_path):
    with serving(tmp_path, "--host", "0.0.0.0", "--expose") as (port, said):
        token = re.search(r"token=(\S+)", said)[1]
        assert len(token) >= 20
        assert (await status(port))[0] == 401
        assert (await status(port, "/ws"))[0] == 401
        assert (await status(port, "/static/css/xterm.css"))[0] == 401
        assert (await status(port, "/?token=wrong"))[0] == 401
        assert (await status(port, f"/?token={token}"))[0] == 200


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
