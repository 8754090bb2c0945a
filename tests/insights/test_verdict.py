"""The verdict on two adapters: a table of kinds of pairs, from factors made for them and from fabricated probes."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from inspector.analysis.analyse import analyse
from inspector.insights.verdict import verdict
from inspector.study.export import load
from inspector.study.module_id import ModuleId
from inspector.study.study import ProbeInfo, Settings
from tests.acceptance.command import DEMO
from tests.insights.findings.published import barriers, study, with_layers
from tests.memory import adapter

HERE = (ModuleId(0, "q_proj"), ModuleId(1, "q_proj"))
THERE = (ModuleId(0, "v_proj"), ModuleId(1, "v_proj"))
SHAPE = {"out": 300, "in": 200, "r": 4}


def factors(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    B, A = rng.standard_normal((SHAPE["out"], SHAPE["r"])), rng.standard_normal((SHAPE["r"], SHAPE["in"]))
    return torch.from_numpy(scale * B), torch.from_numpy(A)


def made(name, seed, scale=1.0, modules=HERE):
    return adapter(name, {module: factors(seed + n, scale) for n, module in enumerate(modules)})


def of(one, other):
    return verdict(analyse([one, other], Settings(k=4)), 0, 1)


def other_start(name, seed):
    """The outputs of `seed` from other inputs."""
    return adapter(name, {m: (factors(seed + n)[0], factors(90 + n)[1]) for n, m in enumerate(HERE)})


def steep(name, seed, start):
    """A first direction three times the others, written to the same outputs whatever the start."""
    sizes = torch.diag(torch.tensor([3.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    parts = {}
    for n, module in enumerate(HERE):
        B, A = torch.linalg.qr(factors(seed + n)[0])[0], torch.linalg.qr(factors(start + n)[1].T)[0].T
        parts[module] = (B @ sizes, A)
    return adapter(name, parts)


def test_identical():
    assert of(made("a", 1), made("b", 1)).headline == "Weights only: the same update twice."


def test_one_direction_of_another_size():
    found = of(made("a", 1), made("b", 1, 4.0))
    assert found.headline == "Weights only: one direction (cosine 1.00); b moved 4.0 times as far."


def test_opposite():
    found = of(made("a", 1), made("b", 1, -1.0))
    assert found.headline == (
        "Weights only: opposed (cosine −1.00); opposed modules cancel 100 % of their energy in a sum."
    )


def test_opposed_in_one_module_of_two():
    """+a in module 0, −½a in module 1: 2·½ of 1 + 1 + 1 + ¼ for modules of one norm."""
    B, A = factors(1)
    one = adapter("a", {HERE[0]: (B, A), HERE[1]: (B, A)})
    other = adapter("b", {HERE[0]: (B, A), HERE[1]: (-0.5 * B, A)})
    found = of(one, other)
    assert f"opposed modules cancel {100 * 1 / 3.25:.0f} % of their energy" in found.headline
    assert next(row.value for row in found.evidence if row.what == "opposed") == f"{100 / 3.25:.1f} % of the energy"


def test_random():
    found = of(made("a", 1), made("b", 50))
    assert found.headline.startswith("Weights only: different directions (cosine ")
    assert "outputs" not in found.headline
    assert not found.measured


def test_another_start_that_writes_to_the_same_outputs():
    found = of(steep("a", 1, 30), steep("b", 1, 60))
    assert "yet the same outputs (u₁ 1.00, 0.046 by chance)" in found.headline
    assert "yet overlapping outputs (1.00, 0.013 by chance)" in of(made("a", 2), other_start("b", 2)).headline
    for words in ("collid", "barrier", "loss", "behav"):
        assert words not in found.headline


def test_a_partner_twelve_times_smaller_changes_next_to_nothing():
    found = of(made("large", 1), made("small", 50, 1 / 12))
    assert "small moved 12" in found.headline
    assert "adding it changes next to nothing of large (cosine of the sum to it 1.00)." in found.headline


def test_other_bases_say_nothing_else():
    one, other = made("a", 1), made("b", 1)
    other = replace(other, base="org/other", info=replace(other.info, base="org/other"))
    one = replace(one, base="org/one", info=replace(one.info, base="org/one"))
    found = of(one, other)
    assert not found.comparable
    assert found.evidence == ()
    assert found.headline == (
        "Different bases (org/one and org/other): a sum fits neither, and no cosine between them counts."
    )
    mirror = replace(other, base="mirror/One", info=replace(other.info, base="mirror/One"))
    assert of(one, mirror).headline == "Weights only: the same update twice."


def test_no_common_module():
    found = of(made("a", 1), made("b", 1, modules=THERE))
    assert found.headline == (
        "Weights only: they change different modules, none in common: a sum holds both side by side, unchanged."
    )


def test_modules_of_one_side_are_counted():
    found = of(made("a", 1), made("b", 1, modules=HERE + THERE))
    (row,) = (row for row in found.evidence if row.what == "modules")
    assert (row.value, row.note) == ("2 in both, 2 in one", "counted as zeros")


def test_zero():
    zero, other = made("zero", 1, 0.0), made("b", 2)
    assert of(zero, other).weights == "ΔW of zero is zero: it has no direction, and adding it changes nothing."
    assert of(zero, zero).weights == "both updates are zero: the base is as it was, and so is any sum."


def test_an_unknown_scale_leaves_the_direction():
    one, other = made("a", 1), made("b", 1)
    found = analyse([one, other], Settings(k=4))
    infos = (found.adapters[0], replace(found.adapters[1], scale="unknown"))
    blocks = {k: v.copy() for k, v in found.blocks.items()}
    for scope in ("module", "layer", "global"):
        blocks["norm_share", scope] = blocks["norm", scope] / blocks["norm", "global"]
        blocks["norm", scope][1] = np.nan
    said = verdict(replace(found, adapters=infos, blocks=blocks), 0, 1).headline
    assert "one direction (cosine 1.00). The scale of b is unknown: no size, no sum (--alpha gives it)." in said
    assert "cancel" not in said


def test_a_broken_adapter():
    found = analyse([made("a", 1), made("b", 1)], Settings(k=4))
    broken = replace(found, adapters=(found.adapters[0], replace(found.adapters[1], excluded=found.modules)))
    assert verdict(broken, 0, 1).headline == "b has no usable module: inspector check says why."


def test_half_measured_says_so():
    found = analyse([made("a", 1), made("b", 50)], Settings(k=4))
    found.blocks["norm", "module"][1, 1] = np.nan
    assert verdict(found, 0, 1).headline.startswith("Weights only: so far (1 of 2 modules) different directions")


# What running the base showed


PAIR = ("a", "b")


def probed(path=(), **more):
    """Two seeds: cosine 0.06, u₁ 0.81, one size."""
    numbers = {"cosine": {PAIR: 0.06}, "u1": {PAIR: 0.81}, "norm": {"a": 1.44, "b": 1.46}}
    if path:
        numbers["lmc_loss"] = {PAIR: np.array(path)}
        numbers |= {metric: {PAIR: value} for metric, value in barriers(path).items()}
    return study(PAIR, alphas=tuple(np.linspace(0, 1, len(path))) if path else (), **numbers, **more)


def headline(found):
    return verdict(found, 0, 1).headline


WEIGHTS = " In weights: different directions (cosine 0.06) yet the same outputs (u₁ 0.81)."


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ((1.46, 1.468, 1.47), "No barrier (loss 1.47 and 1.46, 1.47 averaged)."),
        ((1.50, 1.56, 1.79), "No barrier, only unequal ends (loss 1.79 and 1.50, 1.56 averaged)."),
        (
            (1.77, 1.58, 1.79),
            "No barrier, and averaged a lower loss than either (loss 1.79 and 1.77, 1.58 averaged).",
        ),
        ((2.0, 4.0, 2.1), "A barrier parts them (loss 2.10 and 2.00, 4.00 averaged, up to 1.90 above both)."),
        (
            (1.0, 4.5, 5.0),
            "No barrier above both, but a bulge (loss 5.00 and 1.00, 4.50 averaged, up to 1.50 above a straight line).",
        ),
        ((2.0, 2.0, 3.5, 2.0), "A barrier parts them (loss 2.00 and 2.00, up to 1.50 above both)."),
    ],
)
def test_a_measured_loss_comes_first_and_overrules(path, said):
    found = verdict(probed(path), 0, 1)
    assert found.measured
    assert found.headline == said + WEIGHTS
    assert found.evidence[0].metric == "lmc_loss"


def test_a_barrier_whose_interval_reaches_zero_is_perhaps_one():
    low, high = {"barrier_strict_low": {PAIR: -0.1}}, {"barrier_strict_high": {PAIR: 2.5}}
    assert headline(probed((2.0, 4.0, 2.1), **low, **high)).startswith(
        "Perhaps a barrier (loss 2.10 and 2.00, 4.00 averaged, up to 1.90 (95 % interval −0.10 to 2.50) above both)."
    )


def test_accuracy_comes_before_all():
    both = {"accuracy": {"a": 0.935, "b": 0.876}}
    differ = verdict(probed((1.46, 1.468, 1.47), mcnemar_p_holm={PAIR: 1e-9}, **both), 0, 1)
    assert differ.behaviour == (
        "Accuracy differs: a solves more than b (93.5 against 87.6 %, McNemar p = 1e-09 after Holm); "
        "no barrier (loss 1.47 and 1.46, 1.47 averaged)."
    )
    assert [row.metric for row in differ.evidence[:3]] == ["accuracy", "lmc_loss", "cosine"]
    same = headline(probed(mcnemar_p_holm={PAIR: 0.6}, **both))
    assert same.startswith("Accuracy does not tell them apart (93.5 and 87.6 %, McNemar p = 0.6 after Holm).")
    assert headline(probed(**both)).startswith(
        "Accuracy does not tell them apart (93.5 and 87.6 %, no common problems)."
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full(36, 0.998), "Hidden states alike in every layer (debiased CKA at least 0.99)."),
        (np.linspace(1, 0.82, 36), "Hidden states differ somewhat (debiased CKA 0.82 in layer 35)."),
        (np.repeat([0.93, 0.45], 18), "Hidden states part from layer 18 on (debiased CKA 0.45 in layer 18)."),
    ],
)
def test_hidden_states(values, said):
    assert headline(with_layers(probed(), "cka_debiased", {PAIR: values})) == said + WEIGHTS


@pytest.mark.parametrize(("least", "shown"), [(0.998, "CKA ≥ 0.99"), (0.798, "CKA 0.80")])
def test_a_least_cka_that_is_not_alike_reads_as_in_the_sentence(least, shown):
    found = verdict(with_layers(probed(), "cka_debiased", {PAIR: np.linspace(1, least, 36)}), 0, 1)
    assert next(row.value for row in found.evidence if row.metric == "cka_debiased") == shown
    assert shown.split()[-1] in found.headline


def test_too_few_prompts_say_nothing():
    found = replace(probed((2.0, 4.0, 2.1)), probes=(ProbeInfo("lmc", "base", examples=4),))
    assert headline(found).startswith("Weights only (4 prompts are too few to say more): different directions")


def test_a_pair_without_common_modules_still_has_its_measured_loss():
    found = probed((2.0, 4.0, 2.1))
    found.shapes[0, :18], found.shapes[1, 18:] = 0, 0
    assert headline(found).startswith("A barrier parts them")
    assert headline(found).endswith(
        "In weights: they change different modules, none in common: a sum holds both side by side, unchanged."
    )


def test_the_verdicts_of_the_demo_agree_with_what_was_measured():
    """What running the base showed comes first in each; no word of a barrier without a measured one."""
    demo = load(DEMO / "study.parquet")
    for i, j in combinations(range(len(demo.names)), 2):
        found = verdict(demo, i, j)
        path = demo.blocks["lmc_loss", "global"][i, j, 0]
        rise = np.nanmax(path) - max(path[0], path[-1])
        assert found.measured
        assert found.headline.index("oss ") < found.headline.index("In weights")
        assert ("a barrier parts them" in found.headline) == (rise > 0.01 * max(path[0], path[-1])), found.headline
        least = np.nanmin(demo.blocks["cka_debiased", "layer"][i, j])
        assert ("hidden states alike in every layer" in found.headline) == (least >= 0.95), found.headline
        assert ("hidden states part from" in found.headline) == (least < 0.7), found.headline
        p = demo.blocks["mcnemar_p_holm", "global"][i, j, 0]
        assert ("ccuracy does not tell them apart" in found.headline) == (p >= 0.05), found.headline
    seeds = verdict(demo, demo.index("sft"), demo.index("sft_s123"))
    assert "no barrier" in seeds.behaviour
    assert "hidden states alike in every layer" in seeds.behaviour
    assert "different directions (cosine 0.06) yet the same outputs (u₁ 0.81" in seeds.weights
    small = verdict(demo, demo.index("sft"), demo.index("dpo"))
    assert "dpo moved 14.6 times less far: adding it changes next to nothing of sft" in small.weights
