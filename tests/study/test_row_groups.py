"""A Parquet table is written by row groups, with the rows of the tidy table in its order."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inspector.analysis.analyse import analyse
from inspector.study import row_groups
from inspector.study.export import load, save
from inspector.study.study import Settings
from inspector.study.table import COLUMNS, rows
from tests.memory import adapter, random_adapter
from tests.tui.probed import with_lmc


@pytest.fixture(scope="module")
def study():
    a, b, c = (random_adapter(name, seed) for seed, name in enumerate(["a", "b", "ü [c]"]))
    b = adapter("b", {m: b.load(m) for m in list(b.modules)[:-2]})
    zero = adapter("zero", {m: (0 * B, A) for m, (B, A) in ((m, c.load(m)) for m in c.modules)})
    return with_lmc(analyse([a, b, c, zero], Settings(k=3, sides=("left", "right"))))


@pytest.mark.parametrize("metrics", [(), ("cosine", "norm"), ("principal_angle",), ("lmc_loss",)])
@pytest.mark.parametrize("scopes", [("global", "layer", "module"), ("layer",)])
@pytest.mark.parametrize("size", [1, 500_000], ids=["many groups", "one group"])
def test_the_rows_are_those_of_the_table(study, tmp_path, monkeypatch, metrics, scopes, size):
    monkeypatch.setattr(row_groups, "_ROWS", size)
    save(study, tmp_path / "s.parquet", metrics, scopes)
    file = pq.ParquetFile(tmp_path / "s.parquet")
    assert (file.metadata.num_row_groups > 1) == (size == 1 and file.metadata.num_rows > 0)
    found = file.read()
    expected = list(zip(*rows(study, metrics, scopes), strict=True)) or [()] * len(COLUMNS)
    assert [found[name].to_pylist() for name in COLUMNS] == [list(column) for column in expected]


def test_a_study_without_modules_comes_back(study, tmp_path):
    save(study, tmp_path / "s.parquet", ("cosine", "norm"), ("global", "layer"))
    back = load(tmp_path / "s.parquet")
    assert set(back.blocks) == {(m, s) for m in ("cosine", "norm") for s in ("global", "layer")}
    assert isinstance(pq.read_table(tmp_path / "s.parquet")["metric"].chunk(0), pa.DictionaryArray)
