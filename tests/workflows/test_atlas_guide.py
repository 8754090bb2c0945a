"""What the guide to the atlas says runs: the SLURM array, and the queries over its files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from inspector.study import sketch_file
from tests.makers import write_random

GUIDE = Path(__file__).parents[2] / "assets" / "guide"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The files of a SLURM array of two tasks, each run as SLURM would run it."""
    root = tmp_path_factory.mktemp("array")
    folders = [write_random(root / "pool" / name, n) for n, name in enumerate(["mine", "b", "c"])]
    (root / "sources.txt").write_text("\n".join(map(str, folders)))
    for task in range(2):
        env = os.environ | {
            "SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "2", "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }  # fmt: skip
        words = ["bash", str(GUIDE / "sketch_array.sh"), "sources.txt", "sketches"]
        subprocess.run(words, cwd=root, env=env, check=True, capture_output=True)
    return root / "sketches"


def code(language):
    return re.findall(rf"```{language}\n(.*?)```", (GUIDE / "atlas.md").read_text(), re.DOTALL)


def test_an_array_sketches_each_once(parts):
    files = sorted(parts.glob("part-*.parquet"))
    assert [pq.read_metadata(file).num_rows for file in files] == [2, 1]
    assert {s.name for s in sketch_file.read(files)} == {"mine", "b", "c"}


def test_polars(parts, monkeypatch):
    pl = pytest.importorskip("polars")
    monkeypatch.chdir(parts.parent)
    found = {}
    exec(code("python")[1], found)
    assert found["by_base"]["adapters"].sum() == 3
    expected = np.stack([s.update for s in sketch_file.read(sorted(parts.glob("*.parquet")))])
    np.testing.assert_allclose(found["cosines"], expected @ expected.T, rtol=1e-4, atol=1e-6)
    assert isinstance(found["table"], pl.DataFrame)


def test_duckdb(parts, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(parts.parent)
    counted, near = (query for query in code("sql")[0].split(";") if query.strip())
    assert duckdb.sql(counted).fetchall()[0][2] == 3
    assert {name for name, _ in duckdb.sql(near).fetchall()} == {"b", "c"}


def test_the_columns_are_those_of_the_file():
    rows = re.findall(r"^\| (`.*?) \|", (GUIDE / "atlas.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(sketch_file.schema().names)
