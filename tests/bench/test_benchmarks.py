"""Every benchmark runs to its end; what it measures is for `make bench`."""

import pytest

from tests.acceptance.command import begun
from tests.bench.__main__ import BENCHMARKS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", BENCHMARKS)
def test_it_runs(name, smollm2):
    assert lines(f"tests.bench.{name}", "--quick", XDG_CACHE_HOME=str(smollm2)) > 0


def test_they_are_run_by_name():
    assert lines("tests.bench", BENCHMARKS[0], "--quick") > 1


def lines(module, *words, **env):
    child = begun(module, *words, **env)
    out, err = child.communicate()
    assert child.returncode == 0, err.decode()[-2000:]
    return len(out.splitlines())
