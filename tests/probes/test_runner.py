"""Requests end to end on a tiny base: results, cache, cancel, memory; numbers against the parts."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.base_model import answer_loss, hidden, smollm2
from inspector.common.cache import Cache
from inspector.common.errors import CancelledError, InspectorError
from inspector.probes import connectivity
from inspector.probes import request as requests
from inspector.probes.request import Request
from inspector.probes.runner import Prober
from inspector.study import probe_results
from inspector.study.study import Settings
from tests.base_model.tiny_model import MODULES, saved_adapter, saved_base
from tests.makers import random_factors, write_adapter

FEW = "lmc on 6 prompts: fewer than 20 scatter more than adapters differ."
LMC = Request(("lmc",), prompts="arithmetic", limit=6, alphas=(0, 0.5, 1), batch=4)
EVERYTHING = replace(LMC, probes=("lmc", "cka", "lens", "intruders"))


@pytest.fixture
def opened(tmp_path):
    base = saved_base(tmp_path / "base")
    sources = [f"{name}={saved_adapter(tmp_path / name, seed, base=str(base))}" for seed, name in enumerate("abc")]
    adapters, failures = open_sources(sources)
    assert not failures
    return adapters, analyse(adapters, Settings())


def test_every_probe_fills_its_blocks(opened):
    adapters, study = opened
    parts = []
    found = Prober().run(adapters, study, EVERYTHING, partial=parts.append)
    off = ~np.eye(3, dtype=bool)
    for metric in ("barrier_mean", "barrier_chord_low", "barrier_strict_high", "barrier_mean_at"):
        assert np.isfinite(found.block(metric, "global")[off]).all()
    curves = found.block("lmc_loss", "global")
    assert found.alphas == (0.0, 0.5, 1.0)
    np.testing.assert_array_equal(curves[0, 1, 0], curves[1, 0, 0, ::-1])
    assert curves[0, 1, 0, -1] == curves[0, 2, 0, -1], "the end is the adapter alone, the same on every path"
    assert np.isfinite(found.block("cka_debiased", "layer")[off]).all()
    assert found.block("cka_base", "layer").shape == (3, 2)
    assert np.isfinite(found.block("lens_depth", "global")).all()
    assert np.isfinite(found.block("intruder_dimensions", "module")).all()
    for metric in ("base_share_left", "base_share_left_chance", "base_share_right", "base_share_right_chance"):
        assert np.isfinite(found.block(metric, "layer")).all()
    assert np.isfinite(found.block("intruder_dimensions_epsilon", "global")).all()
    assert found.layers == (0, 1)
    assert {info.probe for info in found.probes} == {"weights", "lmc", "cka", "lens", "intruders"}
    assert len(parts) > 10, "points appear as they are computed"


def test_the_time_left_is_of_the_whole_run_once_every_part_has_run_here(opened):
    adapters, study = opened
    both = replace(LMC, probes=("lmc", "cka", "lens"))

    def texts(limit):
        told = []
        Prober().run(adapters, study, replace(both, limit=limit), progress=lambda *step: told.append(step))
        uncounted = [text for text, *counted in told if counted == [0, 0]]
        for part in ("part 1", "part 2"):
            done = [(at, total) for text, at, total in told if text.startswith(part)]
            assert [at == total for at, total in done] == [False] * (len(done) - 1) + [True], "the end comes last"
        assert uncounted == [f"looking for {adapters[0].info.base}", "loading the base", "attaching the adapters"]
        return [text for text, *_ in told if text.startswith("part")]

    first, again = texts(6), texts(7)
    assert {text[:11] for text in first} == {text[:11] for text in again} == {"part 1 of 2", "part 2 of 2"}
    assert all(text.endswith("left, then cka") for text in first if text.startswith("part 1"))
    assert all(text.endswith("left") and "about" in text for text in again if text.startswith("part 1"))
    assert all(text.endswith("left") and "about" not in text for text in again if text.startswith("part 2"))


def test_relative_norms_by_hand(opened):
    adapters, study = opened
    prober = Prober()
    found = prober.run(adapters, study, EVERYTHING)
    model = prober._loaded[1].base.model
    weights = [model.get_submodule(path).base_layer.weight.double() for path in MODULES]
    norm = float(study.block("norm", "global")[0, 0])
    expected = norm / float(sum((w**2).sum() for w in weights)) ** 0.5
    assert found.block("norm_relative", "global")[0, 0] == pytest.approx(expected, rel=1e-9)
    first = study.modules.index(next(m for m in study.modules if str(m) == "0.self_attn.q_proj"))
    one = float(study.block("norm", "module")[0, first]) / float(weights[0].norm())
    assert found.block("norm_relative", "module")[0, first] == pytest.approx(one, rel=1e-9)


def test_nothing_is_computed_twice(opened, monkeypatch):
    adapters, study = opened
    first = Prober().run(adapters, study, EVERYTHING)
    monkeypatch.setattr("inspector.probes.lmc.losses", lambda *_a: pytest.fail("ran again"))
    monkeypatch.setattr("inspector.probes.hidden_states.each_batch", lambda *_a: pytest.fail("ran again"))
    monkeypatch.setattr("inspector.probes.base_norms.intruders", lambda *_a: pytest.fail("ran again"))
    again = Prober().run(adapters, study, EVERYTHING)
    assert again.blocks.keys() == first.blocks.keys() > study.blocks.keys()
    assert {info.probe: info.examples for info in first.probes if info.probe in ("cka", "intruders")} == {
        "cka": EVERYTHING.limit, "intruders": 0,
    }  # fmt: skip
    for key, values in first.blocks.items():
        np.testing.assert_array_equal(values, again.blocks[key])
    turned = adapters[::-1]
    found = Prober().run(turned, analyse(turned, Settings()), replace(EVERYTHING, probes=("cka",)))
    np.testing.assert_array_equal(found.block("cka", "layer")[0, -1], first.block("cka", "layer")[0, -1])


def test_the_cache_knows_adapters_by_content_not_by_name(opened, tmp_path, monkeypatch):
    adapters, study = opened
    Prober().run(adapters, study, LMC)
    write_adapter(tmp_path / "a", random_factors(MODULES, seed=77), alpha=64, base=str(tmp_path / "base"))
    changed, _ = open_sources([f"{a.info.name}={a.info.source}" for a in adapters])
    ran = []
    real = connectivity.losses
    monkeypatch.setattr(
        "inspector.probes.lmc.losses", lambda attached, point, *rest: ran.append(point) or real(attached, point, *rest)
    )
    Prober().run(changed, analyse(changed, Settings()), LMC)
    assert ran
    assert all("a" in dict(point.weights) for point in ran)


def test_the_same_weights_at_another_scale_are_another_adapter(opened, tmp_path):
    adapters, study = opened
    first = Prober().run(adapters, study, LMC).block("lmc_loss", "global")
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 1}))
    changed, _ = open_sources([f"{a.info.name}={a.info.source}" for a in adapters])
    fresh = analyse(changed, Settings())
    assert fresh.adapters[0].digest != study.adapters[0].digest
    assert fresh.adapters[1].digest == study.adapters[1].digest
    found = Prober().run(changed, fresh, LMC).block("lmc_loss", "global")
    assert found[0, 1, 0, -1] != first[0, 1, 0, -1]
    assert found[0, 1, 0, 0] == first[0, 1, 0, 0]


def test_one_forward_pass_per_model_whatever_the_pairs(opened, monkeypatch):
    adapters, study = opened
    ran = []
    real = hidden.each_batch
    monkeypatch.setattr("inspector.probes.hidden_states.each_batch", lambda *args: ran.append(1) or real(*args))
    Prober().run(adapters, study, replace(EVERYTHING, probes=("cka", "lens")))
    assert len(ran) == 4


def test_chosen_pairs_only_and_more_later(opened):
    adapters, study = opened
    prober = Prober()
    one = prober.run(adapters, study, replace(EVERYTHING, pairs=(("a", "b"),)))
    assert np.isnan(one.block("barrier_mean", "global")[0, 2, 0])
    assert np.isnan(one.block("cka", "layer")[0, 2]).all()
    two = prober.run(adapters, one, replace(EVERYTHING, pairs=(("a", "c"),)))
    assert np.isfinite(two.block("barrier_mean", "global")[0, 1:, 0]).all()
    assert np.isnan(two.block("barrier_mean", "global")[1, 2, 0])


def test_other_prompts_replace_what_was_there(opened):
    adapters, study = opened
    prober = Prober()
    one = prober.run(adapters, study, replace(LMC, pairs=(("a", "b"),)))
    two = prober.run(adapters, one, replace(LMC, pairs=(("a", "c"),), limit=5))
    assert np.isnan(two.block("barrier_mean", "global")[0, 1, 0])
    assert two.probe("lmc").examples == 5


def test_cancel_keeps_what_is_finished(opened):
    adapters, study = opened
    parts = []
    with pytest.raises(CancelledError):
        Prober().run(adapters, study, LMC, partial=parts.append, cancelled=lambda: len(parts) > 4)
    kept = parts[-1]
    assert np.isfinite(kept.block("lmc_loss", "global")).any()
    assert np.isnan(kept.block("lmc_loss", "global")).any()
    resumed = Prober().run(adapters, study, LMC)
    fresh = kept.block("lmc_loss", "global")
    np.testing.assert_array_equal(
        np.where(np.isnan(fresh), 0, fresh), np.where(np.isnan(fresh), 0, resumed.block("lmc_loss", "global"))
    )


def test_out_of_memory_is_noted_in_the_results(opened, monkeypatch):
    adapters, study = opened
    real = answer_loss._of_batch

    def small(attached, examples, filler):
        if len(examples) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(attached, examples, filler)

    plain = Prober().run(adapters, study, replace(LMC, batch=2)).block("lmc_loss", "global")
    monkeypatch.setattr(answer_loss, "_of_batch", small)
    monkeypatch.setattr(Cache, "load", lambda *_a: None)
    notes = []
    found = Prober().run(adapters, study, LMC, note=notes.append)
    assert notes == [FEW, "out of memory: going on with batches of 2"]
    assert found.probe("lmc").note == notes[1]
    np.testing.assert_allclose(found.block("lmc_loss", "global"), plain, rtol=1e-5)


def test_the_caution_about_a_stand_in_base_is_stored_with_every_probe_that_ran_on_it(opened, tmp_path, monkeypatch):
    adapters, study = opened
    monkeypatch.setattr(smollm2, "converted", lambda: tmp_path / "base")
    smollm2.seal(tmp_path / "base")
    monkeypatch.setattr(smollm2, "HUB_ID", "org/nowhere")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = replace(EVERYTHING, base="org/nowhere", probes=("lmc", "accuracy"), limit=2, new_tokens=2)
    prober, said = Prober(), []
    first = prober.run(adapters, study, asked, note=said.append)
    kept = prober.run(adapters, study, asked)
    from_cache = Prober().run(adapters, study, asked)
    assert said[0] == FEW.replace("6", "2"), "before the base is loaded"
    assert "offline copy" in said[1]
    for found in (first, kept, from_cache):
        for probe in ("weights", "lmc", "accuracy"):
            assert found.probe(probe).note == said[1]


def test_what_cannot_be_asked(opened, tmp_path):
    adapters, study = opened
    for wrong, said in (
        (replace(LMC, probes=("lmx",)), "No probe 'lmx'"),
        (replace(LMC, pairs=(("a", "z"),)), "No adapter 'z' is open"),
        (replace(LMC, prompts="nowhere.jsonl"), "No problems 'nowhere.jsonl'"),
        (replace(LMC, pooling="max"), "No pooling 'max'"),
        (replace(LMC, loss="rollouts"), "has not a completion"),
        (replace(EVERYTHING, probes=("cka",), limit=3), "at least 4 prompts"),
        (replace(LMC, base=str(tmp_path / "nothing")), "No file or folder"),
    ):
        with pytest.raises(InspectorError, match=said):
            Prober().run(adapters, study, wrong)


def test_too_few_prompts_for_cka_are_said_before_the_base_is_loaded(opened, tmp_path, monkeypatch):
    adapters, study = opened
    monkeypatch.setattr("inspector.base_model.base.load_base", lambda *_a, **_k: pytest.fail("loaded"))
    few = tmp_path / "few.jsonl"
    few.write_text("".join(f'{{"question": "{n}+1?", "answer": "{n + 1}"}}\n' for n in range(3)), encoding="utf-8")
    both = replace(EVERYTHING, probes=("cka", "lens"))
    for wrong, said in (
        (replace(both, limit=1), "the limit gives 1"),
        (replace(both, limit=3, prompts="gsm8k"), "the limit gives 3"),
        (replace(both, limit=0, prompts=str(few)), "few.jsonl gives 3"),
    ):
        for ask in (Prober().run, Prober().estimate, lambda adapters, _study, wrong: wrong.refuse_unknown(adapters)):
            with pytest.raises(InspectorError, match=said):
                ask(adapters, study, wrong)


def test_accuracy_of_some_adapters_stands_at_their_places(opened):
    adapters, study = opened
    asked = Request(("accuracy",), prompts="arithmetic", limit=3, new_tokens=4)
    found = Prober().run([adapters[2], adapters[0]], study, asked)
    shares = found.block("accuracy", "global")[:, 0]
    assert np.isfinite(shares[[0, 2]]).all()
    assert np.isnan(shares[1])
    assert np.argwhere(np.isfinite(found.block("mcnemar_p", "global"))).tolist() == [[0, 2, 0], [2, 0, 0]]
    assert found.probe("accuracy").examples == 3


def test_what_the_factors_of_an_adapter_leave_out_is_noted(opened):
    adapters, study = opened
    left_out = np.array([[0.0], [0.25], [0.5]])
    study = replace(study, blocks=study.blocks | {("energy_left_out", "global"): left_out})
    notes = []
    Prober().run(adapters, study, replace(LMC, probes=("intruders",)), note=notes.append)
    told = [note for note in notes if "%" in note]
    assert len(told) == 2
    assert "25" in told[0]
    assert "50" in told[1]


def test_the_default_prompts_follow_the_base():
    assert requests.default_prompts("Qwen/Qwen3-4B-Instruct-2507") == "gsm8k"
    assert requests.default_prompts("smollm2") == requests.default_prompts(smollm2.HUB_ID) == "arithmetic"


def test_an_estimate_needs_no_base_and_bounds_the_work(opened):
    adapters, study = opened
    found = Prober().estimate(adapters, study, replace(LMC, alphas=(), limit=10))
    assert found.passes == 3 * 9 + 3 + 1
    assert found.seconds is None
    assert "at most 31 passes" in found.text
    Prober().run(adapters, study, LMC)
    assert Prober().estimate(adapters, study, LMC).seconds > 0


def test_numbers_survive_when_another_adapter_is_opened(opened, tmp_path):
    adapters, study = opened
    probed = Prober().run(adapters[:2], study, replace(EVERYTHING, pairs=(("a", "b"),)))
    fresh = analyse([adapters[2], adapters[0], adapters[1]], Settings())
    carried = probe_results.carried(probed, fresh)
    assert carried.block("barrier_mean", "global")[1, 2, 0] == probed.block("barrier_mean", "global")[0, 1, 0]
    np.testing.assert_array_equal(carried.block("cka", "layer")[1, 2], probed.block("cka", "layer")[0, 1])
    assert np.isnan(carried.block("cka", "layer")[0]).all()
    assert carried.block("lmc_loss_base", "global")[0] == probed.block("lmc_loss_base", "global")[0]
    assert carried.probes == probed.probes


def test_a_base_stays_loaded_until_another_one_or_other_contents_are_wanted(monkeypatch):
    """Adapters that are added, or left out, change nothing."""
    loads, added, told = [], [], []

    def load_base(*wanted, **_hooks):
        loads.append(wanted)
        return "base"

    monkeypatch.setattr("inspector.base_model.base.load_base", load_base)
    monkeypatch.setattr(
        "inspector.base_model.attach.attach",
        lambda base, adapters, **_hooks: SimpleNamespace(base=base, first=adapters, add=added.append),
    )
    prober, asked = Prober(), Request((), base="b", device="cpu", dtype="float32")

    def attached(digests, **changes):
        hooks = (lambda *step: told.append(step), told.append, lambda: False)
        return prober._attach(list(digests), digests, replace(asked, **changes), *hooks)

    first = attached({"x": "1"})
    assert (first.base, first.first, added) == ("base", ["x"], ["x"])
    for digests in ({"x": "1"}, {"x": "1", "y": "2"}, {"y": "2"}, {}, {"x": "1"}):
        assert attached(digests) is first
    assert loads == [("b", "cpu", "float32")]
    second = attached({"x": "1", "y": "3"})
    assert second is not first
    assert attached({"y": "3"}) is second
    others = [{"base": "c"}, {"device": "cuda"}, {"dtype": "float16"}]
    found = [attached({"y": "3"}, **other) for other in others]
    assert len({id(one) for one in (first, second, *found)}) == 5
    assert loads[1:] == [
        ("b", "cpu", "float32"),
        ("c", "cpu", "float32"),
        ("b", "cuda", "float32"),
        ("b", "cpu", "float16"),
    ]
    assert told.count(("attaching the adapters", 0, 0)) == 5
