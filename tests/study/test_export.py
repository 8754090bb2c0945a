"""The tidy table's contract, and studies that come back as they were."""

import csv
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inspector.analysis.analyse import analyse
from inspector.common.errors import InspectorError
from inspector.study import export
from inspector.study.adapter_info import AdapterInfo
from inspector.study.export import load, save
from inspector.study.metrics import DEFINITIONS
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings, Study
from inspector.study.table import COLUMNS, rows
from inspector.tables.studies import print_groups, print_study, print_summary
from inspector.workflows import analyze
from inspector.workflows.analyze import Parts
from tests.memory import adapter, random_adapter
from tests.tui.factory import make_study
from tests.tui.probed import with_lmc


@pytest.fixture(scope="module")
def study():
    a, b, c = (random_adapter(name, seed) for seed, name in enumerate(["a", "b", "ü [c]"]))
    b = adapter("b", {m: b.load(m) for m in list(b.modules)[:-1]})
    zero = adapter("zero", {m: (0 * B, A) for m, (B, A) in ((m, c.load(m)) for m in c.modules)})
    return analyse([a, b, c, zero], Settings(k=3, sides=("left", "right")))


def test_rows_keep_the_contract(study):
    table = list(rows(study))
    assert {row.metric for row in table} == {m for m in DEFINITIONS if any(k[0] == m for k in study.blocks)}
    cosines = [r for r in table if r.metric == "cosine" and r.scope == "global"]
    assert [(r.a, r.b) for r in cosines] == [
        ("a", "b"), ("a", "ü [c]"), ("a", "zero"), ("b", "ü [c]"), ("b", "zero"), ("ü [c]", "zero"),
    ]  # fmt: skip
    assert all(r.layer is None and r.module == "" and r.k is None for r in cosines)
    norms = [r for r in table if r.metric == "norm" and r.scope == "module" and r.a == "b"]
    assert len(norms) == 5
    assert all(r.b == "" and r.layer in {0, 1, 2} and r.module.startswith("self_attn.") for r in norms)
    angles = [r for r in table if r.metric == "principal_angle" and r.scope == "global" and r.a == "a" and r.b == "b"]
    assert [r.k for r in angles] == [1, 2, 3]
    assert angles[0].value <= angles[1].value <= angles[2].value <= 90
    ordered = [r for r in table if r.metric == "orthogonal_fraction_module" and r.scope == "global"]
    assert len(ordered) == 12


def test_not_available_is_null_and_absent_is_no_row(study):
    with_zero = [r for r in rows(study, ["cosine"]) if r.b == "zero"]
    assert with_zero
    assert all(r.value is None for r in with_zero)
    last = study.modules[-1]
    assert not [r for r in rows(study, ["norm"]) if r.a == "b" and (r.layer, r.module) == (last.layer, last.path)]


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_a_saved_study_is_the_same_study(study, tmp_path, suffix):
    path = tmp_path / f"study.{suffix}"
    save(study, path)
    again = load(path)
    assert again.adapters == study.adapters
    assert (again.modules, again.settings) == (study.modules, study.settings)
    assert set(again.blocks) == set(study.blocks)
    for key, values in study.blocks.items():
        depth = again.blocks[key].shape[-1]
        if DEFINITIONS[key[0]].indexed:
            assert np.isnan(values[..., depth:]).all(), key
            assert np.array_equal(again.blocks[key], values[..., :depth], equal_nan=True), key
            continue
        assert np.array_equal(again.blocks[key], values, equal_nan=True), key


def test_a_large_parquet_is_written_in_batches(study, tmp_path, monkeypatch):
    monkeypatch.setattr("inspector.study.row_groups._ROWS", 70)
    save(study, tmp_path / "s.parquet")
    assert pq.ParquetFile(tmp_path / "s.parquet").num_row_groups > 10
    again = load(tmp_path / "s.parquet")
    for key in (("cosine", "module"), ("norm", "global"), ("orthogonal_fraction_module", "layer")):
        assert np.array_equal(again.blocks[key], study.blocks[key], equal_nan=True)


def test_a_parquet_others_wrote_anew_is_the_same_study(study, tmp_path):
    """pandas keeps the metadata, and writes plain columns with nulls."""
    save(study, tmp_path / "s.parquet")
    table = pq.read_table(tmp_path / "s.parquet")
    plain = {name: table[name].to_pylist() for name in table.column_names}
    pq.write_table(pa.table(plain).replace_schema_metadata(table.schema.metadata), tmp_path / "plain.parquet")
    dictionaries = {name: pa.array(plain[name]).dictionary_encode() for name in plain}
    pq.write_table(pa.table(dictionaries).replace_schema_metadata(table.schema.metadata), tmp_path / "coded.parquet")
    for name in ("plain", "coded"):
        again = load(tmp_path / f"{name}.parquet")
        assert again.blocks.keys() == study.blocks.keys()
        for key, values in study.blocks.items():
            assert np.array_equal(again.blocks[key], values, equal_nan=True), key


