"""The bundled sets of other publications, on adapters and numbers made so that all of it holds, or none."""

from dataclasses import replace

import pytest
import torch

from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.claims.bundled import claim_set
from inspector.claims.verdicts import evaluate
from inspector.study.module_id import ModuleId
from inspector.study.provenance import Origin
from inspector.study.study import Settings
from tests.claims.studies import Numbers
from tests.makers import random_factors, write_adapter

OTHERS = ("arxiv:2410.21228", "arxiv:2405.09673", "thinkingmachines:lora", "arxiv:2506.11618", "arxiv:2410.19735")
ALPHAS = (0, 1)


def said(address, *studies):
    return {one.claim.id: one.verdict for one in evaluate(claim_set(address), studies)}


def with_runs(study, rates, ranks, steps=None):
    """The study with learning rates, ranks and the steps of checkpoints as given by name."""
    infos = tuple(
        replace(
            info, ranks=(ranks[info.name],) if info.name in ranks else (),
            origin=Origin("sft", rates.get(info.name), step=(steps or {}).get(info.name)),
        )
        for info in study.adapters
    )  # fmt: skip
    return replace(study, adapters=infos)


def intruding(low, high, full, tasks):
    """Intruders per matrix of the six adapters."""
    counts = dict(
        zip(("lora-low", "lora-high", "full", "task-1", "task-2", "task-3"), (low, high, full, *tasks), strict=True)
    )
    numbers = Numbers(counts)
    for name, count in counts.items():
        numbers.put("intruder_dimensions", count, name).put("intruder_dimensions", count, name, scope="module")
    return numbers.study()


def test_intruder_dimensions():
    holds = with_runs(intruding(6, 2, 0, (1, 3, 4)), {}, {"lora-low": 1, "lora-high": 64})
    assert set(said("arxiv:2410.21228", holds).values()) == {"holds"}
    fails = with_runs(intruding(0, 2, 3, (1, 1, 4)), {}, {"lora-low": 64, "lora-high": 8})
    assert set(said("arxiv:2410.21228", fails).values()) == {"does not hold"}


def learning(ranks, lora, high, base, modules=(3, 9)):
    """90 % ranks of (early, full), accuracies, and the ranks of attention and MLP matrices."""
    names = ("full-early", "full", "lora", "lora-256")
    numbers = Numbers(names, layers=2, prompts="gsm8k")
    numbers.put("rank_90", ranks[0], "full-early").put("rank_90", ranks[1], "full")
    for name, share in zip(names, (0.2, 0.5, lora, high), strict=True):
        numbers.put("accuracy", share, name)
    study = with_runs(numbers.put("accuracy_base", base).study(), {}, {"lora": 16, "lora-256": 256})
    paths = (
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    )
    places = tuple(ModuleId(0, path) for path in paths)
    values = torch.full((4, 6), modules[0], dtype=torch.float64)
    values[:, 4:] = modules[1]
    return replace(study, modules=places, blocks={**study.blocks, ("rank_90", "module"): values.numpy()})


def test_learns_less():
    assert set(said("arxiv:2405.09673", learning((400, 1500), 0.3, 0.45, 0.1)).values()) == {"holds"}
    fails = said("arxiv:2405.09673", learning((160, 100), 0.6, 0.45, 0.1, (9, 3)))
    assert set(fails.values()) == {"does not hold"}


def regretless(rates, ends, losses, gain, rank):
    names = (
        *claim_set("thinkingmachines:lora").adapters,
        "lora-1/checkpoint-10",
        "lora-16/checkpoint-10",
        "lora-256/checkpoint-10",
    )
    numbers = Numbers(names, alphas=ALPHAS, prompts="gsm8k")
    numbers.put("lmc_ends", ends, names[-2], names[-3]).put("lmc_ends", -ends, names[-2], names[-1])
    numbers.put("lmc_loss", losses, "lora-256", "lora-1").put("lmc_loss", losses, "all-layers", "attention")
    numbers.put("accuracy", 0.5, "rl-full").put("accuracy", 0.5 + gain, "rl-1")
    names_of_rates = ("full-best", "lora-best", "lora-best-4", "lora-best-256")
    return with_runs(
        numbers.study(), dict(zip(names_of_rates, rates, strict=True)), {"rl-1": rank}, dict.fromkeys(names[-3:], 10)
    )


