"""`inspector sketch`: a file that grows by what is new, in shares, whatever happens to the process."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import inspector
from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.analysis.sketching import sketch_of
from inspector.cli.main import cli, run
from inspector.common.errors import InspectorError
from inspector.study import sketch_file
from inspector.study.sketches import Sketches
from inspector.study.study import Settings
from inspector.workflows.sketch import listed, shared
from tests.hub_server import HubServer
from tests.makers import TINY, random_factors, write_adapter, write_random


@pytest.fixture
def pool(tmp_path):
    for n in range(5):
        write_random(tmp_path / "pool" / f"run{n}", n)
    return tmp_path / "pool"


def command(*words):
    return CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False)


def test_estimates_are_within_their_errors_of_the_analysis(tmp_path):
    near = random_factors(seed=0)
    write_adapter(tmp_path / "a", near)
    write_adapter(tmp_path / "b", {p: (B + 0.02 * B.flip(0), A) for p, (B, A) in near.items()})
    write_random(tmp_path / "c", 5, r=7)
    fewer = random_factors({path: TINY[path] for path in list(TINY)[:4]}, seed=8)
    write_adapter(tmp_path / "d", fewer)
    adapters, _ = open_sources([str(tmp_path / name) for name in "abcd"])
    study, found = analyse(adapters, Settings()), Sketches([sketch_of(a) for a in adapters])
    for kind, metric in (("update", "cosine"), ("outputs", "output_similarity"), ("rows", "row_space_overlap")):
        exact = study.block(metric, "global")[:, :, 0]
        for i in range(4):
            estimate = found.estimate(kind, i)
            for j in (j for j in range(4) if j != i):
                if kind == "rows" and found.all[i].rank != found.all[j].rank:
                    continue  # the analysis divides by the smaller rank, sketches by the root of both
                assert abs(estimate.value[j] - exact[i, j]) < 4 * estimate.error[j], (kind, i, j)
    np.testing.assert_allclose(found.numbers("norm"), study.block("norm", "global")[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.numbers("effective_rank"), study.block("effective_rank", "global")[:, 0])


def test_a_file_holds_each_once_and_grows_by_what_is_new(pool, tmp_path):
    out = tmp_path / "part.parquet"
    assert command("sketch", pool, "--out", out).return_value == 0
    first = pq.read_table(out)
    assert first["name"].to_pylist() == [f"run{n}" for n in range(5)]
    assert first.schema.metadata[b"format"] == b"adapter-inspector sketches"
    before = out.stat().st_mtime_ns
    found = command("sketch", pool, "--out", out)
    assert "Added 0 adapters" in found.output
    assert "5 were there" in found.output
    assert out.stat().st_mtime_ns == before, "nothing new is not written"
    write_random(pool / "run2", 77)  # another content under the same name
    write_random(pool / "run9", 78)
    assert "Added 2 adapters" in command("sketch", pool, "--out", out).output
    table = pq.read_table(out)
    assert table.slice(0, 5).equals(first)
    assert table["name"].to_pylist()[5:] == ["run2", "run9"]
    assert not list(tmp_path.glob(".*")), "no lock, no half-written file"


def test_shares_together_are_the_whole(pool, tmp_path):
    parts = [tmp_path / f"{i}.parquet" for i in range(3)]
    for i, part in enumerate(parts):
        assert command("sketch", pool, "--out", part, "--shard", f"{i}/3").return_value == 0
    command("sketch", pool, "--out", tmp_path / "all.parquet")
    joined = {s.source: s for s in sketch_file.read(parts, by_layer=True)}
    whole = sketch_file.read([tmp_path / "all.parquet"], by_layer=True)
    assert len(joined) == len(whole) == 5
    for sketch in whole:
        other = joined[sketch.source].as_row()
        for name, value in sketch.as_row().items():
            np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_a_share_without_sources_is_done(pool, tmp_path):
    found = command("sketch", pool, "--out", tmp_path / "part.parquet", "--shard", "6/7")
    assert found.return_value == 0
    assert "Share 6/7 has no source" in found.output
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize("shard", ["3/3", "-1/2", "1", "a/b", "0/0", "1/2/3"])
def test_a_share_that_is_none_is_refused(shard):
    with pytest.raises(InspectorError, match="is not i/n with 0 ≤ i < n"):
        shared(["a"], shard)


def test_a_list_of_sources(pool, tmp_path):
    (tmp_path / "list.txt").write_text(f"# mine\n{pool}/run0\n\n{pool}/run[34]\norg/repo\n")
    from inspector.adapters.options import DEFAULTS

    found = listed([f"@{tmp_path / 'list.txt'}"], DEFAULTS)
    assert [text.rpartition("/")[2] for text in found] == ["run0", "run3", "run4", "repo"]
    with pytest.raises(InspectorError, match=r"Cannot read the list nowhere.txt: No such file or directory\.$"):
        listed(["@nowhere.txt"], DEFAULTS)


def test_one_bad_source_stops_no_other(pool, tmp_path):
    (pool / "run1" / "adapter_model.safetensors").write_bytes(b"nonsense")
    found = command("sketch", pool, "--out", tmp_path / "part.parquet")
    assert found.return_value == 3
    assert "run1" in found.output
    assert pq.read_metadata(tmp_path / "part.parquet").num_rows == 4


@pytest.mark.parametrize(("name", "option"), [("sketch", "--out"), ("atlas", "--store")])
@pytest.mark.parametrize("source", ["nowhere", "notes.txt"])
def test_no_file_is_left_where_nothing_was_sketched(tmp_path, name, option, source):
    (tmp_path / "notes.txt").write_text("notes")
    out = tmp_path / "a.parquet"
    assert run(lambda: cli.main([name, str(tmp_path / source), option, str(out)], standalone_mode=False)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_another_file_is_not_written_over(pool, tmp_path):
    study = tmp_path / "study.parquet"
    assert command("analyze", pool / "run0", "--out", study).return_value == 0
    before = study.read_bytes()
    assert run(lambda: cli.main(["sketch", str(pool), "--out", str(study)], standalone_mode=False)) == 2
    assert study.read_bytes() == before
    assert run(lambda: cli.main(["sketch", str(pool), "--out", str(tmp_path / "a.json")], standalone_mode=False)) == 2


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder in which nobody can make a file")
@pytest.mark.parametrize(("name", "option"), [("sketch", "--out"), ("atlas", "--store")])
def test_a_folder_that_takes_no_file(pool, name, option, capsys):
    assert run(lambda: cli.main([name, str(pool), option, "/proc/x.parquet"], standalone_mode=False)) == 2
    assert capsys.readouterr().err.startswith("Error: Cannot write /proc/x.parquet: /proc takes no new file (")


def test_a_name_too_long_for_the_lock_beside_it(pool, tmp_path, capsys):
    out = tmp_path / f"{'x' * 245}.parquet"
    assert run(lambda: cli.main(["sketch", str(pool), "--out", str(out)], standalone_mode=False)) == 2
    assert capsys.readouterr().err.endswith(": File name too long.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


def test_two_writers_of_one_file(pool, tmp_path, capsys):
    out = tmp_path / "part.parquet"
    with sketch_file.appending(out) as part:
        part.add(sketch_of(open_sources([str(pool / "run0")])[0][0]))
        assert run(lambda: cli.main(["sketch", str(pool), "--out", str(out)], standalone_mode=False)) == 2
        assert "Another process is writing" in capsys.readouterr().err
    assert pq.read_metadata(out).num_rows == 1


SLOW = """
import sys, time
from inspector.analysis import sketching
real = sketching.sketch_of
def slow(adapter):
    time.sleep(0.3)
    return real(adapter)
