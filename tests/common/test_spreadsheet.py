"""CSV that spreadsheets open: no name is run, every name is read back."""

import csv
import io
from pathlib import Path

import pytest

from inspector.analysis.analyse import analyse
from inspector.common.spreadsheet import cell
from inspector.study.export import load, save
from inspector.study.study import Settings
from inspector.trajectory.result import Curve, Trajectory
from inspector.trajectory.runs import Run
from inspector.tui.table import Table
from inspector.workflows.watch import table
from tests.memory import random_adapter

NAMES = ["=1+1", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'quoted", "''", " =1+1", "＝1", "-", "=", "sft", "a=b"]
RUN = ("=", "+", "-", "@", "\t", "\r", " =", "＝")


def original(text):
    """As the README says."""
    return text.removeprefix("'")


@pytest.mark.parametrize("text", NAMES)
def test_nothing_runs_and_everything_is_read_back(text):
    written = cell(text)
    assert not written.startswith(RUN) or written == "-"
    assert original(written) == text


@pytest.mark.parametrize("text", ["-1", "+0.5", "-1.25e-07", "-3.2 %", "+12°", "-", "0", "", "1,024", "-0.5"])
def test_numbers_stay_numbers(text):
    assert cell(text) == text


def test_a_study(tmp_path):
    study = analyse([random_adapter(name, n) for n, name in enumerate(("+1+cmd", "@SUM(A1)", "'x"))], Settings(k=2))
    save(study, tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["a"] for row in rows if row["a"]} == {"'+1+cmd", "'@SUM(A1)", "''x"}
    assert {original(row["a"]) for row in rows if row["metric"] == "norm"} == set(study.names)
    assert [row for row in rows if row["value"].startswith("-")], "numbers are numbers"
    save(study, tmp_path / "s.json")
    assert load(tmp_path / "s.json").names == study.names


def test_a_view_of_the_app():
    shown = Table("Map", ("adapter", "=b"), (("@a", "-0.25"), ("'c", "1")))
    assert list(csv.reader(io.StringIO(shown.csv()))) == [["adapter", "'=b"], ["'@a", "-0.25"], ["''c", "1"]]
    assert "=b" in shown.text()
    assert "'" not in shown.text().replace("'c", "")


def test_a_trajectory():
    run = Run("=1+1", Path(), (), "finished", 1, 1, ((1, -0.5),), None)
    assert table(Trajectory((Curve(run, ()),))).splitlines()[1] == "'=1+1\t1\tloss\t\t\t-0.5"
