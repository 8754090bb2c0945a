"""What is here under a name like one that is missing."""

import os

import pytest

from inspector.common import nearby as module
from inspector.common.nearby import in_a_folder, nearby


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("runs/sft", "runs/dpo", "Models/base"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("runs/sfd", "runs/sft"),
        ("runs/SFT", "runs/sft"),
        ("rums/sft", "runs/sft"),
        ("rums/none", "runs"),
        ("rums/sft/more/of/it", "runs"),
        ("models", "Models"),
        ("model/base", "Models/base"),
        ("runs/grpo-with-a-long-name", ""),
        ("quite/another/place", ""),
        ("runs/sft", "runs/sft"),
        ("nul\0", ""),
        ("x" * 5000, ""),
        ("~nobody-of-this-name/x", ""),
    ],
)
def test_paths_like_a_missing_one(folder, text, near):
    assert nearby(text) == (f" (near: {near})" if near else "")


def test_several_that_are_alike_and_one_that_is_less_so(folder):
    for name in ("checkpoint-100", "checkpoint-200", "checkpoint-300", "checkpoint-400"):
        (folder / name).mkdir()
    assert nearby("checkpoint-500").count("checkpoint-") == 3
    assert nearby("chkpt-100") == " (near: checkpoint-100)", "below 0.8 the likest alone"
    (folder / "abcdefghij").mkdir()
    assert nearby("abcdefgxyz") == " (near: abcdefghij)", "0.7"
    assert nearby("abcdefuxyz") == "", "0.6"


def test_only_those_that_have_the_rest_of_the_path_if_there_are_any(folder):
    for name in ("experiments-a", "experiments-b/sft"):
        (folder / name).mkdir(parents=True)
    assert nearby("experiments-c/sft") == " (near: experiments-b/sft)"
    found = nearby("experiments-c/none")
    assert "experiments-a" in found
    assert "experiments-b" in found


def test_names_that_differ_in_case_alone_are_both_shown(folder):
    (folder / "RUNS").mkdir()
    assert sorted(nearby("runz")[len(" (near: ") : -1].split(", ")) == ["RUNS", "runs"]


def test_an_absolute_path_and_one_from_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert nearby("~/rums") == nearby(f"{folder}/rums") == f" (near: {folder / 'runs'})"


def test_no_more_entries_are_read_than_some(folder, monkeypatch):
    monkeypatch.setattr(module, "_MOST_ENTRIES", 2)
    monkeypatch.setattr(os, "scandir", Entries(folder))
    assert nearby(f"{folder}/first0") == f" (near: {folder / 'first1'})"
    assert nearby(f"{folder}/third0") == ""


class Entries:
    """Three names in this order."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, _folder):
        return self

    def __enter__(self):
        return iter([Entry(name) for name in ("first1", "other1", "third1")])

    def __exit__(self, *_):
        pass


class Entry:
    def __init__(self, name):
        self.name = name


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("new", True),
        ("runs/new", True),
        ("none/new", False),
        ("runs/sft/x/new", False),
        ("x" * 5000 + "/y", False),
        ("\0/x", False),
    ],
)
def test_whether_the_folder_of_a_path_is_here(folder, text, here):
    assert in_a_folder(text) is here