sketching.sketch_of = slow
import inspector.workflows.sketch as s
s._SAVE_EVERY = 0.0
from inspector.cli.main import main
main(["sketch", *sys.argv[1:]])
"""


def test_a_killed_process_leaves_whole_rows_and_the_next_goes_on(pool, tmp_path):
    out = tmp_path / "part.parquet"
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(pool), "--out", str(out)], env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    rows = pq.read_metadata(out).num_rows
    assert 0 < rows < 5
    assert command("sketch", pool, "--out", out).return_value == 0
    assert sorted(pq.read_table(out)["name"].to_pylist()) == [f"run{n}" for n in range(5)]


def test_the_row_of_a_worker(pool):
    row = pickle.loads(pickle.dumps(inspector.sketch(pool / "run0")))
    other = inspector.sketch(pool / "run1")
    assert row.keys() == {field.name for field in sketch_file.schema()}
    assert row["update"].dtype == np.float32
    assert abs(float(row["update"] @ row["update"]) - 1) < 0.2
    assert abs(float(row["update"] @ other["update"])) < 0.2
    json.dumps({name: value for name, value in row.items() if not isinstance(value, np.ndarray)})
    with pytest.raises(InspectorError, match="holds 5 adapters"):
        inspector.sketch(pool)


def test_the_adapters_of_a_base_on_the_hub(tmp_path, monkeypatch, capsys):
    """The most downloaded of those that name it; what is in the file already is not sketched again."""
    out = tmp_path / "part.parquet"
    with HubServer() as hub:
        hub.patch(monkeypatch, tmp_path / "home")
        for n in range(3):
            hub.add(f"org/run{n}", write_random(tmp_path / f"run{n}", n))
        hub.searches["base_model:adapter:org/base"] = ["org/run0", "org/run1", "org/run2"]
        found = command("sketch", "hub:org/base", "--out", out, "--most", 2)
        assert found.return_value == 0, found.output
        assert "more than 2 adapters of org/base" in found.stderr
        assert pq.read_table(out)["name"].to_pylist() == ["run0", "run1"]
        assert "Added 1 adapter to" in command("sketch", "hub:org/base", "--out", out).stderr
        assert run(lambda: cli.main(["sketch", "hub:org/none", "--out", str(out)], standalone_mode=False)) == 2
        assert "no adapter that names the base 'org/none'" in capsys.readouterr().err
