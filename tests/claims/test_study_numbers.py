"""A study that has the published numbers: every claim holds, but those that contradict each other."""

from itertools import combinations

import numpy as np
import pytest

from inspector.claims.bundled import claim_set
from inspector.claims.verdicts import evaluate
from inspector.claims.words import contradictions
from tests.claims.studies import Numbers

BASE = "Qwen/Qwen3-4B-Instruct-2507"
EIGHT = ("sft", "rft", "rift", "dft", "offline-grpo", "dpo", "online-grpo", "online-dapo")
NAMES = (*EIGHT, "sft_s123", "sft_lr5e-7", "sft_lr5e-7_s123", "sft_lr5e-5", "sft_lr5e-5_s123")
CLUSTER, REST = ("sft", "rft", "rift"), ("sft", "rft", "rift", "dft", "offline-grpo")
BY_LAYER = {
    "dft": np.r_[np.full(35, 0.6), 0.5],
    "offline-grpo": np.linspace(0.85, 0.6, 36),
    "dpo": np.r_[np.full(35, 0.06), 0.02],
}
ALPHAS = (0, 0.25, 0.5, 0.75, 1)


def geometry(k=10):
    numbers = Numbers(NAMES, layers=36, k=k)
    for (a, b), value in {("sft", "rft"): 0.977, ("sft", "rift"): 0.967, ("rft", "rift"): 0.969}.items():
        numbers.put("cosine", value, a, b).put("u1", 0.975, a, b).put("v1", 0.995, a, b)
        numbers.put("cosine", np.r_[np.full(33, 0.98), 0.96, 0.955, 0.957], a, b, scope="layer")
    for name, cosine, u1, v1 in (
        ("dft", 0.55, 0.65, 0.94),
        ("offline-grpo", 0.74, 0.79, 0.995),
        ("dpo", 0.06, 0.11, 0.68),
    ):
        for other in CLUSTER:
            numbers.put("cosine", cosine, name, other).put("u1", u1, name, other).put("v1", v1, name, other)
        for other in CLUSTER:
            numbers.put("cosine", BY_LAYER[name], name, other, scope="layer")
    numbers.put("cosine", 0.572, "dft", "sft").put("cosine", 0.536, "dft", "rift")
    for other in ("dft", "offline-grpo", "online-grpo", "online-dapo"):
        numbers.put("cosine", 0.1, "dpo", other)
    smallest, worst = (6.7, 8.2, 18.5, 26.7, 54.6), (36, 40, 76, 85, 90)
    for other, low, high in zip(("rft", "rift", "offline-grpo", "dft", "dpo"), smallest, worst, strict=True):
        numbers.put("principal_angle", np.linspace(low, high, k), "sft", other)
    numbers.put("principal_angle_q25", 89.6, "sft", "dpo").put("principal_angle_q75", 89.8, "sft", "dpo")
    return _sizes(_orthogonal(numbers))


def _orthogonal(numbers):
    for other in ("rft", "rift", "dft", "offline-grpo", "dpo"):
        numbers.put("row_space_overlap", 0.9, "sft", other)
    for name in EIGHT[:6]:
        numbers.put("cosine", 0.02, "online-grpo", name).put("cosine", 0.02, "online-dapo", name)
    numbers.put("cosine", 0.025, "online-grpo", "sft").put("cosine", 0.024, "online-grpo", "rft")
    numbers.put("cosine", -0.16, "online-grpo", "online-dapo")
    for name, per_module in (("offline-grpo", 0.6889), ("online-grpo", 0.998), ("online-dapo", 0.995)):
        numbers.put("orthogonal_fraction_module", per_module, name, "sft")
    for name, cosine in (("offline-grpo", 0.74), ("online-grpo", 0.025), ("online-dapo", 0.02)):
        numbers.put("orthogonal_fraction_global", np.sqrt(1 - cosine**2), name, "sft")
    for metric in ("orthogonal_fraction_global", "orthogonal_fraction_module"):
        late = np.r_[np.full(12, 0.5), np.full(12, 0.55), np.linspace(0.6, 0.78, 7), np.linspace(0.79, 0.86, 5)]
        numbers.put(metric, late, "offline-grpo", "sft", scope="layer")
    return numbers


def _sizes(numbers):
    ranks = dict.fromkeys(REST, 16) | {"offline-grpo": 14.8, "dpo": 24.5}
    for name, rank in ranks.items():
        numbers.put("effective_rank", rank, name).put("effective_rank_energy", rank / 2, name)
        numbers.put("participation_ratio", rank / 3, name).put("stable_rank", rank / 5, name)
    norms = {"sft": 2.84, "rft": 2.82, "rift": 3.04, "dpo": 2.84 / 13, "online-grpo": 0.30, "sft_lr5e-5": 2.84 * 3}
    norms["sft_lr5e-7"] = 2.84 / 3
    for name, norm in norms.items():
        numbers.put("norm", norm, name)
    numbers.put("cosine", 0.07, "sft_lr5e-7", "sft_lr5e-7_s123").put("cosine", 0.36, "sft_lr5e-5", "sft_lr5e-5_s123")
    for rate in ("", "_lr5e-7", "_lr5e-5"):
        numbers.put("u1", 0.99, f"sft{rate}", f"sft{rate}_s123")
    numbers.put("v1", 0.07, "sft_lr5e-7", "sft_lr5e-7_s123")
    numbers.put("cosine", 0.55, "sft", "sft_lr5e-5").put("cosine", 0.55, "sft", "sft_lr5e-7")
    return numbers


def top_8():
    numbers = geometry(8)
    numbers.put("principal_angle", 26, "sft", "sft_s123").put("principal_angle", 76, "sft", "dpo")
    return numbers.study(BASE)


