"""What the user writes, what it stands for, and the names that result."""

import os
from pathlib import Path
from threading import Event

import pytest

from inspector.adapters import opening
from inspector.adapters.locate import natural
from inspector.adapters.opening import iterate, open_sources
from inspector.adapters.options import ReadOptions
from inspector.adapters.sources import Local, Place, Remote, name_places, parse
from inspector.common.errors import CancelledError, InspectorError
from tests.makers import write_random


def names(*sources, taken=(), checkpoints=False):
    read_options = ReadOptions(checkpoints=checkpoints)
    adapters, failures = open_sources([str(source) for source in sources], taken=taken, read_options=read_options)
    assert not failures
    return [adapter.info.name for adapter in adapters]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/repo", Remote("org/repo")),
        ("org/repo@v1.0", Remote("org/repo", "v1.0")),
        ("org/repo@refs/pr/1", Remote("org/repo", "refs/pr/1")),
        ("org/repo:runs/a", Remote("org/repo", "", "runs/a")),
        ("org/repo@main:runs/a/", Remote("org/repo", "main", "runs/a")),
        ("best=org/repo@main:a", Remote("org/repo", "main", "a", "best")),
        ("https://huggingface.co/org/repo", Remote("org/repo")),
        ("https://huggingface.co/org/repo/", Remote("org/repo")),
        ("https://huggingface.co/org/repo/tree/main", Remote("org/repo", "main")),
        ("x=https://hf.co/org/repo/tree/v1/runs/a", Remote("org/repo", "v1", "runs/a", "x")),
        ("https://huggingface.co/org/repo/blob/main/a/b.safetensors", Remote("org/repo", "main", "a/b.safetensors")),
        ("hf://org/repo@v1/runs/a", Remote("org/repo", "v1", "runs/a")),
        ("https://huggingface.co/org", None),
        ("https://example.org/org/repo", None),
        ("https://huggingface.co/org/repo/tree/main/../x", None),
        ("a=b=org/repo", None),
    ],
)
def test_hub_ids(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if expected is None:
        with pytest.raises(InspectorError):
            parse(text)
    else:
        assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "./org/repo",
        "../x",
        "/no/such",
        "~/no/such",
        "~nobody/x",
        "a/b/c",
        "name",
        "",
        "x=",
        "org/",
        "org/re po",
        "y" * 5000,
    ],
)
def test_missing_paths_are_no_hub_ids(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InspectorError, match=r"No file or folder|names no source"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("./runs/sft/chekpoint-5", " (near: runs/sft/checkpoint-5)"),
        ("a=runs/stf/checkpoint-5", " (near: runs/sft/checkpoint-5)"),
        ("rusn/sft/checkpoint-5", " (near: runs/sft/checkpoint-5)"),
        ("Runs/SFT/checkpoint-9", " (near: runs)"),
        ("run", " (near: runs)"),
        ("./runs/dpo", "."),
        ("runs/dpo-*", ": nothing matches the pattern."),
        ("file:///runs/sft", ", and it is not a Hub id"),
    ],
)
def test_a_mistyped_path_names_what_is_near(text, near, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_random(tmp_path / "runs" / "sft" / "checkpoint-5")
    with pytest.raises(InspectorError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"No file or folder {text.removeprefix('a=')!r} here{near}")


@pytest.mark.parametrize("text", ["org/repo:../x", "org/repo:a/../../b", "org/repo:a\\b"])
def test_subfolders_stay_inside(text):
    with pytest.raises(InspectorError, match="plain path inside the repo"):
        parse(text)


def test_an_existing_path_always_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_random(tmp_path / "org" / "repo")
    write_random(tmp_path / "lr=1e-4")
    assert parse("org/repo") == Local(Path("org/repo"))
    assert parse("lr=1e-4") == Local(Path("lr=1e-4"))
    assert parse("x=lr=1e-4") == Local(Path("lr=1e-4"), "x")
    assert names("lr=1e-4", "org/repo", "best=org/repo") == ["lr=1e-4", "repo", "best"]


def test_a_run_with_its_checkpoints(tmp_path):
    run = write_random(tmp_path / "run")
    for step in (1000, 500, 2000):
        write_random(run / f"checkpoint-{step}")
    (run / "checkpoint-1000" / "optimizer").mkdir()
    write_random(run / ".hidden")
    assert names(run) == ["run"]
    assert names(f"x={run}") == ["x"]
    steps = ["checkpoint-500", "checkpoint-1000", "checkpoint-2000"]
    assert names(run, checkpoints=True) == ["run", *(f"run/{step}" for step in steps)]
    assert names(f"x={run}", checkpoints=True) == ["x", *(f"x/{step}" for step in steps)]
    assert names(run / "checkpoint-500") == ["run/checkpoint-500"]


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_file_of_the_adapter(tmp_path, file):
    write_random(tmp_path / "one" / "checkpoint-1")
    assert names(write_random(tmp_path / "one") / file) == ["one"]


def test_other_files(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    _, failures = open_sources([str(tmp_path / "notes.txt"), str(tmp_path)])
    assert "is not an adapter file of a supported format" in failures[0].message
    assert "No adapter in" in failures[1].message
    (tmp_path / "study.json").write_text("{}")
    _, (failure,) = open_sources([str(tmp_path / "study.json")])
    assert failure.message.endswith("A saved study stands alone, with open, analyze, report or diff.")


def test_repeated_names_get_their_parents(tmp_path):
    one, two = write_random(tmp_path / "runs" / "x" / "sft"), write_random(tmp_path / "runs" / "y" / "sft")
    dpo = write_random(tmp_path / "runs" / "x" / "dpo")
    assert names(one, two, dpo) == ["x/sft", "y/sft", "dpo"]
    assert names(one, one, f"sft={two}") == ["sft", "sft-2", "sft-3"]
    assert names(one, taken=["sft", "sft-2"]) == ["sft-3"]
    for folder in (tmp_path / "p" / "run", tmp_path / "q" / "run"):
        write_random(folder / "checkpoint-5")
    assert names(tmp_path / "p", tmp_path / "q") == ["p/run/checkpoint-5", "q/run/checkpoint-5"]


def test_links_keep_their_names_and_loops_end(tmp_path):
    run = write_random(tmp_path / "run" / "checkpoint-7").parent
    (run / "loop").symlink_to(run)
    (tmp_path / "best").symlink_to(run / "checkpoint-7")
    assert names(tmp_path / "best") == ["best"]
    assert names(run) == ["run/checkpoint-7"]


def test_depth_is_bounded(tmp_path):
    write_random(tmp_path / "a" / "b" / "c")
    write_random(tmp_path / "a" / "b" / "d" / "e")
    assert names(tmp_path) == ["c"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path):
    write_random(tmp_path / "open")
    closed = write_random(tmp_path / "closed")
    closed.chmod(0)
    adapters, failures = open_sources([str(tmp_path)])
    closed.chmod(0o700)
    assert (len(adapters), len(failures)) == (1, 1)


def test_one_bad_adapter_leaves_the_others(tmp_path):
    for name in "abc":
        write_random(tmp_path / name)
    (tmp_path / "b" / "adapter_model.safetensors").write_bytes(b"{}")
    (tmp_path / "mlx").mkdir()
    (tmp_path / "mlx" / "adapters.safetensors").write_bytes(b"x")
    adapters, failures = open_sources([str(tmp_path)])
    assert [a.info.name for a in adapters] == ["a", "c"]
    assert [Path(f.source).name for f in failures] == ["b", "adapters.safetensors"]
    assert "not a valid safetensors file or is cut off" in str(failures[1])


def test_one_at_a_time_and_cancelled(tmp_path):
    for name in "abc":
        write_random(tmp_path / name)
    found = []
    with pytest.raises(CancelledError):
        found.extend(iterate([str(tmp_path)], cancelled=lambda: len(found) == 2))
    assert [(opened.order, opened.result.info.name) for opened in found] == [((0, 0), "a"), ((0, 1), "b")]


@pytest.mark.parametrize("slow", ["expand", "read_adapter"])
def test_cancelled_while_a_disk_does_not_answer(tmp_path, monkeypatch, slow):
    write_random(tmp_path / "a")
    asked, answers = Event(), Event()

    def waiting(*_args, **_options):
        asked.set()
        assert answers.wait(60)

    monkeypatch.setattr(opening, slow, waiting)
    with pytest.raises(CancelledError):
        list(iterate([str(tmp_path / "a")], cancelled=asked.is_set))
    answers.set()


def test_a_link_to_nothing_is_no_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "gone").symlink_to("nowhere")
    (tmp_path / "org" / "loop").symlink_to("loop")
    for name in ("org/gone", "org/loop", "x=org/loop"):
        with pytest.raises(InspectorError, match="is a link that leads nowhere"):
            parse(name)


def test_a_path_that_may_not_be_looked_at_is_no_hub_id(tmp_path, monkeypatch):
    def refused(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "lstat", refused)
    with pytest.raises(InspectorError, match="Cannot look at org/repo: permission denied"):
        parse("org/repo")


def test_names_without_control_characters():
    places = [Place(Path("/x"), "x", ("a", "evil\x1b[31m\u202e")), Place(Path("/y"), "y", ("\x07",))]
    assert name_places(places) == ["evil[31m", "adapter"]


def test_natural_order():
    assert sorted(["a10", "a9", "b", "a", "10", "9"], key=natural) == ["9", "10", "a", "a9", "a10", "b"]
    assert min(["x" + "9" * 50, "x1"], key=natural) == "x1"
