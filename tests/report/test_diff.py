"""What changed between two studies: told once, the largest first, nothing where nothing did."""

import json
from dataclasses import replace

import numpy as np
import pytest

from inspector.export import save
from inspector.report.differences import differences
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
    assert found.metrics_removed == ("lens_depth", "lens_depth_base")
    assert not found.moved


def test_layers_and_modules_of_one_side_are_left_out(study):
    fewer = full_study(METHODS[:4], layers=2)
    assert differences(study, study.subset((0, 1))).counts[1][2] > 0
    compared = {scope: n for scope, _, n in differences(study, fewer).counts}
    whole = {scope: n for scope, _, n in differences(study, study).counts}
    assert compared["layer"] * 3 == whole["layer"] * 2


def test_the_command_tells_it_in_80_columns(study, tmp_path):
    save(study, tmp_path / "old.json")
    save(moved(study, cosine=(0, 1, 0.05)), tmp_path / "new.json")
    told = inspector("diff", tmp_path / "old.json", tmp_path / "new.json")
    assert told.returncode == 0, told.stderr
    assert max(map(len, told.stdout.splitlines())) <= 80
    (line,) = [line for line in told.stdout.splitlines() if "cosine" in line]
    old = float(study.blocks["cosine", "global"][0, 1, 0])
    assert line.split()[-3:] == [f"{old:.4g}", f"{old + 0.05:.4g}", "+0.05"]
    document = json.loads(inspector("diff", tmp_path / "old.json", tmp_path / "new.json", "--json").stdout)
    (number,) = document["moved"]
    assert np.isclose(number["difference"], 0.05)
    assert document["counts"]["global"]["moved"] == 1


def test_bad_input_is_two(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    told = inspector("diff", tmp_path / "x.json", tmp_path / "gone.json")
    assert told.returncode == 2
    assert "not a study" in told.stderr
