"""An adapter of unknown scale: what depends on the scale is n/a everywhere, and all else is as if it were known."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.formats import read_adapter
from inspector.adapters.health.rules import values
from inspector.analysis.analyse import analyse
from inspector.common.errors import InspectorError
from inspector.insights.pairwise import pair_interference
from inspector.merging.preview import refused
from inspector.study.aggregate import aggregate
from inspector.study.export import load, save
from inspector.study.study import Settings
from inspector.study.table import rows
from inspector.tui.views.merge.state import Mixture
from inspector.workflows.convert import convert
from inspector.workflows.merge_preview import merge_preview
from tests.makers import TINY, lora_tensors, random_factors, write_adapter

LEFT_OUT = "model.layers.1.self_attn.v_proj"
FACTORS = {path: pair for path, pair in random_factors(seed=0).items() if path != LEFT_OUT}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One update under unknown scale, under s = 1 and under s = 5; two others that are known."""
    root = tmp_path_factory.mktemp("unscaled")
    save_file(lora_tensors(FACTORS, ""), root / "unknown.safetensors")
    for s in (1, 5):
        write_adapter(root / f"times_{s}", FACTORS, alpha=4 * s)
    for seed in (1, 2):
        write_adapter(root / f"other_{seed}", random_factors(seed=seed), alpha=8)
    uneven = random_factors({path: shape for path, shape in TINY.items() if "q_proj" in path}, r=2, seed=0)
    save_file(lora_tensors(FACTORS | uneven, ""), root / "uneven.safetensors")
    return root


def opened(root, *names):
    return [read_adapter(root / name, name.removesuffix(".safetensors"), str(root / name)) for name in names]


def measured(root, *names):
    return analyse(opened(root, *names, "other_1", "other_2"), Settings(k=3, sides=("left", "right")))


@pytest.fixture(scope="module")
def study(root):
    return measured(root, "unknown.safetensors")


def test_every_number_is_that_of_any_scale_or_none(root, study):
    """Of all blocks: what two scales change is n/a in the study, what they do not change is in it."""
    one, five = measured(root, "times_1"), measured(root, "times_5")
    assert study.blocks.keys() - one.blocks.keys() == {
        ("norm_share", "module"), ("norm_share", "layer"), ("norm_share", "global"), ("singular_value_share", "module")
    }  # fmt: skip
    changed = set()
    for key, block in one.blocks.items():
        same = np.isclose(block, five.blocks[key], rtol=1e-9, atol=1e-9, equal_nan=True)
        expected = np.where(same, block, np.nan)
        np.testing.assert_allclose(study.blocks[key], expected, rtol=1e-9, atol=1e-7, err_msg=str(key))
        changed |= set() if same.all() else {key[0]}
    assert changed == {"norm", "singular_value", "spectral_gap", "energy_ratio"}
    share = one.blocks["singular_value", "module"] / one.blocks["norm", "module"][..., None]
    np.testing.assert_allclose(study.blocks["singular_value_share", "module"], share, rtol=1e-9, atol=1e-12)


def test_the_cosine_of_the_whole_is_the_dense_one(study):
    def dense(factors):
        return torch.cat([(B.double() @ A.double()).flatten() for B, A in factors])

    others = random_factors(seed=1)
    zeros = {LEFT_OUT: (torch.zeros(8, 4), torch.zeros(4, 16))}
    a, b = (dense([{**FACTORS, **zeros}[path] for path in others]), dense(others.values()))
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=0)
    assert abs(float(study.blocks["cosine", "global"][0, 1, 0]) - float(cosine)) < 1e-12


def test_what_is_derived_from_the_study(root, study):
    one = measured(root, "times_1")
    assert pair_interference(study, 0, 1).cosine == pytest.approx(pair_interference(one, 0, 1).cosine)
    mine, theirs = values(study, 0), values(one, 0)
    assert (mine.dead, mine.outliers, mine.collapsed) == (theirs.dead, theirs.outliers, theirs.collapsed)
    filtered, other = (aggregate(s, frozenset({"q_proj"})) for s in (study, one))
    assert filtered.blocks["cosine", "global"] == pytest.approx(other.blocks["cosine", "global"])


def test_a_saved_study_says_as_much(study, tmp_path):
    for suffix in "json", "parquet":
        save(study, tmp_path / f"study.{suffix}")
        again = load(tmp_path / f"study.{suffix}")
        assert not again.adapters[0].scaled
        assert list(rows(aggregate(again))) == pytest.approx(list(rows(study)), nan_ok=True)
    absolute = [row for row in rows(study) if row.a == "unknown" and row.metric in {"norm", "energy_ratio"}]
    assert absolute
    assert {row.value for row in absolute} == {None}


def test_modules_of_other_ranks_have_factors_of_their_own(root):
    study = measured(root, "uneven.safetensors")
    one = study.blocks["cosine", "module"][0, 1]
    assert np.isfinite(one[study.present[0]]).all()
    for scope, metric in itertools.product(("layer", "global"), ("cosine", "norm", "orthogonal_fraction_module")):
        block = study.blocks[metric, scope]
        assert np.isnan(block[0, 1] if block.ndim == 3 else block[0]).all()
    assert np.isfinite(study.blocks["cosine", "global"][1, 2]).all()
    assert np.isnan(pair_interference(study, 0, 1).cosine)
    assert not study.weighed[0]


def test_a_sum_is_refused_and_shown_without_it(root, study, tmp_path):
    unknown, other = str(root / "unknown.safetensors"), str(root / "other_1")
    with pytest.raises(InspectorError, match=r"unknown cannot be added: .*--alpha"):
        merge_preview([unknown, other], rank=None, dest=tmp_path / "x", out=None, device="cpu")
    assert {reason for _, reason in refused(study, (1.0, 1.0, 0.0))} == {"of unknown scale in unknown"}
    preview = Mixture().preview(study, (0, 1, 2))
    assert preview.weights == (0.0, 1.0, 1.0)


def test_converting_asks_for_alpha(root, tmp_path):
    with pytest.raises(InspectorError, match=r"cannot be converted: the scale of ΔW is unknown .*--alpha"):
        convert(str(root / "unknown.safetensors"), tmp_path / "x")
    assert not (tmp_path / "x").exists()
