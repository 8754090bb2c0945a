"""Where a run may go: found out before anything is loaded or written."""

import json
from pathlib import Path

import pytest

from inspector.common.errors import InspectorError
from tests.trainer.small import options
from trainer.runs.tasks import Options, begin, claimed, refuse_taken, tasks
from trainer.train import train

DATA = "d" * 64


def task(tmp_path, name="sft", out=None, **more):
    (found,) = tasks(options(tmp_path / "base", name, tmp_path / "r.jsonl", out or tmp_path / "out", **more))
    return found


def refused(asked, data=DATA):
    before = sorted(asked.folder.parent.rglob("*"))
    with pytest.raises(InspectorError) as caught:
        refuse_taken(asked, data)
    assert sorted(asked.folder.parent.rglob("*")) == before
    return str(caught.value)


def test_nothing_is_made_by_looking(tmp_path):
    refuse_taken(task(tmp_path, out=tmp_path / "far" / "away"), DATA)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_a_file_is_no_folder(tmp_path, below):
    file = tmp_path / "out"
    file.touch()
    assert refused(task(tmp_path, out=file / below)) == (
        f"{file} is a file, and --out must be a folder: name another one."
    )


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder in which nobody can make a file")
def test_an_out_that_takes_nothing_is_refused_before_the_rollouts_are_read(tmp_path):
    asked = Options("sft", tmp_path / "none.jsonl", Path("/proc/tr"), dry_run=True)
    with pytest.raises(InspectorError, match=r"^Cannot write /proc/tr: /proc takes no new file"):
        train(asked)


def test_a_run_that_was_begun_as_another(tmp_path):
    mine = task(tmp_path)
    begin(mine, DATA)
    refuse_taken(mine, DATA)
    refuse_taken(task(tmp_path, save_steps=1, keep=1), DATA)
    begin(mine, DATA)
    other = f"{mine.folder} holds another run: "
    assert refused(task(tmp_path, lr=0.5)).startswith(f"{other}lr is 0.01 there and 0.5 here. Choose another --out")
    assert refused(mine, "e" * 64).startswith(f"{other}it was trained from other rollouts.")
    with pytest.raises(InspectorError, match=r"lr is 0\.01 there"):
        begin(task(tmp_path, lr=0.5), DATA)


def test_two_at_once_are_refused(tmp_path):
    mine, other = task(tmp_path), task(tmp_path, "dft")
    begin(mine, DATA)
    begin(other, DATA)
    refusal = pytest.raises(InspectorError, match="sft is being trained by another process")
    with claimed(mine), claimed(other), refusal, claimed(mine):
        pass
    with claimed(mine):
        begin(mine, DATA)


def test_another_method_under_its_name(tmp_path):
    mine = task(tmp_path)
    begin(mine, DATA)
    mine.folder.rename(mine.folder.with_name("dft"))
    assert "method is sft there and dft here" in refused(task(tmp_path, "dft"))


def test_a_finished_run_counts_more_than_how_it_began(tmp_path):
    mine = task(tmp_path)
    begin(mine, DATA)
    record = {"format": "adapter-inspector run", "step": 4} | mine.mark("e" * 64)
    (mine.folder / "run.json").write_text(json.dumps(record))
    assert "other rollouts" in refused(mine)
    refuse_taken(mine, "e" * 64)


def test_someone_elses_adapter_is_not_overwritten(tmp_path):
    mine = task(tmp_path)
    mine.folder.mkdir(parents=True)
    (mine.folder / "notes.txt").touch()
    refuse_taken(mine, DATA)
    (mine.folder / "adapter_config.json").write_text("{}")
    assert "holds an adapter that was not trained here, and would be overwritten" in refused(mine)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_beginning_is_said(tmp_path, text):
    mine = task(tmp_path)
    begin(mine, DATA)
    (mine.folder / ".checkpoints" / "started.json").write_text(text)
    assert "started.json is damaged: remove" in refused(mine)