def test_csv_and_parquet_hold_the_same_table(study, tmp_path):
    save(study, tmp_path / "t.csv")
    save(study, tmp_path / "t.parquet")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        head, *body = csv.reader(file)
    table = pq.read_table(tmp_path / "t.parquet")
    assert tuple(head) == COLUMNS == tuple(table.column_names)
    assert len(body) == table.num_rows == len(list(rows(study)))
    assert [float(r[-1]) if r[-1] else None for r in body] == table["value"].to_pylist()


def test_json_table_is_columns(study, tmp_path):
    save(study, tmp_path / "s.json", ["cosine", "norm"])
    document = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert tuple(document["table"]) == COLUMNS
    assert set(document["table"]["metric"]) == {"cosine", "norm"}
    assert set(load(tmp_path / "s.json").blocks) == {
        (m, s) for m in ("cosine", "norm") for s in ("global", "layer", "module")
    }


def test_nothing_half_written(study, tmp_path):
    target = tmp_path / "s.json"
    target.write_text("before")
    with pytest.raises(InspectorError, match="must end in"):
        save(study, tmp_path / "s.xlsx")
    with pytest.raises(InspectorError, match="Cannot write"):
        save(study, tmp_path / "missing" / "s.json")
    broken = study.renamed("a", "\ud800")  # cannot be encoded: fails while writing
    with pytest.raises(UnicodeEncodeError):
        save(broken, target)
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "other"}', '{"format": "adapter-inspector study", "version": 1}', "\x00\xff"]
)
def test_what_is_no_study_is_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "s.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InspectorError, match="study"):
        load(path)


def test_a_hostile_study_shows_no_control_characters(study, tmp_path):
    save(study.renamed("a", "\x1b[31mred\x07"), tmp_path / "s.json")
    again = load(tmp_path / "s.json")
    assert again.names[0] == "[31mred"
    assert np.array_equal(again.blocks["cosine", "global"], study.blocks["cosine", "global"], equal_nan=True)