def on_gsm8k():
    numbers = Numbers(NAMES, layers=36, alphas=ALPHAS, prompts="gsm8k")
    for (a, b), path in {
        ("sft", "offline-grpo"): (2.06, 2.6, 3.3, 4.1, 4.93),
        ("offline-grpo", "rift"): (4.93, 4.1, 3.3, 2.7, 2.25),
        ("rift", "dpo"): (2.25, 2.8, 3.82, 7.06, 8.64),
    }.items():
        numbers.put("lmc_loss", path[::-1], a, b)
        ends, chord = (path[0] + path[-1]) / 2, np.linspace(path[0], path[-1], 5)
        numbers.put("barrier_mean", max(path) - ends, a, b).put("barrier_chord", max(path - chord), a, b)
        numbers.put("barrier_strict", max(path) - max(path[0], path[-1]), a, b)
    for metric in ("barrier_mean", "barrier_chord", "barrier_strict"):
        numbers.put(metric, 0.004, "sft", "sft_s123").put(metric, 0.05, "sft", "dft").put(metric, 0.05, "rift", "dft")
    for metric in ("cka", "cka_debiased"):
        numbers.put(metric, 0.995, "sft", "rift", scope="layer")
        for name in ("sft", "rift"):
            numbers.put(metric, np.linspace(0.99, 0.85, 36), name, "offline-grpo", scope="layer")
        for name in ("offline-grpo", "dft"):
            numbers.put(metric, np.r_[np.full(24, 0.93), np.linspace(0.9, 0.45, 12)], name, "dpo", scope="layer")
    for at, name in enumerate((*REST, "dpo")):
        numbers.put("lens_depth", 35.3 + 0.1 * at, name)
        numbers.put("accuracy", 0.935 if name == "dpo" else 0.873 + 0.001 * at, name)
    numbers.put("accuracy_base", 0.935).put("accuracy", 0.935, "online-grpo").put("accuracy", 0.94, "online-dapo")
    for metric in ("mcnemar_p", "mcnemar_p_holm"):
        for a, b in combinations(REST, 2):
            numbers.put(metric, 0.15, a, b)
        for name in REST:
            numbers.put(metric, 1e-10, "dpo", name)
    return numbers.study(BASE)


def on_aime26():
    numbers = Numbers(NAMES, layers=36, prompts="aime26")
    for name, share in zip(REST, (0.033, 0.067, 0.067, 0.1, 0.1), strict=True):
        numbers.put("accuracy", share, name)
    numbers.put("accuracy", 0.3, "dpo").put("accuracy", 0.2, "online-grpo").put("accuracy", 0.15, "online-dapo")
    return numbers.put("mcnemar_p", 0.07, "sft", "dpo").put("mcnemar_p_holm", 0.9, "sft", "dpo").study(BASE)


@pytest.fixture(scope="module")
def outcomes():
    studies = [geometry().study(BASE), top_8(), on_gsm8k(), on_aime26()]
    return {outcome.claim.id: outcome for outcome in evaluate(claim_set("arxiv:2606.23740"), studies)}


def test_every_claim_holds_but_where_the_study_contradicts_itself(outcomes):
    said = {name: outcome.verdict for name, outcome in outcomes.items()}
    assert {name for name, verdict in said.items() if verdict == "does not hold"} == {
        "cos-cluster-abstract",  # at least .97, and .967 in its own table
        "cos-fixed-seed",  # .996, and .977
        "orth-offline-grpo-80",  # 80 %, and 86 %
        "angle-fixed-seed",  # 3.7°, and 6.7°
        "angle-cluster-25",  # below 25°, and 36°, 40°
        "angle-offline-grpo-59",  # 59°, and 76°
        "angle-dpo-range",  # 74° to 89°, and 54.6°, 90°
        "angle-dpo-every",  # orthogonal at every index, and 54.6°
        "norm-cluster",  # up to 7 %, and 3.04 / 2.82
        "acc-aime26-best",  # Online GRPO best with 20.0 %, and DPO with 30.0 %
    }
    assert [name for name, outcome in outcomes.items() if outcome.refuted] == ["acc-aime26-best"]
    assert {name for name, verdict in said.items() if verdict == "cannot be measured here"} == {
        "llama-cluster", "llama-dpo", "llama-cka", "llama-lmc", "llama-accuracy",
    }  # fmt: skip


def test_what_holds_under_one_definition_only(outcomes):
    partly = {name: outcome.text for name, outcome in outcomes.items() if outcome.verdict == "holds only under"}
    only = "holds only under "
    assert partly == {
        "orth-card": only + "orthogonal_fraction_module",
        "erank": only + "effective_rank",
        "erank-offline-grpo": only + "effective_rank",
        "erank-dpo": only + "effective_rank",
        "lmc-barrier-dpo": only + "barrier_mean",
        "lmc-basin-offline-grpo": only + "barrier_chord, barrier_strict",
        "mcnemar-aime26": only + "mcnemar_p",
    }


def test_the_one_basin_pair_has_the_barrier_of_the_first_definition(outcomes):
    found = {one.metric: one.values for one in outcomes["lmc-basin-offline-grpo"].measured}
    assert found["barrier_mean"] == pytest.approx((1.435,))


def test_both_figures_of_a_contradiction_are_shown(outcomes):
    """What fails here does so by another figure of the study, which holds."""
    said = contradictions(list(outcomes.values()))
    assert said[0] == (
        "cos-cluster-abstract (≥ 0.97: does not hold) against cos-cluster (≈ 0.977, 0.967, 0.969 ± 0.02: holds)"
    )
    named = " ".join(said)
    assert all(f"{name} (" in named for name, outcome in outcomes.items() if outcome.verdict == "does not hold")
    assert len(said) == 11
