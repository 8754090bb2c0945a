"""`inspector report` as a user runs it."""

import re

from inspector.study.export import save
from tests.acceptance.command import inspector
from tests.makers import write_random
from tests.report.studies import METHODS, full_study


def test_a_saved_study_becomes_a_page_a_summary_and_claims(tmp_path):
    save(full_study(METHODS[:2], layers=2, probes=()), tmp_path / "study.json")
    out, summary = tmp_path / "report.html", tmp_path / "summary.md"
    told = inspector("report", tmp_path / "study.json", "--out", out, "--md", summary, "--claims", "demo")
    assert told.returncode == 0, told.stderr
    assert told.stdout == ""
    assert re.search(r"Wrote .* \(\d+\.\d [kM]B\)\.", told.stderr)
    assert "DPO moves about 13 times less far than SFT." in out.read_text()
    assert "cos-cluster" in summary.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "study.json", "summary.md"]


def test_sources_are_measured_first(tmp_path):
    for n in range(2):
        write_random(tmp_path / f"a{n}", n)
    told = inspector(
        "report", tmp_path / "a0", tmp_path / "a1", "--md", tmp_path / "r.md", "--k", "2", "--sides", "both"
    )
    assert told.returncode == 0, told.stderr
    text = (tmp_path / "r.md").read_text()
    assert "top-2 input subspaces" in text
    assert "--k 2 --sides both" in text


def test_what_cannot_be_written_is_said_before_the_work(tmp_path):
    gone = tmp_path / "gone.json"
    for options, words in (
        ((), "Nothing to write"),
        (("--out", tmp_path / "r.pdf"), "must end in .html"),
        (("--md", tmp_path / "no" / "r.md"), "there is no folder"),
    ):
        told = inspector("report", gone, *options)
        assert told.returncode == 2
        assert words in told.stderr


def test_a_saved_study_needs_no_torch(tmp_path):
    save(full_study(METHODS[:2], layers=1, probes=()), tmp_path / "study.json")
    (tmp_path / "torch.py").write_text("raise ImportError('torch was imported')")
    told = inspector("report", tmp_path / "study.json", "--md", tmp_path / "r.md", PYTHONPATH=f"{tmp_path}:.")
    assert told.returncode == 0, told.stderr


def test_a_folder_of_figures_that_cannot_be_made_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    done = inspector("report", tmp_path / "nowhere", "--figures", tmp_path / "file" / "figures")
    assert done.returncode == 2
    assert done.stderr == f"Error: {tmp_path / 'file'} is a file, and --figures must be a folder: name another one.\n"
