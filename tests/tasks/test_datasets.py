"""Which commit of the Hub a file is of."""

from pathlib import Path

import pytest

from inspector.tasks.datasets import commit_of

SHA = "0123456789abcdef" * 2 + "01234567"


def test_of_the_cache(tmp_path):
    place = tmp_path / "hub" / "datasets--org--set" / "snapshots" / SHA / "data" / "rows.parquet"
    assert commit_of(place) == SHA
    assert commit_of(place.parents[2] / "main" / "rows.parquet") == ""


@pytest.mark.parametrize(("text", "found"), [(f"{SHA}\netag\n1.0\n", SHA), ("main\n", ""), ("", "")])
def test_of_a_folder_it_was_downloaded_to(tmp_path, monkeypatch, text, found):
    """As `hf download --local-dir` leaves it: a record for each file, under the folder's .cache."""
    record = tmp_path / ".cache" / "huggingface" / "download" / "data" / "rows.jsonl.metadata"
    record.parent.mkdir(parents=True)
    record.write_text(text)
    assert commit_of(tmp_path / "data" / "rows.jsonl") == found
    assert commit_of(tmp_path / "data" / "other.jsonl") == ""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    assert commit_of(Path("rows.jsonl")) == found