def test_without_regret():
    """At α = 0 the loss is that of the second adapter of a path, at 1 of the first."""
    holds = regretless((1e-5, 1e-4, 9e-5, 1.5e-4), 0.01, (2.5, 2.0), 0.01, 1)
    assert set(said("thinkingmachines:lora", holds).values()) == {"holds"}
    fails = regretless((1e-4, 1e-4, 1e-3, 1e-4), 0.1, (2.0, 2.5), -0.1, 8)
    assert set(said("thinkingmachines:lora", fails).values()) == {"does not hold"}


LAYERS = (15, 16, 17, 21, 22, 23, 27, 28, 29)


def down(layers):
    return {f"model.layers.{layer}.mlp.down_proj": (64, 48) for layer in layers}


def organisms(tmp_path, layers, shared, ranks):
    """Adapters of three data sets, alike as far as `shared` says; and a minimal one."""
    write_adapter(
        tmp_path / "minimal", random_factors(down(layers), r=ranks[0], seed=9), base="Qwen/Qwen2.5-14B-Instruct"
    )
    common = random_factors(down(range(14, 31)), r=ranks[1], seed=0)
    for seed, name in enumerate(("medical", "sports", "finance"), 1):
        own = random_factors(down(range(14, 31)), r=ranks[1], seed=seed)
        mixed = {
            path: tuple(shared * c + (1 - shared) * o for c, o in zip(common[path], own[path], strict=True))
            for path in own
        }
        write_adapter(tmp_path / name, mixed, base="Qwen/Qwen2.5-14B-Instruct")
    names = ("minimal", "medical", "sports", "finance")
    adapters, _ = open_sources([f"{name}={tmp_path / name}" for name in names])
    return analyse(adapters, Settings())


@pytest.mark.parametrize(
    ("layers", "shared", "ranks", "verdict"),
    [(LAYERS, 0.6, (1, 4), "holds"), ((1, 2, 3, 30), 0, (4, 2), "does not hold")],
)
def test_misaligned_organisms(tmp_path, layers, shared, ranks, verdict):
    found = said("arxiv:2506.11618", organisms(tmp_path, layers, shared, ranks))
    by_chance = {"shared-outputs", "shared-subspaces"} if not shared else set()  # unrelated ones scatter about chance
    assert {name for name, one in found.items() if one != verdict} <= by_chance


def tasks(tmp_path, lora, full):
    """Three updates of each kind; those of one kind share as much of one direction as given."""
    for kind, shared in (("lora", lora), ("full", full)):
        common = random_factors(down(range(3)), r=4, seed=0)
        for seed, name in enumerate("abc", 1):
            own = random_factors(down(range(3)), r=4, seed=seed + 10 * len(kind))
            mixed = {
                p: tuple(shared * c + (1 - shared) * o for c, o in zip(common[p], own[p], strict=True)) for p in own
            }
            write_adapter(tmp_path / f"{kind}-{name}", mixed)
    names = [f"{kind}-{name}" for kind in ("lora", "full") for name in "abc"]
    return analyse(open_sources([f"{name}={tmp_path / name}" for name in names])[0], Settings())


def test_merging(tmp_path):
    """Full updates share a little, LoRA ones nothing; then the other way round, and full ones nearly everything."""
    holds = said("arxiv:2410.19735", tasks(tmp_path / "one", 0, 0.3))
    assert set(holds.values()) == {"holds"}
    only = said("arxiv:2410.19735", tasks(tmp_path / "two", 0.9, 0.7))
    assert set(only.values()) == {"does not hold"}


@pytest.mark.parametrize("address", OTHERS)
def test_each_says_what_it_cannot_judge(address):
    found = claim_set(address)
    assert found.left_out
    assert any(claim.limits for claim in found.claims)
    assert all(claim.unpublished for claim in found.claims) == (not found.sources())
