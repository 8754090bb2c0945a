"""A download whose process is killed: the next start asks for the rest alone, and what it has then is verified."""

import os
import subprocess
import sys
import time

import pytest

from inspector.adapters.opening import open_sources
from inspector.common.errors import CancelledError
from tests.acceptance.command import ROOT
from tests.adapters.hub.cases import failure, only
from tests.hub_server import Fault
from tests.makers import random_factors, write_adapter

WEIGHTS = "adapter_model.safetensors"
CHUNK = 128 * 1024


@pytest.fixture
def weights(hub, tmp_path):
    """Those of org/one, of more than three chunks."""
    folder = write_adapter(tmp_path / "one", random_factors({"layers.0.q_proj": (1000, 1000)}, r=55))
    return hub.add("org/one", folder, lfs=True).files[WEIGHTS]


def parts(home):
    """What is kept of blobs named by their sha256; the library's own temporary files come and go."""
    return [path for path in home.rglob("*.incomplete") if len(path.stem) == 64]


@pytest.fixture
def held(hub):
    """The server stops in the middle of the third chunk."""
    hub.faults.append(Fault(WEIGHTS, hold_after=2 * CHUNK + 1000, methods=("GET",)))


def came(home) -> bool:
    """Whether the two whole chunks have been written."""
    return any(part.stat().st_size == 2 * CHUNK for part in parts(home))


@pytest.fixture
def killed(hub, home, weights, held):
    """What a process leaves behind that was killed (-9) in the middle of the download."""
    code = "from inspector.adapters.opening import open_sources; open_sources(['org/one'])"
    environment = os.environ | hub.environment(home)
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment) as child:
        end = time.monotonic() + 300
        while not came(home) and child.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        child.kill()
    hub.faults.clear()
    assert not hub.ranges
    (part,) = parts(home)
    return part


def test_kill(hub, home, weights, killed):
    assert killed.read_bytes() == weights[: 2 * CHUNK]
    assert only("org/one").files[0].read_bytes() == weights
    assert hub.ranges == [f"bytes={2 * CHUNK}-"]
    assert not parts(home)


def test_bytes_on_the_way_are_counted_from_where_it_goes_on(killed):
    seen = []
    open_sources(["org/one"], progress=seen.append)
    of_weights = [p.done for p in seen if p.file == WEIGHTS and p.done]
    assert min(of_weights) > 2 * CHUNK
    assert seen[-1].done == seen[-1].total


def test_a_part_that_is_damaged_is_not_kept(hub, home, weights, killed):
    killed.write_bytes(bytes(2 * CHUNK))
    assert "does not have the sha256 the Hub lists: it was not kept, try again" in failure("org/one")
    assert not parts(home)
    assert only("org/one").files[0].read_bytes() == weights


@pytest.mark.parametrize("beyond", [0, 5])
def test_a_part_as_long_as_the_file_or_longer(hub, home, weights, killed, beyond):
    killed.write_bytes(weights + b"\0" * beyond)
    if beyond:
        assert "org/one" in failure("org/one")
        assert not parts(home)
    assert only("org/one").files[0].read_bytes() == weights
    assert len([path for method, path in hub.requests if method == "GET" and WEIGHTS in path]) == (3 if beyond else 1)


def test_a_part_of_other_weights_is_left_alone(hub, weights, killed, tmp_path):
    other = write_adapter(tmp_path / "two", random_factors({"layers.0.q_proj": (1000, 1000)}, r=55, seed=2))
    new = hub.add("org/one", other, lfs=True).files[WEIGHTS]
    assert only("org/one").files[0].read_bytes() == new != weights
    assert not hub.ranges


def test_cancel(hub, home, weights):
    hub.faults.append(Fault(WEIGHTS, pause=0.1, methods=("GET",)))
    with pytest.raises(CancelledError):
        open_sources(["org/one"], cancelled=lambda: any(part.stat().st_size for part in parts(home)))
    hub.faults.clear()
    assert only("org/one").files[0].read_bytes() == weights
    assert len(hub.ranges) == 1
    assert not parts(home)


def test_a_server_without_ranges(hub, weights, killed):
    """It sends all of it again, and all of it is taken from the start."""
    hub.without_ranges = True
    assert only("org/one").files[0].read_bytes() == weights
    assert hub.ranges


def test_blobs_of_another_name_and_files_without_sha256_are_the_librarys(hub, home, weights):
    hub.repos["org/one"].lfs = False
    assert only("org/one").files[0].read_bytes() == weights
    assert len([path for method, path in hub.requests if method == "HEAD" and WEIGHTS in path]) == 1
