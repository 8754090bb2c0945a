"""What changed between two studies: told once, the largest first, nothing where nothing did."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from inspector.study.diff import differences
from inspector.study.export import load, save
from inspector.tables.diff import print_differences
from tests.acceptance.command import inspector
from tests.report.studies import METHODS, full_study


@pytest.fixture(scope="module")
def study():
    return full_study(METHODS[:4], layers=3)


def moved(study, **changes):
    """The study with these global numbers added to: `cosine=(0, 1, 0.05)`."""
    blocks = {key: values.copy() for key, values in study.blocks.items()}
    for metric, (*at, step) in changes.items():
        block = blocks[metric, "global"]
        block[(*at, 0)] += step
        if len(at) == 2:
            block[(*at[::-1], 0)] = block[(*at, 0)]
    return replace(study, blocks=blocks)


def test_a_study_and_itself(study):
    found = differences(study, study)
    assert found.nothing
    assert {scope: moved for scope, moved, _ in found.counts} == {"global": 0, "layer": 0, "module": 0}
    assert all(compared > 100 for _, _, compared in found.counts)


def test_numbers_that_moved_stand_on_one_scale(study):
    """9° of 90 count as 0.1, a cosine by its difference, a norm by its share."""
    norm = study.blocks["norm", "global"][2, 0]
    new = moved(study, cosine=(0, 1, 0.05), principal_angle=(1, 2, 9.0), norm=(2, norm))
    new.blocks["principal_angle", "global"][1, 2, 0, 1:] = study.blocks["principal_angle", "global"][1, 2, 0, 1:]
    new.blocks["principal_angle", "global"][2, 1] = new.blocks["principal_angle", "global"][1, 2]
    found = differences(study, new)
    assert [(m.metric, m.a, m.b, m.k) for m in found.moved] == [
        ("norm", "rift", "", None), ("principal_angle", "rft", "rift", 1.0), ("cosine", "sft", "rft", None),
    ]  # fmt: skip
    assert [m.size for m in found.moved] == pytest.approx([0.5, 0.1, 0.05])
    assert [m.difference for m in found.moved] == pytest.approx([norm, 9.0, 0.05])
    assert not differences(study, new, threshold=0.6).moved


def test_ordered_numbers_are_compared_both_ways(study):
    new = moved(study)
    new.blocks["orthogonal_fraction_module", "global"][2, 0, 0] += 0.25
    (found,) = differences(study, new).moved
    assert (found.a, found.b) == ("rift", "sft")


def test_adapters_come_go_change_and_get_other_names(study):
    new = study.subset((0, 2, 3)).renamed("dft", "dft2")
    changed = replace(new.adapters[0], digest="f" * 64, dtype="F32")
    new = replace(new, adapters=(changed, *new.adapters[1:]))
    found = differences(study, new)
    assert (found.added, found.removed, found.renamed) == ((), ("rft",), (("dft", "dft2"),))
    assert [(c.what, c.field) for c in found.changed] == [("sft", "digest"), ("sft", "dtype")]
    assert not found.moved
    back = differences(new, study)
    assert back.added == ("rft",)


def test_studies_without_an_adapter_in_common(study, capsys):
    old, new = study.subset((0, 1)), study.subset((2, 3))
    new = replace(new, adapters=tuple(replace(a, digest=d * 64) for a, d in zip(new.adapters, "xy", strict=True)))
    found = differences(old, new)
    assert (found.common, found.moved, found.counts) == (0, (), ())
    print_differences(found, "all", 0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["+ adapter rift", "+ adapter dft", "- adapter sft", "- adapter rft"]
    assert lines[-1] == "The two studies have no adapter in common: there is no number to compare."
    assert not [line for line in lines if line.startswith("moved")]


def test_settings_probes_and_paths_at_other_points(study):
    probes = tuple(replace(p, examples=50) if p.probe == "cka" else p for p in study.probes if p.probe != "lens")
    blocks = {key: values for key, values in study.blocks.items() if "lens" not in key[0]}
    at = [0, 5, 10]
    blocks["lmc_loss", "global"] = blocks["lmc_loss", "global"][..., at]
    alphas = tuple(study.alphas[n] for n in at)
    new = replace(study, settings=replace(study.settings, k=8), probes=probes, blocks=blocks, alphas=alphas)
    found = differences(study, new)
    assert [(c.field, c.old, c.new) for c in found.settings] == [("k", "10", "8")]
    assert ("cka", "examples", "100", "50") in [(c.what, c.field, c.old, c.new) for c in found.probes]
    assert [c.new for c in found.probes if c.what == "lens"] == ["not measured"]
    assert found.metrics_removed == (
        "lens_depth", "lens_depth_base", "lens_depth_last", "lens_depth_last_base",
    )  # fmt: skip
    assert not found.moved


def test_what_files_were_read_with_stands_as_on_the_command_line(study, capsys):
    read = replace(study, settings=replace(study.settings, reading=("--base", "org/base", "--svd-rank", "8")))
    print_differences(differences(study, read), "global", 30)
    assert "~ setting reading – → --base org/base --svd-rank 8\n" in capsys.readouterr().out


def test_layers_and_modules_of_one_side_are_left_out(study):
    fewer = full_study(METHODS[:4], layers=2)
    assert differences(study, study.subset((0, 1))).counts[1][2] > 0
    compared = {scope: n for scope, _, n in differences(study, fewer).counts}
    whole = {scope: n for scope, _, n in differences(study, study).counts}
    assert compared["layer"] * 3 == whole["layer"] * 2


def test_what_goes_with_other_numbers_stands_last(study):
    new = moved(study, cosine=(0, 1, 0.002), principal_angle_q75=(0, 1, 50.0), principal_angle_chance=(40.0,))
    new.blocks["principal_angle_chance", "global"][:, 1:] = study.blocks["principal_angle_chance", "global"][:, 1:]
    new.blocks["principal_angle_q75", "global"][..., 1:] = study.blocks["principal_angle_q75", "global"][..., 1:]
    found = differences(study, new).moved
    assert [(m.metric, m.beside) for m in found] == [
        ("cosine", False), ("principal_angle_q75", True), ("principal_angle_chance", True),
    ]  # fmt: skip


@pytest.fixture
def files(study, tmp_path):
    new = moved(study, cosine=(0, 1, 0.05), principal_angle_q75=(0, 1, 50.0), orthogonal_fraction_global=(2, 3, 0.1))
    new.blocks["principal_angle", "global"][0, 1] += 5.0
    new.blocks["principal_angle", "global"][1, 0] += 5.0
    save(study, tmp_path / "old.json")
    save(new, tmp_path / "new.json")
    return tmp_path / "old.json", tmp_path / "new.json"


def test_in_a_pipe_a_number_is_a_line_and_no_word_is_cut(study, files):
    told = inspector("diff", *files, COLUMNS="40")
    assert told.returncode == 0, told.stderr
    rows = [line.split() for line in told.stdout.splitlines()]
    at = next(n for n, row in enumerate(rows) if row and set(row[0]) == {"─"})
    old = float(study.blocks["cosine", "global"][0, 1, 0])
    assert [row[0] for row in rows[at + 1 : at + 4]] == ["orthogonal_fraction_global", "principal_angle", "cosine"]
    assert rows[at + 3][-3:] == [f"{old:.4g}", f"{old + 0.05:.4g}", "+0.05"]
    assert f"k 1 and {study.settings.k - 1} more" in told.stdout
    assert "q75" not in told.stdout
    assert f"… and {study.settings.k} more numbers, all of them chance levels" in told.stdout
    assert "principal_angle_q75" in inspector("diff", *files, "--limit", "0").stdout


def test_on_a_narrow_terminal_a_number_is_two_lines(files, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    old, new = map(load, files)
    print_differences(differences(old, new), "global", 30)
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 40
    at = lines.index("cosine  sft · rft")
    assert lines[at + 1].endswith("(+0.05)")


def test_json_has_every_number(files):
    document = json.loads(inspector("diff", *files, "--json").stdout)
    assert len(document["moved"]) == document["counts"]["global"]["moved"]
    assert document["moved"][-1]["metric"] == "principal_angle_q75"
    assert np.isclose(document["moved"][-1]["difference"], 50.0)


def test_bad_input_is_two(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    told = inspector("diff", tmp_path / "x.json", tmp_path / "gone.json")
    assert told.returncode == 2
    assert "not a study" in told.stderr
