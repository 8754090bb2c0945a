"""Random events on the app with its workers running: it lives, answers, and gives back what it took.

`make stress` sends 10,000 events of several seeds; `STRESS_EVENTS` and `STRESS_SEEDS` say how many and which.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.tui.terminal import ROOT

pytestmark = pytest.mark.slow
EVENTS = int(os.environ.get("STRESS_EVENTS", "1000"))
SEEDS = [int(seed) for seed in os.environ.get("STRESS_SEEDS", "1").split()]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("watch", [False, True] if "STRESS_SEEDS" in os.environ else [False])
def test_it_lives_and_leaks_nothing(tmp_path, seed, watch):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    env |= {"XDG_STATE_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    asked = ["--events", str(EVENTS), "--seed", str(seed), *(["--watch"] if watch else [])]
    done = subprocess.run(
        [sys.executable, "-W", "ignore::FutureWarning", "-m", "tests.tui.monkey", *asked],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-6000:]
    found = json.loads(done.stdout.splitlines()[-1])
    first, warm, *_, last = found["counts"]
    assert last["events"] >= EVENTS
    assert found["left"] > 0, "q was among the keys"
    assert found["threads"] == []
    assert found["files"] == [], "nothing half-written"
    for what in ("mounted", "workers"):
        assert last[what] <= first[what], what
    assert last["screens"] <= first["screens"] + 10, "a few of its dialogs are held until the next event"
    assert last["timers"] <= first["timers"] + 10, "of these dialogs"
    # A leak of one object an event would show beyond what a longer list of adapters and undos may hold.
    assert last["objects"] - warm["objects"] < 20_000 + EVENTS
    assert last["resident"] - warm["resident"] < (64 << 20) + 1024 * EVENTS
