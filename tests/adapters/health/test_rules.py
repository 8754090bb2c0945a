"""The rules of health, on adapters whose values are made to break them."""

import numpy as np
import pytest
import torch

from inspector.adapters.formats import read_adapter
from inspector.adapters.health.rules import base_note, values
from inspector.analysis.analyse import analyse
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from tests.makers import random_factors, write_adapter

SHAPES = {
    f"model.layers.{layer}.self_attn.{end}": (16, 16) for layer in range(8) for end in ("q_proj", "k_proj", "v_proj")
}


def study_of(folder, change, r=4):
    """The study of a toy of eight layers whose B is `change(B, layer, end)`."""
    factors = {
        path: (change(B, int(path.split(".")[2]), path.rpartition(".")[2]), A)
        for path, (B, A) in random_factors(SHAPES, r=r).items()
    }
    folder = write_adapter(folder, factors)
    return analyse([read_adapter(folder, "a", str(folder))], Settings())


def findings(study):
    return [(f.severity, f.text) for f in study.adapters[0].findings]


def test_a_trained_adapter_has_nothing_to_say(tmp_path):
    study = study_of(tmp_path, lambda B, *_: B)
    assert findings(study) == []
    assert len(values(study, 0).modules) == 24


def test_never_trained_is_an_error(tmp_path):
    study = study_of(tmp_path, lambda B, *_: 0 * B)
    assert findings(study) == [("error", "ΔW is exactly zero in every module: it was never trained")]
    assert len(values(study, 0).dead) == 24


def opened_study(folder):
    return analyse([read_adapter(folder, "a", str(folder))], Settings())


def test_a_scale_of_zero_is_not_an_adapter_that_was_never_trained(tmp_path):
    study = opened_study(write_adapter(tmp_path, random_factors(SHAPES), alpha=0))
    why = "the scale is 0 (α/r = 0/4), whatever the factors hold"
    assert findings(study) == [("error", f"ΔW is exactly zero in every module: {why}")]


def test_a_scale_of_zero_in_some_modules_is_told_apart_from_those_not_trained(tmp_path):
    factors = random_factors(SHAPES)
    for path in factors:
        if path.endswith("k_proj"):
            factors[path] = (0 * factors[path][0], factors[path][1])
    some = opened_study(write_adapter(tmp_path / "some", factors, alpha_pattern={"q_proj": 0}))
    q = "8 of 24 modules (all of q_proj: 0.self_attn.q_proj, 1.self_attn.q_proj, 2.self_attn.q_proj, …)"
    why = "the scale is 0 (alpha_pattern 'q_proj': α/r = 0/4), whatever the factors hold"
    k = q.replace("q_proj", "k_proj")
    assert findings(some) == [
        ("warning", f"ΔW is exactly zero in {q}: {why}"),
        ("warning", f"ΔW is exactly zero in {k}: not trained there"),
    ]
    two = {path: pair for path, pair in factors.items() if not path.endswith("v_proj")}
    every = opened_study(write_adapter(tmp_path / "every", two, alpha_pattern={"q_proj": 0}))
    assert [severity for severity, _ in findings(every)] == ["error", "error"]
    assert not any("never trained" in text for _, text in findings(every))


@pytest.mark.parametrize(
    ("dead", "said"),
    [
        (lambda layer, _end: layer % 4 == 3, "6 of 24 modules (3.self_attn.k_proj"),
        (lambda layer, _end: layer % 3 == 0, "9 of 24 modules (one layer in 3: 0.self_attn.k_proj"),
        (lambda layer, _end: layer >= 5, "9 of 24 modules (all of layers 5-7: 5.self_attn.k_proj"),
        (lambda _layer, end: end == "v_proj", "8 of 24 modules (all of v_proj: 0.self_attn.v_proj"),
        (lambda layer, end: (layer, end) in {(1, "q_proj"), (4, "v_proj")}, "2 of 24 modules (1.self_attn.q_proj, 4."),
    ],
)
def test_partly_trained_is_a_warning_that_says_where(tmp_path, dead, said):
    study = study_of(tmp_path, lambda B, layer, end: B * (not dead(layer, end)))
    ((severity, text),) = findings(study)
    assert severity == "warning"
    assert said in text
    assert {(m.layer, m.projection) for m in values(study, 0).dead} == {
        (layer, end) for layer in range(8) for end in ("q_proj", "k_proj", "v_proj") if dead(layer, end)
    }


def test_nan_is_an_error_that_says_where(tmp_path):
    study = study_of(tmp_path, lambda B, layer, end: B * (torch.nan if (layer, end) == (2, "k_proj") else 1))
    ((severity, text),) = findings(study)
    assert severity == "error"
    assert text.startswith("NaN or Inf in 1 of 24 modules (2.self_attn.k_proj)")
    assert values(study, 0).nonfinite == (ModuleId(2, "self_attn.k_proj"),)


def test_an_outlier_is_far_in_robust_z_and_by_a_factor(tmp_path):
    study = study_of(tmp_path / "far", lambda B, layer, end: B * (50 if (layer, end) == (6, "q_proj") else 1))
    far = values(study, 0).outliers
    assert set(far) == {ModuleId(6, "self_attn.q_proj")}
    norms = [study.block("norm", "module")[0][i] for i, m in enumerate(study.modules) if m.projection == "q_proj"]
    assert far[ModuleId(6, "self_attn.q_proj")] == pytest.approx(norms[6] / np.exp(np.median(np.log(norms))))
    ((severity, text),) = findings(study)
    assert (severity, "1 of 24 modules (6.self_attn.q_proj 46×)" in text) == ("warning", True)
    # Twice the others is further than 3.5 robust z-scores where they hardly differ, and yet nothing.
    assert values(study_of(tmp_path / "near", lambda B, *at: B * (2 if at == (6, "q_proj") else 1)), 0).outliers == {}


def test_one_direction_where_the_rank_allows_four(tmp_path):
    def flat(B, layer, _end):
        return B if layer else B[:, :1].repeat(1, B.shape[1])

    study = study_of(tmp_path, flat)
    assert [severity for severity, _ in findings(study)] == ["info"]
    assert {m.layer for m in values(study, 0).collapsed} == {0}
    assert values(study_of(tmp_path / "r1", lambda B, *_: B, r=1), 0).collapsed == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "not named"),
        ("/content/model", "not here: others cannot find it"),
        ("./models/x", "by a path"),
        ("C:\\models\\x", "by a path"),
        ("outputs/run/final", "by a path"),
        ("/", "which is here"),
        ("unsloth/Qwen3-4B-bnb-4bit", "quantised copy by its name (bnb)"),
        ("TheBloke/Llama-2-7B-GPTQ", "(GPTQ)"),
        ("mlx-community/quantized-gemma-2b-it", "(quantized)"),
        ("mlx-community/Llama-3.2-1B-4bit", "(4bit)"),
    ],
)
def test_what_the_name_of_a_base_tells(name, said):
    assert said in base_note(name)


@pytest.mark.parametrize("name", ["gpt2", "Qwen/Qwen3-4B-Instruct-2507", "google/gemma-2b", "org/model-v1.5", "x/phi4"])
def test_ordinary_names_of_bases_tell_nothing(name):
    assert base_note(name) == ""
