"""Adapters of different kinds measured against each other: every number that of the dense updates."""

import csv

import pytest
import torch
from peft import AdaLoraConfig, LoHaConfig, LoKrConfig, LoraConfig

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.options import ReadOptions
from inspector.analysis.analyse import analyse
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from tests.acceptance.command import inspector
from tests.adapters.peft.models import llama, our_deltas, saved, trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning", "ignore::UserWarning"
)
TARGETS = ["q_proj", "down_proj"]
KINDS = {
    "lora": LoraConfig(r=4, lora_alpha=6, target_modules=TARGETS),
    "dora": LoraConfig(r=4, lora_alpha=6, target_modules=TARGETS, use_dora=True),
    "adalora": AdaLoraConfig(init_r=4, target_r=2, total_step=10, target_modules=TARGETS),
    "loha": LoHaConfig(r=2, alpha=4, target_modules=TARGETS),
    "lokr": LoKrConfig(r=2, alpha=4, target_modules=TARGETS),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The base and one adapter of each kind, all of different seeds."""
    root = tmp_path_factory.mktemp("kinds")
    llama().save_pretrained(root / "base")
    for seed, (kind, config) in enumerate(KINDS.items()):
        saved(trained(llama(), config, seed), root / kind)
    return root


def opened(root, rank=1000):
    base = BaseWeights("tiny/base", lambda: root / "base")
    return [read_adapter(root / kind, kind, kind, ReadOptions(base, rank=rank)) for kind in KINDS]


def test_cosines_norms_and_spectra_of_all_kinds(folders):
    adapters = opened(folders)
    study = analyse(adapters, Settings(device="cpu"))
    deltas = [our_deltas(adapter) for adapter in adapters]
    vectors = torch.stack([torch.cat([d[m].flatten() for m in study.modules]) for d in deltas])
    norms = vectors.norm(dim=1)
    cosines = (vectors @ vectors.T) / norms[:, None] / norms[None, :]
    torch.testing.assert_close(torch.from_numpy(study.block("norm", "global")[:, 0]), norms)
    ours = torch.from_numpy(study.block("cosine", "global")[:, :, 0].copy())
    torch.testing.assert_close(ours, cosines, rtol=0, atol=1e-12)
    for i, dense in enumerate(deltas):
        for m, id_ in enumerate(study.modules):
            sigma = torch.linalg.svdvals(dense[id_])
            got = torch.from_numpy(study.block("singular_value", "module")[i, m]).nan_to_num()[: len(sigma)]
            torch.testing.assert_close(got, sigma[: len(got)], rtol=1e-9, atol=1e-9 * float(sigma[0]))
    assert study.block("energy_left_out", "global") is None


def test_the_energy_left_out_of_modules_layers_and_the_whole(folders):
    whole, part = (opened(folders, rank) for rank in (1000, 3))
    study = analyse(part, Settings(device="cpu"))
    dora = list(KINDS).index("dora")
    full, kept = our_deltas(whole[dora]), our_deltas(part[dora])
    for scope, places in (("module", study.modules), ("layer", [0, 1]), ("global", [None])):
        block = study.block("energy_left_out", scope)
        assert not block[[i for i in range(len(KINDS)) if i != dora]].any()
        for at, place in enumerate(places):
            inside = [m for m in full if place in (None, m, m.layer)]
            left = sum(float((full[m] - kept[m]).norm() ** 2) for m in inside)
            energy = sum(float(full[m].norm() ** 2) for m in inside)
            assert block[dora, at] == pytest.approx(left / energy, rel=1e-9)
            assert left > 0


def test_analyze_shows_what_is_left_out(folders, tmp_path):
    out = tmp_path / "study.csv"
    command = "analyze", folders / "lora", folders / "dora", "--base", folders / "base", "--svd-rank", "2"
    done = inspector(*command, "--tables")
    assert done.returncode == 0, done.stderr
    assert "energy left out" in done.stdout
    done = inspector(*command, "--out", out)
    assert done.returncode == 0, done.stderr
    with out.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "energy_left_out"]
    assert {row["scope"] for row in rows} == {"global", "layer", "module"}
    assert {row["a"]: float(row["value"]) > 0 for row in rows} == {"lora": False, "dora": True}


def test_the_same_module_whatever_the_kind(folders):
    modules = {tuple(adapter.modules) for adapter in opened(folders)}
    assert len(modules) == 1
    assert ModuleId(0, "mlp.down_proj") in modules.pop()
