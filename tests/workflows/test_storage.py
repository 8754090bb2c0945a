"""Adapters and sketches in object storage, by fsspec's own in memory."""

import uuid

import fsspec
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from inspector.adapters.opening import open_sources
from inspector.cli.main import cli, run
from tests.makers import write_random


def command(*words):
    return CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False)


@pytest.fixture
def bucket(tmp_path):
    """Three adapters in a bucket of its own, of which one is a checkpoint, and what is no adapter."""
    url = f"memory://{uuid.uuid4().hex}"
    system = fsspec.filesystem("memory")
    for n, name in enumerate(["a", "b", "b/checkpoint-5"]):
        write_random(tmp_path / "runs" / name, n)
    for path in tmp_path.joinpath("runs").rglob("*.*"):
        if path.is_file():
            system.pipe(f"{url}/runs/{path.relative_to(tmp_path / 'runs')}", path.read_bytes())
    system.pipe(f"{url}/runs/big.txt", b"notes")
    return url


def test_adapters_are_opened_as_from_a_folder(bucket, tmp_path):
    here, _ = open_sources([str(tmp_path / "runs")])
    there, failures = open_sources([f"{bucket}/runs"])
    assert not failures
    assert [a.info.name for a in there] == [a.info.name for a in here] == ["a", "b"]
    assert [a.info.source for a in there] == [f"{bucket}/runs/a", f"{bucket}/runs/b"]
    assert [a.info.digest for a in there] == [a.info.digest for a in here]
    assert [f.text for f in there[1].info.findings] == [f.text for f in here[1].info.findings]


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("runs/b", ["b"]),
        ("runs/?", ["a", "b"]),
        ("runs/b/checkpoint-5/adapter_model.safetensors", ["b/checkpoint-5"]),
        ("runs/b/", ["b"]),
    ],
)
def test_a_folder_a_pattern_a_file(bucket, place, names):
    adapters, failures = open_sources([f"{bucket}/{place}"])
    assert not failures
    assert [adapter.info.name for adapter in adapters] == names


def test_what_is_in_the_cache_is_not_copied_again_unless_it_changed(bucket, monkeypatch, tmp_path):
    open_sources([f"{bucket}/runs"])
    system, copied = fsspec.filesystem("memory"), []
    real = type(system).get_file
    monkeypatch.setattr(type(system), "get_file", lambda s, a, b, **k: copied.append(a) or real(s, a, b, **k))
    open_sources([f"{bucket}/runs"])
    assert copied == []
    write_random(tmp_path / "new", 7)
    weights = (tmp_path / "new" / "adapter_model.safetensors").read_bytes()
    system.pipe(f"{bucket}/runs/a/adapter_model.safetensors", weights)
    (adapter, _), _ = open_sources([f"{bucket}/runs"])
    assert len(copied) == 2
    assert adapter.files[0].read_bytes() == weights


def test_parts_are_written_resumed_and_joined_there(bucket, tmp_path):
    out = f"{bucket}/parts/part-0.parquet"
    assert f"Added 1 adapter to {out}." in command("sketch", f"{bucket}/runs/a", "--out", out).stderr
    assert "Added 1 adapter" in command("sketch", f"{bucket}/runs", "--out", out).stderr
    with fsspec.open(out) as file:
        assert pq.read_table(file)["source"].to_pylist() == [f"{bucket}/runs/a", f"{bucket}/runs/b"]
    write_random(tmp_path / "c", 9)
    command("sketch", tmp_path / "c", "--out", f"{bucket}/parts/part-1.parquet")
    found = command("atlas", f"{bucket}/parts/*.parquet")
    assert found.return_value == 0
    assert "3 adapters of 1 model" in found.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sketch", "memory://nowhere/x", "--out", "x.parquet"], "There is nothing at memory://nowhere/x."),
        (["sketch", "s3://bucket/x", "--out", "x.parquet"], "s3://bucket/x cannot be read: Install s3fs to access S3"),
        (["sketch", "foo://bucket/x", "--out", "x.parquet"], "foo://bucket/x: unknown storage"),
        (["atlas", "memory://nowhere/part.parquet"], "nothing at memory://nowhere/part.parquet"),
        (["sketch", "x", "--out", "memory://nowhere/x.json"], "must end in .parquet"),
    ],
)
def test_bad_input(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(lambda: cli.main(words, standalone_mode=False)) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