def test_a_study_of_the_future_is_refused(study, tmp_path):
    save(study, tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text(encoding="utf-8").replace('"version":1', '"version":99')
    (tmp_path / "s.json").write_text(text, encoding="utf-8")
    with pytest.raises(InspectorError, match="update"):
        load(tmp_path / "s.json")


def test_opening_a_study_needs_no_torch(study, tmp_path):
    save(study, tmp_path / "s.json")
    code = (
        "import sys; from inspector.study.export import load; from inspector.tables.studies import print_study;"
        f"print_study(load({str(tmp_path / 's.json')!r})); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ü [c]" in done.stdout


def test_what_files_were_read_with_survives_and_older_studies_open(study, tmp_path):
    read = replace(study, settings=replace(study.settings, reading=("--base", "org/base", "--svd-rank", "8")))
    save(read, tmp_path / "x.json")
    assert load(tmp_path / "x.json").settings.reading == read.settings.reading
    head = json.loads((tmp_path / "x.json").read_text())
    del head["settings"]["reading"]
    (tmp_path / "old.json").write_text(json.dumps(head))
    assert load(tmp_path / "old.json").settings.reading == ()


def test_points_of_a_path_are_printed_under_their_alpha(capsys):
    print_study(with_lmc(make_study(3, names=("a", "b", "c"))), metrics=("lmc_loss",))
    head = next(line for line in capsys.readouterr().out.splitlines() if " α 0 " in line)
    assert head.partition("module")[2].split()[:4] == ["α", "0", "α", "0.1"]


@pytest.mark.parametrize("metric", ["norm", "cosine", "principal_angle", "energy_ratio", "singular_value"])
def test_what_was_saved_of_one_metric_is_printed_without_the_others(metric, study, tmp_path, capsys):
    save(study, tmp_path / "part.json", (metric,))
    part = load(tmp_path / "part.json")
    assert {name for name, _ in part.blocks} == {metric}
    print_study(part)
    print_summary(part)
    print_groups(part, "method")
    text = capsys.readouterr().out
    assert text.startswith(f"{len(study.adapters)} adapters, ")
    assert [line for line in text.splitlines() if line.startswith("cosine: ")] == (
        ["cosine: ⟨ΔW_a,ΔW_b⟩_F / (‖ΔW_a‖_F ‖ΔW_b‖_F), ΔW = s·B·A; inner products and "] if metric == "cosine" else []
    )


@pytest.mark.parametrize("metric", ["cosine", "principal_angle", "orthogonal_fraction_module"])
def test_one_adapter_has_no_pair_and_no_empty_table(metric, capsys):
    print_study(make_study(1, layers=2), [metric, "norm"])
    text = capsys.readouterr().out
    assert f"{metric}: of two adapters, and one is open: name another." in text
    assert "by layer" not in text
    assert "norm ‖ΔW‖, global" in text


def test_what_an_export_of_one_adapter_lacks_is_said(tmp_path, capsys):
    save(make_study(1, layers=2), tmp_path / "one.json")
    out = tmp_path / "part.csv"
    assert analyze.analyze([str(tmp_path / "one.json")], settings=Settings(), out=out, parts=Parts(("u1", "norm"))) == 0
    assert "Not in it: u1, of two adapters, and one is open: name another." in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_what_no_float64_holds_is_not_available_in_any_format(value, tmp_path):
    """JSON has no word for infinity, and strict readers take no other."""
    study = with_lmc(make_study(2, layers=2, names=("a", "b")))
    study.blocks["norm", "global"][0] = study.blocks["singular_value", "module"][0, 0, 0] = value
    study.blocks["lmc_loss", "global"][0, 1, 0, 3] = value
    for path in (tmp_path / "x.json", tmp_path / "x.parquet"):
        save(study, path)
        found = load(path)
        for at in (("norm", "global"), ("singular_value", "module"), ("lmc_loss", "global")):
            assert np.isinf(found.blocks[at]).sum() == 0
            assert np.isnan(found.blocks[at]).sum() > np.isnan(study.blocks[at]).sum()
    json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail)
    save(study, tmp_path / "x.csv")
    assert "inf" not in (tmp_path / "x.csv").read_text()


def test_what_was_written_beside_a_study_is_named_as_what_it_is(tmp_path):
    save(make_study(1, layers=2), tmp_path / "table.csv")
    (tmp_path / "empty.json").write_text("\n")
    for name, what in (
        ("empty.json", "is empty: save the study again"),
        ("table.csv", "is a table alone, no study: save it as .json or .parquet as well"),
        ("table.findings.json", "is not a study but adapter-inspector findings"),
    ):
        with pytest.raises(InspectorError, match=what):
            load(tmp_path / name)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({}, ""),
        ({"adapters": ()}, "no adapters"),
        ({"adapters": ("a", "a")}, "names of adapters"),
        ({"adapters": ("a", "a\x07")}, "names of adapters"),
        ({"modules": (ModuleId(0, "q"), ModuleId(0, "q"))}, "modules"),
        ({"modules": (ModuleId(0, "q"), ModuleId(-1, "q"))}, "layers"),
        ({"modules": (ModuleId(0, "q"), ModuleId(999_999, "q"))}, ""),
        ({"modules": (ModuleId(0, "q"), ModuleId(1_000_000, "q"))}, "layers"),
        ({"modules": (ModuleId(None, "q"), ModuleId(0, "q"))}, ""),
        ({"depth": 999_999}, ""),
        ({"depth": 1_000_000}, "layers"),
        ({"depth": -1}, "layers"),
        ({"shapes": np.array([[[8, 8], [0, -1]]])}, "shapes"),
        ({"shapes": np.array([[[8, 8], [2**40, 1]]])}, "shapes"),
        ({"shapes": np.array([[[8, 8], [2**40 - 1, 1]]])}, ""),
        ({"shapes": np.zeros((1, 0, 2), dtype=int), "modules": ()}, ""),
        ({"settings": Settings(k=0)}, "k"),
        ({"settings": Settings(k=1)}, ""),
        ({"settings": Settings(k=999_999)}, ""),
        ({"settings": Settings(k=1_000_000)}, "k"),
    ],
)
def test_what_no_analysis_gives_is_refused(changed, what):
    changed = changed | {"adapters": tuple(AdapterInfo(n, n, "x") for n in changed.get("adapters", ("a", "b")))}
    modules = (ModuleId(0, "q"), ModuleId(1, "q"))
    found = replace(Study((), modules, np.full((2, 2, 2), 8)), **changed)
    if what:
        with pytest.raises(ValueError, match=f"^impossible {what}$"):
            export._refuse_impossible(found)
    else:
        export._refuse_impossible(found)
