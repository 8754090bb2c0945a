"""Files of rollouts survive a full disk and what goes wrong while they are written."""

import subprocess
import sys

import pytest

from inspector.common.errors import InspectorError
from tests.acceptance.command import ROOT
from tests.trainer.rollout_rows import rollout
from trainer.rollouts.row_file import RowFile, write_rows
from trainer.rollouts.schema import read_rollouts

FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.trainer.rollout_rows import rollout
from inspector.common.errors import InspectorError
from trainer.rollouts.row_file import RowFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with RowFile(Path("r.jsonl")) as file:
    file.append([rollout(0, 0)])
    size = file.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))
    try:
        file.append([rollout(0, 1), rollout(0, 2)])
    except InspectorError as error:
        print(error)
    assert file.path.stat().st_size == size
    assert file.rows == [rollout(0, 0)]
"""


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path):
    """By a limit on the size of files, in a process of its own."""
    code = FULL.format(root=str(ROOT))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Cannot write r.jsonl" in done.stdout
    assert "what is in it is kept: free some space and run again" in done.stdout
    with RowFile(tmp_path / "r.jsonl") as file:
        file.append([rollout(0, 1)])
    assert read_rollouts(tmp_path / "r.jsonl") == [rollout(0, 0), rollout(0, 1)]


def test_a_whole_file_or_none(tmp_path):
    def failing():
        yield rollout(0, 0)
        raise InspectorError("row 2 is bad")

    for name in ("r.jsonl", "r.parquet"):
        with pytest.raises(InspectorError, match="row 2 is bad"):
            write_rows(tmp_path / name, failing())
    assert not list(tmp_path.iterdir())
