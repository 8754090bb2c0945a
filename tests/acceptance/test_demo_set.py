"""The bundled set: one start, one set of rollouts, and nothing of the machine it was made on."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from inspector.adapters.alignment import aligned
from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.base_model import smollm2
from inspector.common import assets
from inspector.insights.nearest import nearest
from inspector.report.build import report
from inspector.report.markdown import markdown
from inspector.study.export import load, save
from inspector.study.study import Settings
from inspector.workflows.demo import shipped_study
from tests.acceptance.command import DEMO
from trainer.methods import METHODS, STUDY
from trainer.rollouts.schema import digest, read_rollouts
from trainer.rollouts.summary import summarise

MORE = {"sft_s123": "sft", "sft_lr2e-3": "sft", "dpo_lr2e-4": "dpo"}
METHOD = {name: name for name in STUDY} | MORE


@pytest.fixture(scope="module")
def records():
    return {name: json.loads((DEMO / name / "run.json").read_text()) for name in METHOD}


def test_all_of_the_study_and_three_more(records):
    assert {path.name for path in DEMO.iterdir() if path.is_dir()} == set(METHOD) == set(assets.DEMO)
    assert {name: record["method"] for name, record in records.items()} == METHOD


def test_one_start_but_for_the_other_seed(records):
    starts = {name: record["a0"] for name, record in records.items()}
    assert len({start for name, start in starts.items() if name != "sft_s123"}) == 1
    assert starts["sft_s123"] != starts["sft"]


def test_one_set_of_rollouts_which_is_here(records):
    rollouts = read_rollouts(DEMO / "rollouts.jsonl")
    assert {record["rollouts"] for record in records.values()} == {digest(rollouts)}
    assert len({record["rows_digest"] for record in records.values()}) == 1
    found = summarise(rollouts)
    assert (found.rows, found.groups) == (960, 240)
    assert records["dpo"]["rewards"]["mixed"] <= found.mixed


def test_the_recipe_is_the_bundled_one(records):
    for name, record in records.items():
        variant = METHODS[METHOD[name]].variant("")
        assert record["variant"] == variant.name
        if variant.data != "prompts":  # whose line did not have a κ then
            assert record["formula"] == variant.formula
        steps = 20 if name.startswith("online") else 40
        assert (record["step"], record["recipe"]["rank"], record["recipe"]["alpha"]) == (steps, 8, 16)
    rates = {name: record["lr"] for name, record in records.items()}
    assert (rates.pop("dpo"), rates.pop("sft_lr2e-3")) == (2e-5, 2e-3)
    assert set(rates.values()) == {2e-4}


@pytest.mark.parametrize("name", METHOD)
def test_an_ordinary_peft_folder_of_two_megabytes(name):
    tensors = load_file(DEMO / name / "adapter_model.safetensors")
    assert len(tensors) == 240
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert all(tensor.any() for key, tensor in tensors.items() if "lora_B" in key)
    assert (DEMO / name / "adapter_model.safetensors").stat().st_size < 2e6
    config = json.loads((DEMO / name / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == smollm2.HUB_ID
    assert config["target_modules"] == ["k_proj", "o_proj", "q_proj", "v_proj"]


def test_no_path_of_a_machine():
    texts = [path for path in DEMO.rglob("*") if path.suffix in {".json", ".yaml", ".md", ".jsonl"}]
    assert len(texts) > 4 * len(METHOD)
    for path in texts:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\W/(tmp|home|root|work|Users)/", text), path


def test_what_the_readme_says_of_it():
    """The findings of the study that the set shows, and those that it does not, as bounds on the measured numbers."""
    names = [*STUDY, *MORE]
    study = analyse(open_sources([str(DEMO / name) for name in names])[0], Settings(device="cpu"))
    cosine, u1, v1 = (
        {(a, b): study.blocks[metric, "global"][i, j, 0] for i, a in enumerate(names) for j, b in enumerate(names)}
        for metric in ("cosine", "u1", "v1")
    )
    norm = dict(zip(names, study.blocks["norm", "global"][:, 0], strict=True))
    cluster = ("sft", "rft", "rift")
    assert all(cosine[a, b] > 0.75 for a in cluster for b in cluster)
    assert all(0.7 < cosine["offline-grpo", a] < 0.85 for a in cluster)
    assert all(0.2 < cosine["dpo", a] < 0.4 for a in cluster)  # .06 in the study: apart, but not orthogonal
    assert all(cosine["online-grpo", a] < 0.1 for a in cluster)
    assert cosine["online-grpo", "online-dapo"] > 0.15  # −.16 in the study
    assert 13 < norm["sft"] / norm["dpo"] < 16
    assert norm["sft"] / norm["dpo_lr2e-4"] < 1.5
    assert cosine["dpo", "dpo_lr2e-4"] > 0.95
    assert cosine["sft", "sft_s123"] < 0.1
    assert u1["sft", "sft_s123"] > 0.75
    assert v1["sft", "sft_s123"] < 0.1
    assert 0.6 < cosine["sft", "sft_lr2e-3"] < 0.75


@pytest.fixture(scope="module")
def study():
    """The study that ships."""
    return load(assets.demo_study())


@pytest.fixture(scope="module")
def adapters():
    found, failures = open_sources(assets.demo_sources())
    assert not failures
    return found


def test_the_study_that_ships_is_of_these_adapters(study, adapters):
    shipped = shipped_study(adapters)
    assert shipped is not None, "run `make demo-study`"
    assert study.names == assets.DEMO
    assert [info.source for info in shipped.adapters] == assets.demo_sources()
    assert {info.source for info in study.adapters} == {f"assets/demo/{name}" for name in assets.DEMO}
    assert assets.demo_study().stat().st_size < 1.5e6


def test_it_is_not_shown_for_adapters_of_another_content(adapters, tmp_path, monkeypatch):
    changed = shutil.copytree(DEMO / "dpo", tmp_path / "dpo")
    weights = bytearray((changed / "adapter_model.safetensors").read_bytes())
    weights[-1] ^= 1
    (changed / "adapter_model.safetensors").write_bytes(weights)
    other, _ = open_sources([str(changed)])
    assert shipped_study([a if a.info.name != "dpo" else other[0] for a in adapters]) is None
    assert shipped_study(adapters[:-1]) is None
    monkeypatch.setattr("inspector.workflows.demo.demo_study", lambda: tmp_path / "none.parquet")
    assert shipped_study(adapters) is None


def test_it_has_every_probe_of_every_adapter_and_pair(study):
    assert {probe.probe for probe in study.probes} == {"weights", "lmc", "cka", "lens", "intruders", "accuracy"}
    assert {probe.base for probe in study.probes} == {smollm2.NAME}
    assert {probe.prompts for probe in study.probes if probe.prompts} == {"arithmetic"}
    apart = ~np.eye(len(assets.DEMO), dtype=bool)
    assert study.alphas == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert np.isfinite(study.block("lmc_loss", "global")[apart]).all()
    for metric in ("cka_debiased", "cka_debiased_null", "barrier_chord", "mcnemar_p_holm"):
        assert np.isfinite(study.block(metric, "global")[apart]).all(), metric
    for metric in ("accuracy", "lens_depth", "intruder_dimensions", "norm_relative", "cka_debiased_base"):
        assert np.isfinite(study.block(metric, "global")).all(), metric
    assert (study.block("accuracy_answered", "global") == study.probe("accuracy").examples).all()


def test_it_says_which_commit_measured_it(study):
    versions = {study.settings.version, *(probe.version for probe in study.probes)}
    assert len(versions) == 1
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{12}", versions.pop())


def test_the_report_of_it_has_what_the_base_showed(study):
    text = markdown(report(study))
    for part in ("smollm2", "CKA", "accuracy", "loss"):
        assert part in text


@pytest.mark.slow
def test_a_new_analysis_finds_the_same_numbers(study, adapters, tmp_path):
    save(analyse(aligned(adapters), Settings(device="cpu")), tmp_path / "fresh.parquet")
    fresh = load(tmp_path / "fresh.parquet")
    assert [info.digest for info in fresh.adapters] == [info.digest for info in study.adapters]
    for (metric, scope), values in fresh.blocks.items():
        shipped = study.block(metric, scope)
        assert shipped is not None, f"{metric} is new: run `make demo-study`"
        np.testing.assert_allclose(shipped, values, rtol=1e-6, atol=1e-6, err_msg=f"{metric} {scope}")


@pytest.mark.parametrize("name", MORE)
def test_another_seed_or_rate_finds_its_own_method_first(name):
    """By what fits the pair: the rates share the start of the others and are ranked by cosine, the seed is not."""
    adapters, _ = open_sources([str(DEMO / name), *(str(DEMO / method) for method in STUDY)])
    infos = [
        replace(a, info=replace(a.info, name=f"ref.{a.info.name}")) if a.info.name in STUDY else a for a in adapters
    ]
    first, second, *_ = nearest(analyse(infos, Settings(device="cpu")), name)
    assert first.reference == f"ref.{MORE[name]}"
    assert first.metric == ("output_similarity" if name == "sft_s123" else "cosine")
    assert not first.value - second.value <= first.error
