"""What stands in the cells of the tables on stdout."""

from dataclasses import replace

import pytest
from rich.cells import cell_len

from inspector.common.assets import demo_study
from inspector.study.export import load
from inspector.tables.studies import print_study
from inspector.tables.tables import short_targets
from tests.acceptance.command import inspector
from tests.makers import random_factors, write_adapter

PATHS = [f"model.layers.{n}.self_attn.{p}" for n in range(14, 18) for p in ("v_proj", "q_proj")]


@pytest.mark.parametrize(
    ("targets", "shown"),
    [
        ((), ""),
        (("k_proj", "q_proj"), "k_proj,q_proj"),
        (PATHS, "q_proj,v_proj in layers 14-17"),
        (PATHS[:2], "q_proj,v_proj in layer 14"),
        (PATHS[:2] + PATHS[4:6], "q_proj,v_proj in 2 layers"),
        (PATHS[1:], "q_proj (4),v_proj (3)"),
        (["o_proj", *PATHS], "o_proj and q_proj,v_proj in layers 14-17"),
        (["o_proj", *PATHS[1:]], "o_proj,q_proj (4),v_proj (3)"),
        ((r".*\.layers\.(1|2)\.q_proj",), r".*\.layers\.(1|2)\.q_proj"),
        (("self_attn.q_proj", "all-linear"), "self_attn.q_proj,all-linear"),
    ],
)
def test_targets(targets, shown):
    assert short_targets(targets) == shown


def test_a_converted_adapter_of_some_layers_prints_a_narrow_table(tmp_path):
    shapes = dict.fromkeys(sorted(PATHS), (16, 16))
    write_adapter(tmp_path / "all", random_factors({p.replace("layers.1", "layers."): s for p, s in shapes.items()}))
    write_adapter(tmp_path / "some", random_factors(shapes))
    assert inspector("convert", tmp_path / "some", tmp_path / "new").returncode == 0
    done = inspector("analyze", tmp_path / "all", tmp_path / "new", "--metric", "norm")
    assert done.returncode == 0, done.stderr
    (row,) = (line for line in done.stdout.splitlines() if "in layers 14-17" in line)
    assert len(row) < 100


@pytest.mark.parametrize("lead", ["", "run1-qwen3-4b-lora-r32-math-"])
def test_every_table_of_a_measured_study_fits_80_columns_and_no_two_pairs_read_the_same(lead, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    study = load(demo_study())
    infos = tuple(replace(info, name=lead + info.name + "-seed42" * bool(lead)) for info in study.adapters)
    print_study(replace(study, adapters=infos))
    out = capsys.readouterr().out
    assert max(map(cell_len, out.splitlines())) <= 80
    rows = out.partition("interference, all modules")[2].splitlines()[5:60]
    assert len({tuple(row.split()[:2]) for row in rows}) == len(rows) == 55
    for part in ("verdicts\n", "principal angles", "barrier above both", "CKA (debiased) by layer", "McNemar"):
        assert part in out, part
