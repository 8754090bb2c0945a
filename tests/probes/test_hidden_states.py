"""CKA, depths, base norms and intruders of a request, against the models one by one."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.base_model.encode import prompts
from inspector.common import cache
from inspector.common.errors import CancelledError
from inspector.probes import base_norms
from inspector.probes.base_norms import run_intruders, weight
from inspector.probes.request import Request
from inspector.probes.runner import Prober
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from inspector.tasks.problems import load_problems
from tests.base_model.bases import base
from tests.base_model.tiny_model import MODULES, saved_base
from tests.makers import random_factors, write_adapter
from tests.memory import adapter
from tests.probes.test_cka import textbook_debiased, textbook_plain

ASKED = Request(("cka", "lens"), prompts="arithmetic", limit=7, batch=3)
NONE = torch.zeros(1, 1), torch.zeros(1, 1)
SIZES = {"a": 64, "b": 9, "c": 25}


@pytest.fixture
def folder(tmp_path):
    """A base and three adapters of different size, the last of which leaves one module alone."""
    base_folder = str(saved_base(tmp_path / "base"))
    for seed, (name, alpha) in enumerate(SIZES.items()):
        factors = random_factors(MODULES, seed=seed)
        if name == "c":
            del factors["model.layers.0.self_attn.v_proj"]
        write_adapter(tmp_path / name, factors, alpha=alpha, base=base_folder)
    return tmp_path


@pytest.fixture
def opened(folder):
    adapters, failures = open_sources([f"{name}={folder / name}" for name in SIZES])
    assert not failures
    return adapters, analyse(adapters, Settings())


def updated(folder, one):
    """The base with an adapter's dense ΔW added, and ΔW by module; of None the base alone."""
    model = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float64).eval()
    added = {}
    for id_, spec in one.modules.items() if one else ():
        B, A = (factor.double() for factor in one.load(id_))
        added[id_] = spec.scale.value * B @ A
        model.get_submodule(f"model.layers.{id_.layer}.{id_.path}").weight.data += added[id_]
    return model, added


def last_rows(folder, one):
    """(L, n, d): the residual stream after each block at the last token of each prompt, one prompt at a time."""
    model, _ = updated(folder, one)
    held = []
    for block in model.model.layers:
        block.register_forward_hook(lambda _block, _args, out: held.append(out if torch.is_tensor(out) else out[0]))
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    found = []
    for example in prompts(tokenizer, load_problems("arithmetic").first(7)):
        held.clear()
        with torch.inference_mode():
            model(input_ids=torch.tensor([example.ids]))
        found.append([h[0, -1].numpy() for h in held])
    return np.array(found).swapaxes(0, 1)


def test_cka_is_that_of_the_models_own_states(opened, folder):
    adapters, study = opened
    prober = Prober()
    found = prober.run(adapters, study, ASKED)
    ids = torch.arange(3, 23)[None]
    with torch.inference_mode():
        left, bare = (model(ids).logits.double() for model in (prober._loaded[1].base.model, updated(folder, None)[0]))
    torch.testing.assert_close(left, bare, atol=1e-4, rtol=1e-4, msg="an adapter is still active")
    states = [last_rows(folder, one) for one in (*adapters, None)]
    for metric, textbook in (("cka", textbook_plain), ("cka_debiased", textbook_debiased)):
        layers = found.block(metric, "layer")
        assert layers.shape == (3, 3, 2)
        for i, j in ((0, 1), (1, 0), (0, 2), (2, 1)):
            expected = [textbook(states[i][layer], states[j][layer]) for layer in range(2)]
            np.testing.assert_allclose(layers[i, j], expected, atol=1e-4)
        against = [[textbook(states[i][layer], states[3][layer]) for layer in range(2)] for i in range(3)]
        np.testing.assert_allclose(found.block(f"{metric}_base", "layer"), against, atol=1e-4)
        for name in (metric, f"{metric}_base"):
            np.testing.assert_allclose(found.block(name, "global")[..., 0], found.block(name, "layer").mean(-1))


def test_batches_and_the_other_probe_change_no_number(opened, monkeypatch):
    adapters, study = opened
    monkeypatch.setattr(cache.Cache, "load", lambda *_key: None)
    whole = Prober().run(adapters, study, replace(ASKED, batch=16))
    assert len(set(whole.block("lens_depth", "global").ravel())) > 1
    for asked in (ASKED, replace(ASKED, batch=1, probes=("lens",)), replace(ASKED, probes=("cka",))):
        found = Prober().run(adapters, study, asked)
        assert {info.probe for info in found.probes} == {"weights", *asked.probes}
        for metric in ("lens_depth", "lens_depth_base", "cka", "cka_debiased_base"):
            if (block := found.block(metric, "global")) is not None:
                np.testing.assert_allclose(block, whole.block(metric, "global"), atol=1e-5)


