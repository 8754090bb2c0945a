"""Every benchmark runs to its end; what it measures is for `make bench`."""

import subprocess
import sys

import pytest

from tests.bench.__main__ import BENCHMARKS
from tests.tui.terminal import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", BENCHMARKS)
def test_it_runs(name):
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", name, "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) > 1
