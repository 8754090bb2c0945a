"""Where stdout leads nowhere: a disk without room, a reader that left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.command import DEMO, ROOT, inspector

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="devices of Linux")

COMMANDS = (
    ("--help",),
    ("claims",),
    ("ls", DEMO / "sft"),
    ("check", DEMO / "sft"),
    ("check", DEMO / "sft", "--json"),
    ("analyze", "study.json", "--metric", "norm"),
    ("analyze", "study.json", "--summary"),
    ("diff", "study.json", "study.json"),
    ("diff", "study.json", "study.json", "--json"),
    ("verify", "demo", "--study", "study.json"),
    ("merge-preview", DEMO / "sft", DEMO / "rft"),
    ("resize", DEMO / "sft", "--rank", "2"),
    ("train", "--help"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a study."""
    folder = tmp_path_factory.mktemp("here")
    assert inspector("analyze", DEMO / "sft", DEMO / "rft", "--out", folder / "study.json").returncode == 0
    return folder


def ended(folder, args, unbuffered="", **streams):
    """Exit code and stderr."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "inspector", *map(str, args)]
    done = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, text=True, check=False,
        **{"stderr": subprocess.PIPE} | streams,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture
def closed():
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: " ".join(map(str, args)).replace(str(DEMO), "demo"))
def test_a_full_disk_is_a_sentence_and_a_reader_that_left_no_failure(folder, args, closed):
    with Path("/dev/full").open("w") as full:
        code, told = ended(folder, args, stdout=full)
    assert (code, told.splitlines()[-1:]) == (2, ["Error: Cannot write to stdout: No space left on device."])
    assert "Unexpected" not in told
    code, told = ended(folder, args, stdout=closed)
    assert (code, "Error" in told, "Exception" in told) == (0, False, False)


def test_a_reader_that_left_keeps_nothing_from_being_written(folder, closed):
    args = "merge-preview", f"{DEMO / 'sft'}:0.5", f"{DEMO / 'rft'}:0.5", "--write", "sum", "--out", "sum.json"
    assert ended(folder, args, stdout=closed)[0] == 0
    assert (folder / "sum" / "adapter_model.safetensors").stat().st_size > 0
    assert (folder / "sum.json").stat().st_size > 0


def test_without_buffers_too(folder, closed):
    with Path("/dev/full").open("w") as full:
        assert ended(folder, ("ls", DEMO / "sft"), unbuffered="1", stdout=full)[0] == 2
    assert ended(folder, ("ls", DEMO / "sft"), unbuffered="1", stdout=closed)[0] == 0


@pytest.mark.parametrize(("args", "code"), [(("check", DEMO / "sft"), 0), (("check", "nothing"), 2)])
def test_narration_that_nobody_reads_changes_nothing(folder, args, code, closed):
    assert ended(folder, args, stdout=subprocess.DEVNULL, stderr=closed)[0] == code
