"""A dropped connection or a `kill` leaves as `q` does: the next start opens where it was."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = (
    "from inspector.tui.app import InspectorApp; from tests.tui.factory import make_study;"
    "InspectorApp(study=make_study(3, layers=4)).run(mouse=False)"
)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM"])
def test_the_session_is_written(tmp_path, name):
    leader, follower = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    env |= {"TERM": "xterm-256color", "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=follower, stdout=follower, stderr=follower, env=env
    )
    os.close(follower)
    written = b""
    deadline = time.monotonic() + 40
    while b"Adapters" not in written and time.monotonic() < deadline:
        written += os.read(leader, 65536)
    os.write(leader, b"5")
    time.sleep(1.0)
    if name == "SIGHUP":
        os.close(leader)  # the terminal is gone, and the kernel hangs up
    process.send_signal(getattr(signal, name))
    process.wait(timeout=20)
    if name != "SIGHUP":
        os.close(leader)
    (found,) = tmp_path.rglob("session.json")
    assert json.loads(found.read_text())["view"] == "size"
