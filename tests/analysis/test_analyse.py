"""Adapters in, numbers out: against the stacked dense vectors, over every scope."""

import re

import numpy as np
import pytest
import torch

from inspector.analysis.analyse import analyse, chosen_modules, device_named
from inspector.common.errors import CancelledError, InspectorError
from inspector.study.aggregate import aggregate
from inspector.study.study import Settings
from tests.memory import adapter, random_adapter

SETTINGS = Settings(k=3, sides=("left", "right"))


def dense(a, modules):
    """The stacked ΔW over `modules`, zeros where the adapter has none."""
    parts = []
    for module, (d_out, d_in) in modules.items():
        if module in a.modules:
            B, A = a.load(module)
            parts.append(a.modules[module].scale.value * (B.double() @ A.double()).numpy().ravel())
        else:
            parts.append(np.zeros(d_out * d_in))
    return np.concatenate(parts)


def shapes_of(adapters, keep=lambda _m: True):
    return {m: (s.d_out, s.d_in) for a in adapters for m, s in a.modules.items() if keep(m)}


def cos(x, y):
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)


@pytest.fixture
def two():
    return [random_adapter("a", 1), random_adapter("b", 2)]


def test_cosine_is_that_of_the_stacked_vector(two):
    study = analyse(two, SETTINGS)
    for scope, places in (("global", [lambda _m: True]), ("layer", [lambda m, n=n: m.layer == n for n in range(3)])):
        for place, keep in enumerate(places):
            expected = cos(*(dense(a, shapes_of(two, keep)) for a in two))
            assert study.block("cosine", scope)[0, 1, place] == pytest.approx(expected, abs=1e-12)
    mean = study.block("cosine", "module")[0, 1].mean()
    assert abs(study.block("cosine", "global")[0, 1, 0] - mean) > 1e-4


def test_a_module_of_one_side_only_is_zeros_in_the_union_and_absent_in_common(two):
    a, b = two
    b = adapter("b", {m: b.load(m) for m in list(b.modules)[:-2]})
    everywhere, shared = shapes_of([a, b]), shapes_of([b])
    union, common = (analyse([a, b], Settings(k=3, modules=mode)) for mode in ("union", "common"))
    assert union.one_sided(0, 1) == 2
    assert union.block("cosine", "global")[0, 1, 0] == pytest.approx(cos(dense(a, everywhere), dense(b, everywhere)))
    assert common.block("cosine", "global")[0, 1, 0] == pytest.approx(cos(dense(a, shared), dense(b, shared)))
    assert np.isnan(union.block("cosine", "module")[0, 1, -1])


def test_chance_is_of_the_pairs_that_have_a_module_in_one_shape():
    """Neither a zero update, nor one of another shape, nor who lacks the module counts; alone, a rank of 1 does."""
    q, v = {"self_attn.q_proj": (24, 16)}, {"self_attn.v_proj": (8, 16)}
    two, four = (random_adapter(f"{r}", r, layers=1, shapes=q, r=r) for r in (2, 4))
    zero = adapter("zero", {m: (0 * B, A) for m, (B, A) in ((m, two.load(m)) for m in two.modules)})
    wide = random_adapter("wide", 5, layers=1, shapes={"self_attn.q_proj": (48, 32)}, r=1)
    long = random_adapter("long", 7, layers=1, shapes={"self_attn.q_proj": (24, 32)}, r=1)
    study = analyse([zero, two, wide, long, four, random_adapter("v", 6, layers=1, shapes=v)], SETTINGS)
    level = study.block("subspace_overlap_chance", "module")
    assert study.modules[0].projection == "q_proj"
    assert level[0] == pytest.approx(3 / 24), "k of the wider one"
    assert level[1] == pytest.approx(3 / 8)
    lone = analyse([random_adapter("one", 1, layers=1, shapes=q, r=1)], SETTINGS)
    assert lone.block("subspace_overlap_chance", "module")[0] == pytest.approx(1 / 24)