def test_depths_are_measured_over_fewer_prompts_than_cka_needs(opened):
    adapters, study = opened
    found = Prober().run(adapters, study, replace(ASKED, probes=("lens",), limit=2))
    assert found.probe("lens").examples == 2
    assert np.isfinite(found.block("lens_depth", "global")).all()


@pytest.mark.parametrize(("top", "epsilon"), [(10, 0.5), (4, 0.7)])
def test_norms_and_intruders_are_those_of_dense_weights(opened, folder, top, epsilon):
    adapters, study = opened
    found = Prober().run(adapters, study, replace(ASKED, probes=("intruders",), top=top, epsilon=epsilon))
    assert found.probe("intruders").detail == f"top {top}, ε {epsilon}"
    bare, _ = updated(folder, None)
    counts = np.full((2, 3, len(study.modules)), np.nan)
    for m, id_ in enumerate(study.modules):
        W = bare.get_submodule(f"model.layers.{id_.layer}.{id_.path}").weight.double().detach()
        assert found.block("base_norm", "module")[m] == pytest.approx(float(W.norm()))
        U0 = torch.linalg.svd(W, full_matrices=False).U
        for i, one in enumerate(adapters):
            if id_ in one.modules:
                along = U0.T @ torch.linalg.svd(W + updated(folder, one)[1][id_]).U[:, :top]
                counts[0, i, m] = (along.abs().max(0).values < epsilon).sum()
                counts[1, i, m] = (along[:top].norm(dim=0) < epsilon).sum()
    assert np.nanmax(counts) > np.nanmin(counts)
    np.testing.assert_array_equal(found.block("intruder_dimensions", "module"), counts[0])
    np.testing.assert_array_equal(found.block("intruder_dimensions_subspace", "module"), counts[1])
    assert np.isnan(counts[0]).sum() == 1


@pytest.mark.parametrize(("family", "path"), [("gpt2", "transformer.h.0.attn.c_attn"), ("llama", "lm_head")])
def test_a_weight_is_out_by_in_whichever_way_round_it_is_stored(family, path):
    model = base(family).model
    module = model.get_submodule(path)
    x = torch.randn(32, dtype=torch.float64)
    with torch.inference_mode():
        bias = module.bias if module.bias is not None else 0
        torch.testing.assert_close(weight(module) @ x + bias, module(x[None])[0])


def test_intruders_appear_every_sixteen_modules_and_are_counted_once(monkeypatch):
    modules = [ModuleId(n, "q_proj") for n in range(40)]
    half = [one for one in modules if one.layer % 2]
    adapters = {"b": adapter("b", dict.fromkeys(modules, NONE)), "a": adapter("a", dict.fromkeys(half, NONE))}
    parts, told, counted, limit = [], [], [], [21]

    def of_module(_job, id_, _module, those):
        counted.extend((name, id_) for name in those)
        return [(name, (id_.layer, 100 - id_.layer)) for name, one in those.items() if id_ in one.modules]

    monkeypatch.setattr(base_norms, "_of_module", of_module)
    job = SimpleNamespace(
        attached=SimpleNamespace(module=lambda module: module), names=("a", "x", "b"),
        digests={"a": "digest a", "b": "digest b"}, key=lambda **key: key,
        info=lambda probe, detail: f"{probe}: {detail}", request=Request(("intruders",)),
        cache=cache.Cache(),
        course=SimpleNamespace(counted=lambda *report: told.append(report)),
        deliver=lambda info, blocks, _alphas: parts.append((info, blocks)),
    )  # fmt: skip

    def run(*names):
        for held in (parts, told, counted):
            held.clear()
        those = {name: adapters[name] for name in names}
        run_intruders(job, tuple(modules), those, lambda: len(told) >= limit[0])
        return parts[-1][1]

    def known():
        return [int(np.isfinite(blocks["intruder_dimensions", "module"][2]).sum()) for _, blocks in parts]

    with pytest.raises(CancelledError):
        run("b", "a")
    assert known() == [16, 21]
    limit[0] = 100
    run("b")
    assert (known(), len(counted)) == ([16, 32, 40], 40)
    whole = run("b", "a")
    assert {info for info, _ in parts} == {"intruders: top 10, ε 0.5"}
    assert told == [(f"intruders: module {n} of 40", n, 40) for n in range(1, 41)]
    assert {name for name, _ in counted} == {"a"}, "the other is in the cache"
    for metric, sign, start in (("intruder_dimensions", 1, 0), ("intruder_dimensions_subspace", -1, 100)):
        numbers = start + sign * np.arange(40.0)
        odd = np.where(np.arange(40) % 2, numbers, np.nan)
        np.testing.assert_array_equal(whole[metric, "module"], [odd, np.full(40, np.nan), numbers])
    assert run("a", "b").keys() == whole.keys()
    assert not told
