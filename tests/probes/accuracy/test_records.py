"""Records survive what happens to files: cut lines, two processes, a full disk."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.common.errors import InspectorError
from inspector.probes.accuracy.records import Record, Records, Run, folder_of, key_of
from tests.acceptance.command import ROOT

RUN = Run("sums", "b" * 64, "a" * 64, "greedy")


def record(n: int, completion: str = "so 4") -> Record:
    return Record(key_of([n], "4"), str(n), n % 2 == 0, "ok", "4", completion, 7, "stop")


def filled(folder, count):
    with Records(folder, RUN) as records:
        for n in range(count):
            records.append([record(n)])
        return records.path


def test_what_was_appended_is_there_again(tmp_path):
    odd = record(1, "line\nbreak \u2028 \x00 α \ud800")
    with Records(tmp_path, RUN) as records:
        records.append([record(0), odd])
        records.append([replace(record(0), completion="later")])
        path = records.path
    with Records(tmp_path, RUN) as records:
        assert list(records.done.values()) == [record(0), odd]
    lines = path.read_bytes().splitlines()
    assert len(lines) == 3
    assert json.loads(lines[0])["settings"] == "greedy"


def test_every_run_has_a_file_of_its_own(tmp_path):
    runs = [RUN, replace(RUN, adapter_digest=""), replace(RUN, settings="other"), replace(RUN, base_digest="c")]
    assert len({run.file for run in runs}) == 4
    assert "/" not in replace(RUN, task="../../etc/α b").file
    assert RUN.file.startswith("sums-adapter-")
    assert replace(RUN, adapter_digest="", task="a/b" * 20).file.startswith(f"{'a_b' * 13}a-base-")


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_cut_in_the_middle_is_cut_away(tmp_path, cut):
    path = filled(tmp_path, 3)
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - cut)
    with Records(tmp_path, RUN) as records:
        assert [r.id for r in records.done.values()] == ["0", "1"]
        records.append([record(2)])
    with Records(tmp_path, RUN) as records:
        assert [r.id for r in records.done.values()] == ["0", "1", "2"]


def test_a_cut_first_line_starts_over(tmp_path):
    path = filled(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:10])
    assert filled(tmp_path, 2) == path
    assert len(path.read_bytes().splitlines()) == 3


def test_a_damaged_line_is_said_and_done_again(tmp_path):
    path = filled(tmp_path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"\0" * 30 + b"\n"
    lines.append(b'{"key": 3}\n')
    path.write_bytes(b"".join(lines))
    notes = []
    with Records(tmp_path, RUN, note=notes.append) as records:
        assert [r.id for r in records.done.values()] == ["0", "2"]
    assert notes[0].startswith("2 damaged lines in ")


def test_a_flipped_answer_is_said_and_done_again(tmp_path):
    """Valid JSON of the right types, and not what was written."""
    path = filled(tmp_path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"correct": true', b'"correct": false')
    lines[2] = lines[2].replace(b"so 4", b"so 5")
    lines[3] = lines[3].replace(b'"tokens": 7', b'"tokens": 8')
    path.write_bytes(b"".join(lines))
    notes = []
    with Records(tmp_path, RUN, note=notes.append) as records:
        assert [r.id for r in records.done.values()] == ["3"]
        records.append([record(n) for n in range(3)])
    assert notes[0].startswith("3 damaged lines in ")
    with Records(tmp_path, RUN, note=notes.append) as records:
        assert {r.id: r for r in records.done.values()} == {str(n): record(n) for n in range(4)}


def test_records_of_an_older_version_count(tmp_path):
    path = filled(tmp_path, 2)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [len(line["sha256"]) for line in lines[1:]] == [16, 16], "other lengths would not be read back"
    path.write_text("".join(json.dumps({k: v for k, v in line.items() if k != "sha256"}) + "\n" for line in lines))
    with Records(tmp_path, RUN) as records:
        assert [r.id for r in records.done.values()] == ["0", "1"]


def test_two_at_once_are_refused(tmp_path):
    with Records(tmp_path, RUN), pytest.raises(InspectorError, match="Another process is writing"):
        Records(tmp_path, RUN)
    filled(tmp_path, 1)


def test_what_is_no_file_of_records_is_left_alone(tmp_path):
    (tmp_path / RUN.file).write_text("my notes\nof today\n")
    with pytest.raises(InspectorError, match="holds no records"):
        Records(tmp_path, RUN)
    assert (tmp_path / RUN.file).read_text() == "my notes\nof today\n"


@pytest.mark.parametrize(
    ("head", "refused"),
    [
        ({"version": 2}, "newer"),
        ({"version": "1"}, "newer"),
        ({"version": None}, "newer"),
        ({}, "newer"),
        ({"version": 1}, ""),
        ({"version": 1, "format": "other"}, "holds no records"),
    ],
)
def test_whose_records_and_which_version_are_read(tmp_path, head, refused):
    (tmp_path / RUN.file).write_text(json.dumps({"format": "adapter-inspector records"} | head) + "\n")
    if refused:
        with pytest.raises(InspectorError, match=refused):
            Records(tmp_path, RUN)
    else:
        assert filled(tmp_path, 1) == tmp_path / RUN.file


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InspectorError, match="Cannot write the records"):
        Records(tmp_path / "file", RUN)
    assert folder_of(None).name == "records"
    assert folder_of(Path("~/mine")) == Path.home() / "mine"


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.probes.accuracy.test_records import RUN, record
from inspector.probes.accuracy.records import Records
from inspector.common.errors import InspectorError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Records(Path({folder!r}), RUN) as records:
    records.append([record(0)])
    size = records.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))
    try:
        records.append([record(1), record(2)])
    except InspectorError as error:
        print(error)
    assert records.path.stat().st_size == size
    assert list(records.done) == [record(0).key]
"""


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path):
    """By a limit on the size of files, in a process of its own."""
    code = FULL.format(root=str(ROOT), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Cannot write the records" in done.stdout
    assert "kept" in done.stdout
    filled(tmp_path, 3)
    with Records(tmp_path, RUN) as records:
        assert len(records.done) == 3