def test_a_long_analysis_need_not_be_watched(two, monkeypatch):
    monkeypatch.setattr("inspector.analysis.analyse._SNAPSHOT_EVERY", 0.0)
    assert np.isfinite(analyse(two, SETTINGS).block("cosine", "global")).all()


def test_a_zero_update_is_a_finding(two):
    a, b = two
    zero = adapter("zero", {m: (0 * B, A) for m, (B, A) in ((m, b.load(m)) for m in b.modules)})
    study = analyse([a, zero], SETTINGS)
    assert not any("zero" in finding.text for finding in study.adapters[0].findings)
    assert any("zero" in finding.text for finding in study.adapters[1].findings)


def test_projection_filter_recomputes_the_sums(two):
    study = aggregate(analyse(two, SETTINGS), frozenset({"v_proj"}))
    only = shapes_of(two, lambda m: m.projection == "v_proj")
    assert study.block("cosine", "global")[0, 1, 0] == pytest.approx(cos(*(dense(a, only) for a in two)))
    by_pattern = analyse(two, Settings(k=3, filter="v_proj"))
    assert by_pattern.modules == tuple(only)
    assert by_pattern.block("cosine", "global")[0, 1, 0] == study.block("cosine", "global")[0, 1, 0]


def test_patterns_match_whole_path_components(two):
    assert len(chosen_modules(two, "q_proj")) == 3
    assert len(chosen_modules(two, "1.self_attn.q_proj, self_attn.v_proj")) == 4
    assert chosen_modules(two, "proj") == ()
    assert len(chosen_modules(two, "")) == len(chosen_modules(two, " , ")) == 6


@pytest.mark.parametrize(
    ("name", "there", "why"),
    [
        ("cuda", False, " (torch sees no CUDA GPU)"),
        ("cuda:0", False, " (torch sees no CUDA GPU)"),
        ("cuda:7", True, ""),
        ("cup", False, ""),
        ("cup", True, ""),
    ],
)
def test_a_device_that_is_not_there(monkeypatch, name, there, why):
    def refuses(*_size, device, **_options):
        raise RuntimeError(device)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert device_named("auto") == ("cuda" if there else "cpu")
    assert device_named("cpu") == "cpu"
    monkeypatch.setattr(torch, "empty", refuses)
    with pytest.raises(InspectorError, match=f"^No device '{name}' here for float64 work{re.escape(why)}: use"):
        device_named(name)


def test_cancel_and_partial(two):
    seen = []
    with pytest.raises(CancelledError):
        analyse(two, SETTINGS, progress=lambda d, t: seen.append((d, t)), cancelled=lambda: len(seen) == 1)
    assert seen == [(3, 6)], "modules of one shape are measured together"


def test_subset_and_rename_keep_the_numbers():
    three = [random_adapter(name, seed) for seed, name in enumerate("abc")]
    study = analyse(three, SETTINGS)
    swapped = study.subset((2, 0)).renamed("c", "new")
    assert swapped.names == ("new", "a")
    assert swapped.block("cosine", "global")[0, 1, 0] == study.block("cosine", "global")[2, 0, 0]
    assert swapped.block("singular_value", "module")[0].tolist() == study.block("singular_value", "module")[2].tolist()


def test_chance_is_of_the_modules_that_a_pair_has_in_common():
    """An adapter of another base, with other shapes, changes nothing for the pair beside it."""
    pair = [random_adapter("a", 1), random_adapter("b", 2)]
    foreign = random_adapter("c", 3, shapes={"attn.c_attn": (2304, 768)})
    alone, beside = analyse(pair, SETTINGS), analyse([*pair, foreign], SETTINGS)
    for metric in ("u1_chance", "subspace_overlap_chance", "principal_angle_chance"):
        for scope in ("global", "layer"):
            np.testing.assert_array_equal(alone.block(metric, scope), beside.block(metric, scope))
