"""What probes measured, set into a study and carried into the next: by place, by α, by content."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from inspector.study.adapter_info import AdapterInfo
from inspector.study.module_id import ModuleId
from inspector.study.probe_results import carried, merged, without
from inspector.study.study import ProbeInfo, Study

N = np.nan
LMC, CKA, WEIGHTS = (ProbeInfo(probe, "base", prompts="x", examples=30) for probe in ("lmc", "cka", "weights"))


def made(names="ab", layers=(1, 3), **more):
    """One module a layer; the digest of an adapter is its name in capitals."""
    infos = tuple(AdapterInfo(name, f"/x/{name}", "PEFT LoRA", digest=name.upper()) for name in names)
    modules = tuple(ModuleId(layer, "q_proj") for layer in layers)
    return Study(infos, modules, np.full((len(names), len(layers), 2), 8), **more)


def pairs(n, *shape, first=1.0):
    """(n, n, …) of different numbers, alike for both orders of a pair."""
    block = np.full((n, n, *shape), N)
    for at, (i, j) in enumerate(combinations(range(n), 2)):
        block[i, j] = block[j, i] = first + at + np.arange(np.prod(shape)).reshape(shape) / 100
    return block


def test_what_is_not_known_leaves_what_is_there():
    old, new = np.full((3, 3, 1), N), np.full((3, 3, 1), N)
    old[0, 1, 0], old[0, 2, 0], new[0, 2, 0], new[1, 2, 0] = 1, 2, 3, 4
    study = replace(made("abc"), blocks={("cka", "global"): np.ones((3, 3, 1))}, probes=(LMC, CKA))
    study = merged(study, LMC, {("barrier_mean", "global"): old})
    again = replace(LMC, note="a batch was halved", version="2")
    study = merged(study, again, {("barrier_mean", "global"): new, ("barrier_chord", "global"): new})
    found = study.block("barrier_mean", "global")[:, :, 0]
    assert (found[0, 1], found[0, 2], found[1, 2]) == (1, 3, 4)
    np.testing.assert_array_equal(study.block("barrier_chord", "global"), new)
    assert study.probes == (CKA, again)
    assert study.block("cka", "global") is not None


@pytest.mark.parametrize(
    "other", [{"base": "another"}, {"prompts": "y"}, {"examples": 31}, {"detail": "z"}, {"dtype": "F32"}]
)
def test_numbers_that_were_measured_otherwise_are_dropped(other):
    """Of this probe alone."""
    blocks = {
        ("barrier_mean", "global"): pairs(2, 1),
        ("cka", "global"): pairs(2, 1),
        ("cosine", "global"): pairs(2, 1),
    }
    study = made(blocks=blocks, probes=(LMC, CKA))
    found = merged(study, replace(LMC, **other), {("barrier_chord", "global"): pairs(2, 1)})
    assert {metric for metric, _ in found.blocks} == {"cka", "cosine", "barrier_chord"}
    assert [probe.probe for probe in found.probes] == ["cka", "lmc"]
    bare = without(study, "lmc")
    assert ({metric for metric, _ in bare.blocks}, bare.probes) == ({"cka", "cosine"}, (CKA,))


def test_curves_run_over_all_alphas():
    study = merged(made(), LMC, {("lmc_loss", "global"): pairs(2, 1, 2)}, alphas=(0.0, 1.0))
    assert study.alphas == (0.0, 1.0)
    study = merged(study, LMC, {("barrier_mean", "global"): pairs(2, 1)}, alphas=(1.0, 0.5, -0.5))
    assert study.alphas == (-0.5, 0.0, 0.5, 1.0)
    np.testing.assert_array_equal(study.block("lmc_loss", "global")[0, 1, 0], [N, 1, N, 1.01])
    assert study.block("barrier_mean", "global").shape == (2, 2, 1)
    assert merged(study, LMC, {}).alphas == study.alphas


@pytest.mark.parametrize(("depth", "layers"), [(0, (1, 3)), (2, (0, 1, 3)), (4, (0, 1, 2, 3)), (5, (0, 1, 2, 3, 4))])
def test_layers_of_the_base_beside_those_of_the_modules(depth, layers):
    """Numbers of probes stay with their layer; those of modules are summed up anew."""
    study = merged(made(), CKA, {("cka", "layer"): pairs(2, 2), ("norm", "module"): np.array([[3.0, 4], [5, 12]])})
    deeper = merged(study, LMC, {}, depth=depth)
    assert (deeper.layers, deeper.depth) == (layers, depth)
    wanted = np.full(len(layers), N)
    wanted[[layers.index(1), layers.index(3)]] = 1, 1.01
    np.testing.assert_array_equal(deeper.block("cka", "layer")[0, 1], wanted)
    assert deeper.block("norm", "global")[:, 0].tolist() == [5, 13]
    assert deeper.block("norm", "layer")[0, [layers.index(1), layers.index(3)]].tolist() == [3, 4]
    assert merged(deeper, LMC, {}, depth=max(depth - 1, 0)).depth == depth
    whole = {("cka", "layer"): pairs(2, len(layers), first=7)}
    np.testing.assert_array_equal(
        merged(deeper, CKA, whole).block("cka", "layer")[0, 1], 7 + np.arange(len(layers)) / 100
    )


def measured():
    """a, b, c with numbers of pairs, of adapters, of the base, of layers and modules, and a curve."""
    blocks = {
        ("barrier_mean", "global"): pairs(3, 1), ("cka", "layer"): pairs(3, 2),
        ("lmc_loss", "global"): pairs(3, 1, 3), ("lmc_loss_base", "global"): np.array([9.0]),
        ("accuracy", "global"): np.array([[0.1], [0.2], [0.3]]), ("base_norm", "module"): np.array([3.0, 4.0]),
        ("cosine", "global"): pairs(3, 1),
    }  # fmt: skip
    return made("abc", blocks=blocks, probes=(LMC, CKA, WEIGHTS), alphas=(0.0, 0.5, 1.0))


def test_numbers_follow_their_adapters():
    """Known by content, whatever they are called now and wherever they stand; of the others nothing is known."""
    new = made("dcza")
    new = replace(new, adapters=(*new.adapters[:2], replace(new.adapters[2], name="b", digest=""), new.adapters[3]))
    old = measured()
    found = carried(old, new)
    assert (found.names, found.alphas, found.probes) == (("d", "c", "b", "a"), old.alphas, old.probes)
    for key in (("barrier_mean", "global"), ("cka", "layer"), ("lmc_loss", "global")):
        block = found.blocks[key]
        np.testing.assert_array_equal(block[1, 3], old.blocks[key][2, 0])
        np.testing.assert_array_equal(block[3, 1], old.blocks[key][0, 2])
        assert np.isnan(block[[0, 2]]).all()
        assert np.isnan(block[:, [0, 2]]).all()
    np.testing.assert_array_equal(found.block("accuracy", "global")[:, 0], [N, 0.3, N, 0.1])
    assert found.block("lmc_loss_base", "global").tolist() == [9]
    assert found.block("base_norm", "module").tolist() == [3, 4]
    assert found.block("cosine", "global") is None, "it follows from the weights"


@pytest.mark.parametrize(
    ("layers", "cka", "base_norm"),
    [
        ((1, 3), [1, 1.01], [3, 4]),
        ((3, 1), [1, 1.01], [4, 3]),
        ((0, 3, 5), [N, 1.01, N], [N, 4, N]),
        ((2, 4), None, None),
    ],
)
def test_numbers_stay_at_their_places(layers, cka, base_norm):
    found = carried(measured(), made("ab", layers))
    block = found.block("cka", "layer")
    assert (block is None) == (cka is None)
    if cka is not None:
        np.testing.assert_array_equal(block[0, 1], cka)
        np.testing.assert_array_equal(found.block("base_norm", "module"), base_norm)
    np.testing.assert_array_equal(found.block("lmc_loss", "global")[0, 1, 0], [1, 1.01, 1.02])


def test_layers_of_a_base_are_carried_along():
    old = merged(measured(), CKA, {("cka", "layer"): pairs(3, 5, first=4)}, depth=5)
    found = carried(old, made("ba", (2,)))
    assert (found.depth, found.layers) == (5, (0, 1, 2, 3, 4))
    np.testing.assert_array_equal(found.block("cka", "layer")[0, 1], 4 + np.arange(5) / 100)


@pytest.mark.parametrize("case", ["nobody", "no digest", "no probe"])
def test_nothing_to_carry(case):
    old, new = measured(), made("ab")
    if case == "nobody":
        new = made("xy")
    elif case == "no digest":
        old, new = (replace(s, adapters=tuple(replace(a, digest="") for a in s.adapters)) for s in (old, new))
    else:
        old = replace(old, probes=())
    assert carried(old, new) is new
