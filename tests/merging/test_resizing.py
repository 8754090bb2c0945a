"""Smaller ranks against the dense float64 SVD: by rank, by energy, by size; and what PEFT loads of them."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from peft import LoraConfig

from inspector.adapters.opening import open_sources
from inspector.adapters.options import DEFAULTS
from inspector.common.errors import InspectorError
from inspector.merging import resizing
from inspector.workflows.resize import Wanted, resize
from tests.adapters.peft.models import llama, our_deltas, peft_deltas, reloaded, saved, trained
from tests.makers import random_factors, write_adapter, write_random

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def opened(*sources):
    adapters, failures = open_sources(list(map(str, sources)))
    assert not failures
    return adapters


def run(source, dest, **wanted):
    return resize(str(source), Wanted(**wanted), dest, DEFAULTS, task="arithmetic", device="cpu")


def dense(adapter):
    """Module -> U, σ, Vᵀ of ΔW."""
    return {id_: np.linalg.svd(W.double().numpy(), full_matrices=False) for id_, W in our_deltas(adapter).items()}


@pytest.mark.parametrize("wanted", [{"rank": 2}, {"rank": 50}, {"energy": 0.8}, {"budget": 2400e-6}])
def test_what_is_written_is_the_truncation_of_the_dense_svd_and_peft_loads_it(tmp_path, wanted, capsys):
    config = LoraConfig(
        r=3, lora_alpha=7, target_modules=["q_proj", "v_proj", "up_proj"], rank_pattern={"up_proj": 5},
        alpha_pattern={"v_proj": 2}, use_rslora=True,
    )  # fmt: skip
    (adapter,) = opened(saved(trained(llama().float(), config), tmp_path / "a"))
    expected = dense(adapter)
    assert run(tmp_path / "a", tmp_path / "small", **wanted) == 0
    (small,) = opened(tmp_path / "small")
    found, theirs = our_deltas(small), peft_deltas(reloaded(llama(), tmp_path / "small"))
    assert found.keys() == theirs.keys() == expected.keys()
    held = whole = 0.0
    for id_, (U, sigma, Vh) in expected.items():
        k = small.modules[id_].rank
        best = (U[:, :k] * sigma[:k]) @ Vh[:k]
        for W in found[id_], theirs[id_]:
            np.testing.assert_allclose(W.double().numpy(), best, rtol=0, atol=1e-6 * sigma[0])
        held, whole = held + (sigma[:k] ** 2).sum(), whole + (sigma**2).sum()
        if "rank" in wanted:
            assert k == min(wanted["rank"], adapter.modules[id_].rank)
        if "energy" in wanted:
            shares = np.cumsum(sigma**2) / (sigma**2).sum()
            assert shares[k - 1] >= 0.8
            assert k == 1 or shares[k - 2] < 0.8
    said = capsys.readouterr().out
    assert f"energy kept  {100 * held / whole:.1f} % of Σ‖ΔW‖²" in said
    assert max(map(len, said.splitlines())) <= 80
    if "budget" in wanted:
        assert len({m.rank for m in small.modules.values()}) > 1
        assert sum((m.d_out + m.d_in) * m.rank * 4 for m in small.modules.values()) <= 2400


def test_a_budget_is_spent_as_the_best_of_all_ways():
    """Against every choice of ranks, of sizes whose directions cost the same or halves of each other."""
    rng = np.random.default_rng(4)
    spectra = {n: np.sort(rng.exponential(size=size))[::-1] for n, size in enumerate((3, 4, 2))}

    modules = {n: SimpleNamespace(d_out=d, d_in=d, dtype="F32") for n, d in enumerate((8, 4, 4))}
    adapter = SimpleNamespace(modules=modules, info=SimpleNamespace(name="x"))
    cost = [64, 32, 32]
    for budget in (128, 192, 256, 320):
        ranks = resizing.of_budget(adapter, spectra, budget)
        ways = product(*(range(1, len(sigma) + 1) for sigma in spectra.values()))
        best = max(
            resizing.kept(spectra, dict(enumerate(way)))
            for way in ways
            if sum(c * k for c, k in zip(cost, way, strict=True)) <= budget
        )
        assert sum(c * ranks[n] for n, c in enumerate(cost)) <= budget
        assert resizing.kept(spectra, ranks) == pytest.approx(best)
    with pytest.raises(InspectorError, match=r"Rank 1 in every module of x takes 128 B, more than the budget of 100 B"):
        resizing.of_budget(adapter, spectra, 100)


def test_the_type_of_the_file_stays_and_its_rounding_is_small(tmp_path):
    write_adapter(tmp_path / "a", random_factors(r=6, dtype=torch.bfloat16))
    (adapter,) = opened(tmp_path / "a")
    assert run(tmp_path / "a", tmp_path / "small", rank=4) == 0
    (small,) = opened(tmp_path / "small")
    assert {m.dtype for m in small.modules.values()} == {"BF16"}
    for id_, (U, sigma, Vh) in dense(adapter).items():
        best = (U[:, :4] * sigma[:4]) @ Vh[:4]
        assert np.linalg.norm(our_deltas(small)[id_].double().numpy() - best) < 2**-8 * np.linalg.norm(best)


def test_zero_and_rank_deficient_modules(tmp_path, capsys):
    factors = random_factors(r=4)
    paths = list(factors)
    B, A = factors[paths[0]]
    factors[paths[0]] = (torch.zeros_like(B), A)
    B, A = factors[paths[1]]
    factors[paths[1]] = (torch.cat([B[:, :2], B[:, :2]], 1), A)
    write_adapter(tmp_path / "a", factors)
    assert run(tmp_path / "a", tmp_path / "small", energy=1.0) == 0
    (small,) = opened(tmp_path / "small")
    assert [m.rank for m in small.modules.values()] == [1, 2, 4, 4, 4, 4]
    assert "energy kept  100.0 %" in capsys.readouterr().out
    for id_, W in our_deltas(opened(tmp_path / "a")[0]).items():
        torch.testing.assert_close(our_deltas(small)[id_], W, rtol=0, atol=1e-6)


def test_what_is_not_of_the_update_is_kept_and_what_is_lost_is_said(tmp_path, capsys):
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"
    write_adapter(tmp_path / "dora", random_factors(), extra={key: torch.ones(24)}, use_dora=True)
    assert run(tmp_path / "dora", tmp_path / "small", rank=1) == 3
    assert "Left out, 1 tensor: DoRA magnitudes" in capsys.readouterr().err
    head = {"base_model.model.lm_head.weight": torch.ones(4, 4)}
    write_adapter(tmp_path / "head", random_factors(), extra=head, modules_to_save=["lm_head"])
    assert run(tmp_path / "head", tmp_path / "smaller", rank=1) == 0
    assert any(t.key == "base_model.model.lm_head.weight" for t in opened(tmp_path / "smaller")[0].tensors)


def test_what_cannot_be_resized_leaves_nothing(tmp_path):
    factors = random_factors()
    factors["model.layers.1.self_attn.v_proj"][1][0, 0] = torch.inf
    write_adapter(tmp_path / "a", factors)
    write_random(tmp_path / "b")
    for source, wanted, said in (
        ("a", {"rank": 1}, r"a holds NaN or Inf in 1\.self_attn\.v_proj: it cannot be resized"),
        ("b", {"budget": 1e-6}, r"Rank 1 in every module of b takes"),
    ):
        with pytest.raises(InspectorError, match=said):
            run(tmp_path / source, tmp_path / "small", **wanted)
    with pytest.raises(InspectorError, match="exists already"):
        run(tmp_path / "b", tmp_path / "a", rank=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
