"""Every metric at every scope against dense vectors, whatever an adapter lacks; n/a by one table."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.analysis.analyse import analyse
from inspector.study.aggregate import aggregate
from inspector.study.metrics import DEFINITIONS
from inspector.study.module_id import ModuleId
from inspector.study.study import SCOPES, Settings
from tests.geometry.scopes import ADAPTER, ANGLES, MEANS, SPREADS, STACKED, expected, places_of
from tests.memory import adapter

SHAPES = {"self_attn.q_proj": (24, 16), "self_attn.v_proj": (8, 16), "mlp.down_proj": (9, 7)}
HEAD = ModuleId(None, "lm_head")
MODULES = {ModuleId(layer, path): shape for layer in range(3) for path, shape in SHAPES.items()} | {HEAD: (11, 16)}
LAYER = [module for module in MODULES if module.layer == 1]
PAIR = (*STACKED, *MEANS, *ANGLES, *SPREADS)


def made(seed, name, scale, start=0.0):
    """Sizes, ranks and spectra that differ from module to module; `start` of the parts that all seeds share."""
    rng, common = np.random.default_rng(seed), np.random.default_rng(99)
    factors = {}
    for module, (d_out, d_in) in MODULES.items():
        r = int(rng.integers(1, 6))
        fall = np.geomspace(1, 0.3, r) * rng.uniform(0.2, 3)
        B, A = rng.standard_normal((d_out, r)), rng.standard_normal((r, d_in))
        B0, A0 = common.standard_normal((d_out, 5))[:, :r], common.standard_normal((5, d_in))[:r]
        factors[module] = (torch.from_numpy((B + start * B0) * fall), torch.from_numpy(A + start * A0))
    return adapter(name, factors, scale)


def changed(one, modules, change):
    """The adapter with `change(B, A)` instead of its factors at these modules, or without these for None."""
    factors = {m: change(*one.load(m)) if m in modules else one.load(m) for m in one.modules}
    scale = one.modules[HEAD].scale.value
    return adapter(one.info.name, {m: pair for m, pair in factors.items() if pair is not None}, scale)


def without(one, gone):
    return changed(one, gone, lambda _B, _A: None)


def zero(B, A):
    return 0 * B, A


def broken(B, A):
    B = B.clone()
    B[-1, 0] = torch.nan
    return B, A


def other_shape(B, A):
    return torch.cat([B, B[:1]]), A


CASES = {
    "ordinary": lambda one: one,
    "zero update": lambda one: changed(one, MODULES, zero),
    "zero in one layer": lambda one: changed(one, LAYER, zero),
    "untouched layer": lambda one: without(one, LAYER),
    "untouched module": lambda one: without(one, LAYER[:1]),
    "outside of the layers only": lambda one: without(one, [m for m in MODULES if m != HEAD]),
    "broken layer": lambda one: changed(one, LAYER, broken),
    "broken module": lambda one: changed(one, LAYER[1:2], broken),
    "broken module alone in its layer": lambda one: changed(without(one, LAYER[1:]), LAYER[:1], broken),
    "another shape in one layer": lambda one: changed(one, LAYER, other_shape),
    "no module": lambda one: without(one, MODULES),
}


def study_of(case, side, modules="union"):
    """Three adapters, the first or the second of which is a case, and their study."""
    adapters = [made(1, "a", 2, start=1), made(2, "b", -0.3, start=1), made(3, "c", 1e-4, start=0.5)]
    adapters[side] = CASES[case](adapters[side])
    return adapters, analyse(adapters, Settings(k=3, sides=("left", "right"), modules=modules))


@pytest.mark.parametrize(
    ("case", "side", "modules"),
    [(case, side, "union") for case in CASES for side in (0, 1)]
    + [(case, 1, "common") for case in CASES if case not in {"ordinary", "zero update", "no module"}],
)
def test_every_metric_at_every_scope_is_that_of_dense_vectors(case, side, modules):
    adapters, study = study_of(case, side, modules)
    known = expected(study, adapters)
    assert len(known) == 3 * (len(ADAPTER) + len(PAIR)) - len(SPREADS)
    for (metric, scope), values in known.items():
        tolerance = 1e-6 if DEFINITIONS[metric].unit == "°" else 1e-9
        np.testing.assert_allclose(
            study.block(metric, scope), values, rtol=1e-9, atol=tolerance, err_msg=f"{metric} {scope}"
        )


def test_of_chosen_projections_alone():
    adapters, study = study_of("untouched module", 1)
    for chosen in ({"q_proj", "lm_head"}, {"down_proj"}):
        known, found = expected(study, adapters, chosen), aggregate(study, frozenset(chosen))
        for metric, scope in known:
            np.testing.assert_allclose(
                found.block(metric, scope), known[metric, scope], rtol=1e-9, atol=1e-6, err_msg=f"{metric} {scope}"
            )


WHERE = ("global", 0), ("layer", 0), ("layer", 1), ("module", 4)
TABLE = {
    "ordinary": "vvvv",
    "zero update": "----",
    "zero in one layer": "vv--",
    "untouched layer": "vv--",
    "untouched module": "vvv-",
    "outside of the layers only": "v---",
    "broken layer": "vv--",
    "broken module": "vvvv",
    "broken module alone in its layer": "vv--",
    "another shape in one layer": "vv--",
    "no module": "----",
}
"""Whether the pair has a value (v) or none (-) of the whole, of layer 0, of layer 1 and of one of its modules."""
PAIRS = (*STACKED, *MEANS, *ANGLES, *SPREADS)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_where_a_pair_has_a_value_and_where_none(case, side):
    _, study = study_of(case, side)
    assert study.modules[4] == LAYER[0]
    assert len(PAIRS) == 17
    for (scope, at), cell in zip(WHERE, TABLE[case], strict=True):
        for metric in PAIRS:
            if (block := study.block(metric, scope)) is None:
                assert (metric in SPREADS, scope) == (True, "module")
                continue
            for i, j in ((0, 1), (1, 0)):
                assert np.isnan(np.ravel(block[i, j, at])[0]) == (cell == "-"), (metric, scope, at)
            beside = np.isfinite(block[0, 2, at]).any()
            assert beside == (side == 1 or cell != "-"), "another pair has what it had"


@pytest.mark.parametrize("case", CASES)
def test_norms_relative_to_the_base_count_modules_that_both_know(case):
    """No base norm at one module of layer 0, nor anywhere in layer 2."""
    adapters, study = study_of(case, 1)
    unknown = [m for m, module in enumerate(study.modules) if m == 0 or module.layer == 2]
    base = np.arange(3.0, 3 + len(study.modules)) ** 2
    base[unknown] = np.nan
    found = aggregate(replace(study, blocks={**study.blocks, ("base_norm", "module"): base}))
    norms = np.nan_to_num(study.block("norm", "module"))
    for scope in SCOPES:
        for at, place in enumerate(places_of(study, scope)):
            here = [m for m in place if m not in unknown]
            size = np.sqrt(np.sum(base[here] ** 2)) if here else np.nan
            assert found.block("base_norm", scope)[at] == pytest.approx(size, nan_ok=True)
            for i, one in enumerate(adapters):
                own = [m for m in here if study.modules[m] in one.modules]
                known = np.sum(base[own] ** 2)
                share = np.sqrt(np.sum(norms[i, own] ** 2) / known) if own else np.nan
                assert found.block("norm_relative", scope)[i, at] == pytest.approx(share, nan_ok=True), (scope, at, i)


CHANCE = (*MEANS, *ANGLES)


@pytest.mark.parametrize("case", ["ordinary", "untouched layer", "outside of the layers only"])
def test_chance_is_of_modules_that_a_pair_shares(case):
    """Of `a` and the case; all modules count if they share none."""
    adapters, _ = study_of(case, 1)
    foreign = adapter("d", {ModuleId(2, "attn.c_attn"): (torch.ones(40, 1), torch.ones(1, 30))})
    study = analyse([*adapters[:2], foreign], Settings(k=3, sides=("left", "right")))
    shared = study.present.sum(0) > 1
    for metric in CHANCE:
        levels = study.block(f"{metric}_chance", "module")
        for scope in SCOPES[:2]:
            for at, place in enumerate(places_of(study, scope)):
                those = levels[[m for m in place if shared[m]]]
                over = np.median if metric in ANGLES else np.mean
                columns = those.reshape(len(those), levels[0].size).T
                level = [over(known) if len(known := c[~np.isnan(c)]) else np.nan for c in columns]
                found = np.ravel(study.block(f"{metric}_chance", scope)[at])
                np.testing.assert_allclose(found, level, err_msg=f"{metric} {scope} {at}")


@pytest.mark.parametrize("absent", [0, 3])
def test_energy_left_out_is_summed_before_it_is_divided(absent):
    """Over the modules that an adapter has."""
    one, other = made(1, "a", 2), made(2, "b", 1)
    share = {module: 0.9 * n / len(MODULES) for n, module in enumerate(one.modules)}
    one = replace(one, modules=dict(list(one.modules.items())[absent:]))
    study = analyse([other, replace(one, left_out=share.__getitem__)], Settings(k=3))
    kept = {
        module: float(size) ** 2 for module, size in zip(study.modules, study.block("norm", "module")[1], strict=True)
    }
    for scope in SCOPES:
        for at, place in enumerate(places_of(study, scope)):
            whole = {m: kept[m] / (1 - share[m]) for m in (study.modules[n] for n in place) if m in one.modules}
            lost = sum(whole[m] * share[m] for m in whole) / sum(whole.values()) if whole else np.nan
            assert study.block("energy_left_out", scope)[:, at] == pytest.approx([0, lost], nan_ok=True)
    assert analyse([other, one], Settings(k=3)).block("energy_left_out", "global") is None


@pytest.mark.parametrize("seed", range(6))
def test_nothing_of_a_multiple_is_outside_of_it(seed):
    """Rounding may make a residual negative: it is 0, not n/a."""
    one = made(seed, "a", 3)
    study = analyse([one, made(seed, "b", -0.7), one], Settings(k=3))
    for scope in SCOPES:
        assert study.block("cosine", scope)[0, 1] == pytest.approx(-1)
        assert np.abs(study.block("cosine", scope)).max() == 1, "to the last bit"
        for metric in ("orthogonal_fraction_global", "orthogonal_fraction_module"):
            for i, j in ((0, 1), (1, 0), (0, 2)):
                assert np.abs(study.block(metric, scope)[i, j]).max() < 1e-6
