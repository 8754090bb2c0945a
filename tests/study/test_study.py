"""A study by itself: its defaults, where modules may be summed, and its parts."""

from dataclasses import replace

import numpy as np
import pytest

from inspector.study.adapter_info import ACTIVATED, AdapterInfo, HealthIssue
from inspector.study.aggregate import fill_diagonals
from inspector.study.module_id import ModuleId
from inspector.study.study import ProbeInfo, Settings, Study

N = np.nan
Q, V, HEAD = ModuleId(3, "attn.q_proj"), ModuleId(1, "attn.v_proj"), ModuleId(None, "lm_head")
MODULES = (Q, V, HEAD)


def info(name="a", **more):
    return AdapterInfo(name, f"/x/{name}", "PEFT LoRA", **more)


def made(shapes, *, blocks=None, **more):
    """Adapters a, b, … of these shapes at the three modules; 0: none."""
    infos = tuple(info(name) for name in "abcd"[: len(shapes)])
    return Study(infos, MODULES, np.array(shapes), blocks=blocks or {}, **more)


SQUARE, NONE = (8, 8), (0, 0)


def test_defaults():
    assert Settings() == Settings(10, ("left",), "union", "", "auto", "", ())
    assert info() == AdapterInfo("a", "/x/a", "PEFT LoRA", "", (), "", "", (), "", 0, 0, 0, 0, 0, (), (), (), "")
    assert info().origin.told_by == ""
    assert ProbeInfo("cka", "base") == ProbeInfo("cka", "base", "", "", "", "", "", 0, "", "", "")


@pytest.mark.parametrize(("ranks", "shown"), [((), "-"), ((8,), "8"), ((8, 4, 16), "4-16"), ((8, 8), "8")])
def test_ranks_in_words(ranks, shown):
    assert info(ranks=ranks).rank == shown


@pytest.mark.parametrize(
    ("severities", "health"),
    [((), "ok"), (("info",), "ok"), (("info", "warning"), "warning"), (("warning", "error", "info"), "error")],
)
def test_the_worst_finding_is_the_health(severities, health):
    assert info(findings=tuple(HealthIssue(severity, "x") for severity in severities)).health == health


def test_known_scales_and_adapters_of_every_token():
    assert [info(scale=scale).scaled for scale in ("2 (α/r)", "", "unknown (no α)", "unknown")] == [
        True,
        True,
        False,
        False,
    ]
    assert [replace(info(), format=of).everywhere for of in (ACTIVATED, "PEFT LoRA")] == [False, True]


@pytest.mark.parametrize(
    ("other", "alike"),
    [({"note": "x"}, True), ({"version": "2"}, True), ({"base": "c"}, False), ({"base_digest": "d"}, False),
     ({"device": "cuda"}, False), ({"dtype": "F16"}, False), ({"prompts_digest": "p"}, False),
     ({"examples": 3}, False)],
)  # fmt: skip
def test_which_numbers_may_stand_side_by_side(other, alike):
    one = ProbeInfo("cka", "b", examples=4)
    assert one.comparable(replace(one, **other)) == alike


def test_layers_are_those_of_modules_and_of_the_base():
    found = made([[SQUARE] * 3])
    assert (found.layers, replace(found, depth=3).layers, found.projections) == (
        (1, 3),
        (0, 1, 2, 3),
        ("q_proj", "v_proj", "lm_head"),
    )
    assert found.places("module") == MODULES
    assert found.places("layer") == (ModuleId(1, ""), ModuleId(3, ""))
    assert found.places("global") == (ModuleId(None, ""),)
    assert repr(found) == "Study of a: 3 modules; nothing measured"


def test_where_a_pair_may_be_summed():
    """Not where the shapes differ, nor where either is excluded; what one of the two lacks counts as zeros."""
    found = made([[SQUARE, SQUARE, (50, 8)], [SQUARE, (8, 4), NONE], [NONE, (4, 8), (50, 8)]])
    assert found.present.tolist() == [[True, True, True], [True, True, False], [False, True, True]]
    assert found.usable[0, 1].tolist() == [True, False, True]
    assert found.usable[1, 2].tolist() == found.usable[2, 1].tolist() == [True, False, True]
    assert found.usable[0, 0].all()
    assert [found.one_sided(*pair) for pair in ((0, 1), (1, 2), (0, 2), (0, 0))] == [1, 2, 1, 0]
    out = replace(
        found,
        adapters=(found.adapters[0], replace(found.adapters[1], excluded=(HEAD, ModuleId(9, "x"))), found.adapters[2]),
    )
    assert out.excluded.tolist() == [[False] * 3, [False, False, True], [False] * 3]
    assert out.usable[0, 1].tolist() == out.usable[1, 0].tolist() == [True, False, False]
    assert out.usable[0, 2].tolist() == [True, False, True]


