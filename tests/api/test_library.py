"""`import inspector` as notebooks use it."""

import subprocess
import sys
from html import escape

import numpy as np
import pytest

import inspector
from inspector.common.errors import InspectorError
from inspector.insights.overview import overview
from inspector.study.table import COLUMNS, rows
from tests.makers import write_random


@pytest.fixture
def folders(tmp_path):
    return [write_random(tmp_path / name, seed=n) for n, name in enumerate(("one", "two"))]


def test_the_example(folders, tmp_path):
    adapters = inspector.load(*folders)
    study = inspector.compare(adapters, k=4, modules="q_proj")
    assert [a.info.name for a in adapters] == ["one", "two"]
    assert {module.projection for module in study.modules} == {"q_proj"}
    assert inspector.compare(folders, k=4, modules="q_proj").names == study.names
    inspector.save_study(study, tmp_path / "x.parquet")
    again = inspector.open_study(tmp_path / "x.parquet")
    assert np.array_equal(again.blocks["cosine", "module"], study.blocks["cosine", "module"], equal_nan=True)
    assert inspector.summary(study)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_hold_the_tidy_table(folders, kind):
    study = inspector.compare(folders)
    table = getattr(study, f"to_{kind}")(["cosine", "norm"])
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == len(list(rows(study, ["cosine", "norm"])))
    assert list(table["value"]) == [row.value for row in rows(study, ["cosine", "norm"])]
    assert list(getattr(study, f"to_{kind}")(["accuracy"]).columns) == list(COLUMNS)


def test_what_notebooks_show(folders):
    study = inspector.compare(folders)
    shown = study.renamed("one", "<b>one</b>")._repr_html_()
    assert "&lt;b&gt;one&lt;/b&gt;" in shown
    assert "<b>" not in shown
    assert f"{study.blocks['cosine', 'global'][0, 1, 0]:.2f}" in shown
    assert all(escape(told.text) in study._repr_html_() for told in overview(study).so_what)
    assert "r = " in inspector.load(folders[0])[0]._repr_html_() or "α/r" in inspector.load(folders[0])[0]._repr_html_()


def test_sources_that_cannot_be_opened(folders, tmp_path):
    with pytest.warns(UserWarning, match="No file or folder"):
        assert len(inspector.load(folders[0], "./nothing")) == 1
    with pytest.raises(InspectorError, match="No file or folder"):
        inspector.load("./nothing")
    with pytest.raises(InspectorError, match="No source"):
        inspector.load()


def test_nothing_heavy_is_imported_with_the_package():
    code = "import sys, inspector; dir(inspector); print([m for m in ('torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
