"""Studies of older versions open, and what meant something else then says so beside its numbers."""

from dataclasses import replace

import numpy as np
import pytest

from inspector.study.export import load, save
from inspector.study.probe_results import merged
from inspector.tables.probes import probe_tables
from tests.tui.factory import make_study
from tests.tui.probed import info, with_accuracy, with_cka, with_lmc

OLDER = {"lmc": "loss: boxed", "lmc_rollouts": "loss: rollouts", "cka": "pooling: last", "lens": "all prompt tokens"}
NEW = ("lmc_ends", "_null_sd", "lens_depth_last")


@pytest.fixture
def study():
    return with_accuracy(with_cka(with_lmc(with_lmc(make_study(3, layers=4)), suffix="_rollouts")))


def as_before(study):
    """What the version before would have saved."""
    blocks = {key: values for key, values in study.blocks.items() if not any(word in key[0] for word in NEW)}
    probes = tuple(replace(p, detail=OLDER.get(p.probe, p.detail), note="halved") for p in study.probes)
    return replace(study, blocks=blocks, probes=probes)


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_numbers_stay_and_say_what_they_are(study, tmp_path, suffix):
    older = as_before(study)
    path = tmp_path / f"older.{suffix}"
    save(older, path)
    found = load(path)
    assert found.blocks.keys() == older.blocks.keys()
    for metric in ("barrier_mean_low", "lmc_loss_rollouts", "cka", "lens_depth", "accuracy"):
        assert np.array_equal(found.blocks[metric, "global"], older.blocks[metric, "global"], equal_nan=True)
    assert np.array_equal(found.blocks["cka_null", "layer"][0, 1], older.blocks["cka_null", "layer"][0, 1])
    for probe in ("lmc", "lmc_rollouts"):
        assert found.probe(probe).note.startswith("halved; its barrier intervals are of an older version")
    assert "one shuffle of the prompts" in found.probe("cka").note
    assert "tokens that all prompts share are counted" in found.probe("lens").note
    assert found.probe("accuracy").note == "halved"
    text = " ".join(part for part in probe_tables(found) if isinstance(part, str))
    assert "cannot contain 0: measure again" in text
    assert "shuffled once: at most" in text
    save(found, path)
    assert load(path).probes == found.probes, "said once"


def test_studies_of_this_version_say_nothing(study, tmp_path):
    save(study, tmp_path / "new.json")
    assert load(tmp_path / "new.json").probes == study.probes
    save(study, tmp_path / "some.json", ["barrier_mean_low", "cka_null", "lens_depth"])
    assert load(tmp_path / "some.json").probes == study.probes


def test_numbers_of_both_versions_never_stand_side_by_side(study):
    older = as_before(study)
    new = np.full((3, 3, 1), np.nan)
    new[0, 1] = new[1, 0] = 0.25
    found = merged(older, info("lmc", detail=study.probe("lmc").detail), {("barrier_mean_low", "global"): new})
    low = found.block("barrier_mean_low", "global")
    assert low[0, 1, 0] == 0.25
    assert np.isnan(low[0, 2, 0])