def test_sizes_of_what_has_no_known_scale():
    """Norms where the scale is known; shares of the whole where α is one; else which modules are there at all."""
    blocks = {
        ("norm", "module"): np.array([[1.0, 2, N], [N, N, N], [N, N, N]]),
        ("norm_share", "module"): np.array([[0.1, 0.2, N], [0.6, 0.8, N], [N, N, N]]),
        ("singular_value_share", "module"): np.array([[[7.0], [7], [N]], [[7], [7], [N]], [[7], [0], [N]]]),
        ("singular_value", "module"): np.full((3, 3, 1), 5.0),
    }
    found = made([[SQUARE] * 3] * 3, blocks=blocks)
    unknown = tuple(
        replace(one, scale=scale) for one, scale in zip(found.adapters, ("2", "unknown", "unknown"), strict=True)
    )
    found = replace(found, adapters=unknown)
    assert (found.scaled.tolist(), found.weighed.tolist()) == ([True, False, False], [True, True, False])
    np.testing.assert_array_equal(found.sizes, [[1, 2, N], [0.6, 0.8, N], [1, 0, N]])
    assert found.spectra is blocks["singular_value_share", "module"]
    del blocks["singular_value_share", "module"]
    assert replace(found, blocks=dict(blocks)).spectra is blocks["singular_value", "module"]
    del blocks["norm_share", "module"]
    bare = replace(found, blocks=dict(blocks))
    assert bare.sizes is blocks["norm", "module"]
    assert bare.weighed.tolist() == bare.scaled.tolist()


def test_a_part_of_the_adapters_in_another_order():
    pairs = np.arange(9.0).reshape(3, 3, 1)
    blocks = {
        ("norm", "global"): np.array([[1.0], [2], [3]]), ("cosine", "global"): pairs,
        ("orthogonal_fraction_module", "global"): 2 * pairs, ("u1_chance", "global"): np.array([0.5]),
    }  # fmt: skip
    found = made([[SQUARE] * 3, [SQUARE, NONE, SQUARE], [NONE] * 3], blocks=blocks).subset((2, 0))
    assert found.names == ("c", "a")
    assert found.present.sum(1).tolist() == [0, 3]
    assert found.block("norm", "global").tolist() == [[3], [1]]
    assert found.block("cosine", "global")[:, :, 0].tolist() == [[8, 6], [2, 0]]
    assert found.block("orthogonal_fraction_module", "global")[0, 1, 0] == 12
    assert found.block("u1_chance", "global").tolist() == [0.5]
    assert (found.renamed("c", "z").names, found.index("a"), found.probe("cka")) == (("z", "a"), 1, None)


def test_diagonals_are_of_updates_that_are_not_zero():
    """Of some the norm has no known scale, and the effective rank shows that they are there."""
    blocks = {
        ("norm", "global"): np.array([[2.0], [0], [N], [N]]),
        ("effective_rank", "global"): np.array([[N], [N], [3.0], [N]]),
        ("cosine", "global"): np.full((4, 4, 1), 0.5), ("principal_angle", "global"): np.full((4, 4, 1, 2), 9.0),
        ("energy_ratio", "global"): np.full((4, 4, 1), 0.5), ("barrier_mean", "global"): np.full((4, 4, 1), 0.5),
        ("cosine", "layer"): np.full((4, 4, 1), 0.5),
    }  # fmt: skip
    fill_diagonals(blocks)
    at = np.arange(4)
    np.testing.assert_array_equal(blocks["cosine", "global"][at, at, 0], [1, N, 1, N])
    np.testing.assert_array_equal(blocks["energy_ratio", "global"][at, at, 0], [2, N, 2, N])
    np.testing.assert_array_equal(blocks["principal_angle", "global"][at, at, 0], [[0, 0], [N, N], [0, 0], [N, N]])
    assert (blocks["cosine", "global"][~np.eye(4, dtype=bool)] == 0.5).all()
    assert (blocks["barrier_mean", "global"] == 0.5).all()
    assert (blocks["cosine", "layer"] == 0.5).all(), "no norm is known there"
    del blocks["effective_rank", "global"]
    fill_diagonals(blocks)
    np.testing.assert_array_equal(blocks["cosine", "global"][at, at, 0], [1, N, N, N])
