"""`inspector atlas --engine ray`: a local cluster of two nodes, of which one is killed in the middle."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from inspector.cli.main import cli, run
from inspector.study import sketch_pairs
from inspector.workflows import near_pairs, on_ray
from inspector.workflows import sketch as workflow
from tests.makers import random_factors, write_adapter, write_random

GUIDE = Path(__file__).parents[2] / "assets" / "guide"


def command(*words):
    return CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False)


@pytest.fixture
def cluster(monkeypatch):
    """A head, and a second node; pickled functions are those of this process."""
    pytest.importorskip("ray", reason="needs Ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = made.add_node(num_cpus=1)
    made.wait_for_nodes()
    try:
        yield made, second
    finally:
        made.shutdown()


def slowly(work, marks):
    """The same, in no hurry; a file says on which node it began, and when."""

    def slow(item, **more):
        import ray

        (marks / f"{ray.get_runtime_context().get_node_id()}-{time.monotonic_ns()}").touch()
        time.sleep(0.4)
        return work(item, **more)

    return slow


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_node_dies_and_the_results_are_those_of_this_process(cluster, tmp_path, monkeypatch):
    made, second = cluster
    pool, marks = tmp_path / "pool", tmp_path / "marks"
    marks.mkdir()
    for n in range(4):  # two or three checkpoints each, which share their names' last part
        for step in (1, 2, 3)[: 2 + n % 2]:
            away = random_factors(seed=10 * n + step)
            near = {p: (step * B + 0.3 * away[p][0], A) for p, (B, A) in random_factors(seed=100 + n).items()}
            write_adapter(pool / f"run{n}" / f"checkpoint-{step}", near)
    (pool / "broken").mkdir()
    (pool / "broken" / "adapter_config.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(near_pairs, "_OPEN", 3)
    here = command("atlas", "pool", "--store", "here.parquet", "--out", "here.html")
    real = workflow.sketch_source
    monkeypatch.setattr(workflow, "sketch_source", slowly(real, marks))
    killed = []

    def kill():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if len({mark.name.partition("-")[0] for mark in marks.iterdir()}) == 2:
                made.remove_node(second, allow_graceful=False)
                killed.append(len(list(marks.iterdir())))
                return
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    there = command(
        "atlas", "pool", "--store", "there.parquet", "--out", "there.html", "--engine", f"ray:{made.address}"
    )
    thread.join()
    assert killed[0] < 10, "in the middle"
    assert len(list(marks.iterdir())) > 11, "what the dead node had was done again"
    assert there.stderr.startswith("Ray: 2 cores on 2 nodes.\n")
    assert there.return_value == here.return_value == 3
    assert there.stdout == here.stdout
    assert pq.read_table("there.parquet").equals(pq.read_table("here.parquet"))
    pairs = [sketch_pairs.read(sketch_pairs.beside(tmp_path / f"{name}.parquet")) for name in ("here", "there")]
    assert pairs[0] == pairs[1]
    assert len(pairs[0]) > 5
    assert (tmp_path / "there.html").read_bytes() == (tmp_path / "here.html").read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_piece_that_ends_every_worker_is_given_up(cluster, monkeypatch):
    made, _ = cluster
    monkeypatch.setattr(on_ray, "_RETRIES", 1)

    def work(item):
        if item == 1:
            os._exit(1)
        return item * 10

    with on_ray.engine(f"ray:{made.address}") as engine:
        found = list(engine.run(work, range(3)))
    assert (found[0], found[2]) == (0, 20)
    assert "Ray could not do it" in str(found[1])


@pytest.mark.slow
def test_the_script_of_the_guide(cluster, tmp_path):
    made, _ = cluster
    for n in range(2):
        write_random(tmp_path / f"run {n}", n)
    sketch = f"{sys.executable} -m inspector sketch {{}} --out {{}}.parquet"
    words = [sys.executable, GUIDE / "each_on_ray.py", sketch, "run 0", "run 1", "none"]
    env = os.environ | {"RAY_ADDRESS": made.address}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "none: exit 2" in done.stdout
    assert [pq.read_metadata(tmp_path / f"run {n}.parquet").num_rows for n in range(2)] == [1, 1]


def test_another_engine(tmp_path, capsys):
    write_random(tmp_path / "a", 0)
    assert run(lambda: cli.main(["atlas", str(tmp_path), "--engine", "dask"], standalone_mode=False)) == 2
    assert "'dask' is not ray or ray:ADDRESS" in capsys.readouterr().err


def test_without_ray(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    write_random(tmp_path / "a", 0)
    assert run(lambda: cli.main(["atlas", str(tmp_path), "--engine", "ray"], standalone_mode=False)) == 2
    assert capsys.readouterr().err == "Error: --engine ray needs Ray: pip install 'adapter-inspector[ray]'.\n"
