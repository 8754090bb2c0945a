"""What is odd about adapters, on stderr and in every export."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.api.library import compare
from inspector.study.adapter_info import HealthIssue
from inspector.study.export import load, save
from inspector.study.warnings import beside, finding_lines, of_folders, severe
from tests.acceptance.command import inspector
from tests.makers import random_factors, write_adapter, write_random

ASSUMED = HealthIssue("warning", "the config has no lora_alpha: PEFT's default 8 is taken")


def test_one_line_for_one_finding_of_many():
    found = {f"run{n}": (ASSUMED, HealthIssue("info", "a pickle")) for n in range(50)}
    (line,) = finding_lines(found)
    assert line == f"warning: all 50 adapters: {ASSUMED.text}"
    (line,) = finding_lines(found | {"other": ()})
    assert line == f"warning: run0, run1, run2, … (50 in all): {ASSUMED.text}"


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (["a"], "1 adapter beside it, opened only if named: a"),
        (["a", "b2"], "2 adapters beside it, opened only if named: a, b2"),
        (["checkpoint-9"], "1 checkpoint beside it, opened only if named: checkpoint-9"),
        (["1", "b2"], "2 checkpoints beside it, opened only if named: 1, b2"),
    ],
)
def test_what_lies_beside_an_adapter(paths, text):
    (found,) = beside(paths)
    assert found == HealthIssue("info", text)
    assert of_folders((ASSUMED, found)) == (found,)
    assert severe((ASSUMED, found, HealthIssue("error", "x"))) == (ASSUMED, HealthIssue("error", "x"))
    assert beside([]) == ()


def test_errors_come_first_and_one_adapter_is_not_called_all():
    broken = HealthIssue("error", "NaN or Inf in 1 of 6 modules (0.q_proj): left out of every number")
    assert list(finding_lines({"a": (ASSUMED, broken)})) == [f"error: a: {broken.text}", f"warning: a: {ASSUMED.text}"]


def test_what_differs_in_numbers_alone_is_of_one_kind():
    """Fifty adapters with three findings each, all of other numbers: at most four lines a kind."""
    found = {
        f"run{n}": (
            HealthIssue("error", f"NaN or Inf in {n} of 60 modules ({n}.q_proj): left out of every number"),
            HealthIssue("warning", f"{n}.25% of the energy of ΔW is left out: a higher --svd-rank keeps more of it"),
            HealthIssue("warning", f"target_modules without a tensor in the file: p{n}_proj"),
        )
        for n in range(50)
    }
    lines = list(finding_lines(found))
    assert len(lines) == 12
    assert lines[2] == "error: run2: NaN or Inf in 2 of 60 modules (2.q_proj): left out of every number"
    assert lines[3].startswith("error: run3, run4, run5, … (47 in all): the same with other numbers; `inspector check`")


def test_different_findings_stay_apart():
    other = HealthIssue("warning", "the config's r is 'x': ranks are those of the tensors")
    assert len(list(finding_lines({"a": (ASSUMED,), "b": (other,)}))) == 2


def without_alpha(folder):
    write_random(folder, 1)
    config = json.loads((folder / "adapter_config.json").read_text())
    del config["lora_alpha"]
    (folder / "adapter_config.json").write_text(json.dumps(config))


def with_nan(folder):
    factors = random_factors(seed=2)
    next(iter(factors.values()))[0][0, 0] = float("nan")
    write_adapter(folder, factors)


def dora(folder):
    factors = random_factors(seed=3)
    extra = {f"base_model.model.{path}.lora_magnitude_vector": torch.ones(len(B)) for path, (B, _) in factors.items()}
    write_adapter(folder, factors, extra=extra, use_dora=True)


def half(folder):
    """A module without its B is left out."""
    factors = random_factors(seed=4)
    write_adapter(
        folder, factors, extra={"base_model.model.model.layers.9.mlp.up_proj.lora_A.weight": torch.ones(4, 16)}
    )


def untrained(folder):
    factors = random_factors(seed=5)
    next(iter(factors.values()))[0].zero_()
    write_adapter(folder, factors)


KINDS = {
    "alpha": (without_alpha, "the config has no lora_alpha: PEFT's default 8 is taken"),
    "nan": (with_nan, "NaN or Inf in 1 of 6 modules (0.self_attn.q_proj)"),
    "dora": (dora, "only the direction part s·B·A is analysed"),
    "half": (half, "only A or only B of the module is there"),
    "untrained": (untrained, "ΔW is exactly zero in 1 of 6 modules"),
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """One adapter of each kind, and one without any finding."""
    folder = tmp_path_factory.mktemp("zoo")
    for name, (write, _) in KINDS.items():
        write(folder / name)
    write_random(folder / "fine", 9)
    return folder


@pytest.mark.parametrize(
    "more",
    [
        (), ("--summary",), ("--group-by", "seed"), ("--metric", "norm"),
        ("--out", "t.csv"), ("--out", "t.json"), ("--out", "t.parquet", "--metric", "norm"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_analyze_says_what_check_says(zoo, more):
    """Every warning and error of `check`, once each, whatever is printed or written."""
    checked = json.loads(inspector("check", *KINDS, "fine", "--json", cwd=zoo).stdout)
    said = [
        (adapter["name"], found["severity"], found["text"])
        for adapter in checked["adapters"]
        for found in adapter["findings"]
        if found["severity"] != "info"
    ]
    assert {name for name, _, _ in said} == set(KINDS)
    done = inspector("analyze", *KINDS, "fine", *more, cwd=zoo)
    assert done.returncode == 3
    for name, severity, text in said:
        assert done.stderr.splitlines().count(f"{severity}: {name}: {text}") == 1
    for name, (_, text) in KINDS.items():
        assert any(text in found for who, _, found in said if who == name)
    assert "fine" not in done.stderr


@pytest.mark.parametrize("command", ["merge-preview", "convert", "eval", "report"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_commands_say_it_too(zoo, tmp_path, command, kind):
    more = {
        "convert": (tmp_path / "out",), "eval": ("--task", "arithmetic"),
        "report": ("--md", tmp_path / "x.md"),
    }  # fmt: skip
    done = inspector(command, kind, *more.get(command, ()), cwd=zoo, HF_HUB_OFFLINE="1")
    exact = (command, kind) == ("convert", "dora")  # with its magnitudes, whatever the base
    assert (KINDS[kind][1] in done.stderr) is not exact


def test_adapters_of_different_bases_are_said_side_by_side(tmp_path):
    write_random(tmp_path / "a", 1, base_model_name_or_path="org/one")
    write_random(tmp_path / "b", 2, base_model_name_or_path="org/two")
    done = inspector("analyze", "a", "b", "--out", "t.csv", cwd=tmp_path)
    assert "warning: side by side: 2 different bases: org/one (a); org/two (b)" in done.stderr


@pytest.fixture
def study(zoo):
    return compare([zoo / "alpha", zoo / "fine"])


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("metrics", [(), ("norm",)])
def test_a_saved_study_has_the_findings(study, tmp_path, suffix, metrics):
    assert save(study, tmp_path / f"t{suffix}", metrics) == (tmp_path / f"t{suffix}",)
    again = load(tmp_path / f"t{suffix}")
    assert [info.findings for info in again.adapters] == [info.findings for info in study.adapters]
    assert again.adapters[0].findings == (ASSUMED,)


def test_parquet_has_them_in_its_metadata(study, tmp_path):
    import pyarrow.parquet as pq

    save(study, tmp_path / "t.parquet")
    head = json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"inspector"])
    assert head["adapters"][0]["findings"] == [{"severity": ASSUMED.severity, "text": ASSUMED.text}]


def test_a_csv_has_them_beside_it(study, tmp_path):
    assert save(study, tmp_path / "t.csv") == (tmp_path / "t.csv", tmp_path / "t.findings.json")
    found = json.loads((tmp_path / "t.findings.json").read_text())
    assert found["format"] == "adapter-inspector findings"
    assert [(a["name"], a["health"], len(a["findings"])) for a in found["adapters"]] == [
        ("alpha", "warning", 1),
        ("fine", "ok", 0),
    ]
    assert found["adapters"][0]["findings"] == [{"severity": ASSUMED.severity, "text": ASSUMED.text}]
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        assert {row["a"] for row in csv.DictReader(file)} >= {"alpha", "fine"}


def test_findings_of_an_earlier_table_are_not_left_beside_a_new_one(study, tmp_path):
    save(study, tmp_path / "t.csv")
    save(replace(study, adapters=tuple(replace(a, findings=()) for a in study.adapters)), tmp_path / "t.csv")
    found = json.loads((tmp_path / "t.findings.json").read_text())
    assert [a["findings"] for a in found["adapters"]] == [[], []]


def test_neither_file_is_written_if_the_table_cannot_be(study, tmp_path):
    broken = replace(study, blocks={("norm", "global"): np.zeros(0)})
    with pytest.raises(IndexError):
        save(broken, tmp_path / "t.csv")
    assert not list(tmp_path.iterdir())
