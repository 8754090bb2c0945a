"""What definitions say of their metrics beside words: a metric whose name begins so, and no other, has the value."""

import pytest

from inspector.study.metrics import DEFINITIONS, shown_in
from inspector.study.metrics.definition import Definition
from inspector.study.metrics.spectra import RANKS as COUNTED

ANGLES = ("principal_angle", "principal_angle_right")
TOP = (*ANGLES, "subspace_overlap", "subspace_overlap_right")
RIGHT = ("v1", "principal_angle_right", "subspace_overlap_right", "row_space_overlap", "input_similarity")
ALIKE = ("u1", "v1", *TOP[2:], "row_space_overlap", "output_similarity", "input_similarity")
ORTHOGONAL = ("orthogonal_fraction_global", "orthogonal_fraction_module")
RANKS = ("effective_rank", "effective_rank_energy", "participation_ratio", "stable_rank", "rank_90")
SPECTRUM = ("singular_value", "singular_value_share", "spectral_gap")
INTRUDERS = ("intruder_dimensions", "intruder_dimensions_subspace")
SHARES = ("base_share_left", "base_share_right")
NORMS = ("norm", "norm_share", "base_norm", "norm_relative")
LENS = ("lens_depth", "lens_depth_base", "lens_depth_last", "lens_depth_last_base")
MERGED = ("merge_weight", "sum_norm", "sum_singular_value", "sum_rank")
QUARTILES = tuple(f"{metric}_{q}" for metric in ANGLES for q in ("q25", "q75"))
STACKED = ("cosine", "norm", "norm_share", "energy_left_out", *ORTHOGONAL, "energy_ratio", "base_norm", "norm_relative")


def chances(*metrics):
    return tuple(f"{metric}_chance" for metric in metrics)


def where(**fields):
    return {
        metric
        for metric, of in DEFINITIONS.items()
        if all(getattr(of, name) == value for name, value in fields.items())
    }


@pytest.mark.parametrize(
    ("fields", "metrics"),
    [
        ({"scale": 90}, (*ANGLES, *chances(*ANGLES), *QUARTILES)),
        ({"scale": 10}, (*INTRUDERS, "intruder_dimensions_epsilon")),
        ({"scale": None}, (
            *NORMS, *SPECTRUM, *RANKS, "effective_rank_share", *chances(*ALIKE), *MERGED, *LENS, "mcnemar_wins",
        )),
        ({"range": (-1, 1)}, ("cosine",)),
        ({"range": (0, 1)}, (
            "energy_left_out", "effective_rank_share", *ALIKE, *ORTHOGONAL, *SHARES, *chances(*SHARES),
        )),
        ({"range": (0, 2)}, ("energy_ratio",)),
        ({"range": (0, 90)}, (*ANGLES, *QUARTILES)),
        ({"range": (0, 10)}, (*INTRUDERS, "intruder_dimensions_epsilon")),
        ({"diagonal": 1}, ("cosine", *ALIKE)),
        ({"diagonal": 0}, (*ANGLES, *QUARTILES, *ORTHOGONAL)),
        ({"diagonal": 2}, ("energy_ratio",)),
        ({"side": "right"}, (*RIGHT, *chances(*RIGHT), *QUARTILES[2:], SHARES[1], *chances(SHARES[1]))),
        ({"one_side": True}, (*ANGLES, *chances(*ANGLES), *QUARTILES)),
        ({"top_k": True}, (*TOP, *chances(*TOP), *QUARTILES)),
        ({"index": "alpha"}, ("lmc_loss", "lmc_loss_rollouts")),
        ({"index": "k"}, (
            *SPECTRUM, *ANGLES, *chances(*ANGLES), *QUARTILES, "sum_singular_value", "sum_energy_kept",
            "intruder_dimensions_k", "intruder_dimensions_epsilon",
        )),
        ({"aggregate": "stacked"}, STACKED),
        ({"aggregate": "median"}, (*ANGLES, *chances(*ANGLES))),
    ],
)  # fmt: skip
def test_which_metrics_have_a_value(fields, metrics):
    assert where(**fields) == set(metrics)


def test_ranks_that_count_directions():
    """Tables show them with one digit; a share is none of them."""
    assert set(COUNTED) == set(RANKS)


def test_numbers_that_only_go_with_another():
    ends = ("_chance", "_q25", "_q75", "_null", "_null_sd", "_low", "_high", "_at", "spectral_gap")
    assert where(beside=True) == {m for m in DEFINITIONS if m.removesuffix("_rollouts").endswith(ends)}


@pytest.mark.parametrize("metric", ["u1", "v1", *TOP, "row_space_overlap", "output_similarity", "input_similarity"])
def test_a_chance_level_is_of_its_metric(metric):
    of, level = DEFINITIONS[metric], DEFINITIONS[f"{metric}_chance"]
    alike = ("unit", "index", "aggregate", "side", "one_side", "top_k", "probe")
    assert [getattr(level, name) for name in alike] == [getattr(of, name) for name in alike]
    assert (level.level_of, level.subject, of.level_of, of.subject) == (metric, "none", "", "pair")
    assert (level.shown, level.chart, level.chance, level.measure) == ((), None, None, None)


@pytest.mark.parametrize(
    ("place", "metrics"),
    [
        ("map", ("cosine", *ALIKE[:4], *ALIKE[5:], *ORTHOGONAL)),
        ("layers", (
            "cosine", "u1", "v1", "principal_angle", *ALIKE[2:4], *ALIKE[5:], *ORTHOGONAL, "energy_ratio", "norm",
            *RANKS, "norm_relative", *INTRUDERS, "effective_rank_share", *SHARES,
        )),
        ("size", (*RANKS, "effective_rank_share")),
        ("base", ("norm_relative", *INTRUDERS, *SHARES)),
        ("cka", ("cka_debiased", "cka", "cka_debiased_base", "cka_base")),
        ("glance", (
            "cosine", "u1", "v1", "subspace_overlap", *ORTHOGONAL, "norm", "effective_rank", "energy_left_out",
            "effective_rank_share",
        )),
    ],
)  # fmt: skip
def test_what_is_shown_where(place, metrics):
    assert shown_in(place) == metrics


@pytest.mark.parametrize("subject", ["pair", "ordered"])
def test_a_pair_metric_says_what_it_is_of_one_and_itself(subject):
    words = ("title", subject, "", "formula", "mean")
    with pytest.raises(ValueError, match="x: which value has an adapter beside itself"):
        Definition("x", *words)
    assert Definition("x", *words, diagonal=0.0).diagonal == 0
    assert Definition("x", *words, probe="cka").diagonal is None
