"""The written sum, loaded by PEFT itself, against Σ w·ΔW of the parents in float64."""

import json
import warnings

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file
from torch import nn

from inspector.adapters.alignment import aligned
from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.common.errors import InspectorError
from inspector.merging.preview import Preview, refused
from inspector.merging.spectra import spectra
from inspector.merging.writing import write
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from tests.adapters.peft.models import assert_same, gpt2, llama, our_deltas, peft_deltas, reloaded, saved, trained
from tests.makers import random_factors, write_adapter, write_random

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def opened(*folders):
    adapters, failures = open_sources([str(folder) for folder in folders])
    assert failures == []
    return aligned(adapters)


def made(dest, adapters, weights):
    """Write the sum; what was said of it."""
    study = analyse(adapters, Settings())
    sigma = spectra(adapters, study, weights)
    return write(dest, adapters, Preview(study, tuple(weights), sigma))


def expected(adapters, weights):
    """Module -> Σ w·ΔW in float64; a module of one side counts as its zero on the other."""
    total = {}
    for adapter, w in zip(adapters, weights, strict=True):
        for module, delta in our_deltas(adapter).items():
            total[module] = total.get(module, 0) + w * delta
    return total


@pytest.fixture(scope="module")
def parents(tmp_path_factory):
    """Three adapters of one llama: other ranks, scales, targets; one with patterns, one with rsLoRA."""
    root = tmp_path_factory.mktemp("parents")
    configs = {
        "a": LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
        "b": LoraConfig(
            r=3,
            lora_alpha=5,
            use_rslora=True,
            target_modules=["q_proj", "up_proj"],
            rank_pattern={"layers.1.mlp.up_proj": 2},
        ),
        "c": LoraConfig(r=2, lora_alpha=4, target_modules=["v_proj"], layers_to_transform=[1]),
    }  # fmt: skip
    return [saved(trained(llama(), config, seed), root / name) for seed, (name, config) in enumerate(configs.items())]


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.5, -0.3, 0.25), (1.0, 0.0, 2.0)])
def test_peft_loads_the_exact_sum(tmp_path, parents, weights):
    adapters = opened(*parents)
    study = analyse(adapters, Settings())
    preview, seen = Preview(study, weights, spectra(adapters, study, weights)), []
    told = write(tmp_path / "sum", adapters, preview, progress=lambda *at: seen.append(at))
    assert seen == [(n + 1, len(study.modules)) for n in range(len(study.modules))]
    total = expected([a for a, w in zip(adapters, weights, strict=True) if w], [w for w in weights if w])
    assert_same(peft_deltas(reloaded(llama(), tmp_path / "sum")), total)
    assert_same(our_deltas(opened(tmp_path / "sum")[0]), total)
    assert f"{len(total)} modules" in told.text


def test_every_module_has_the_rank_its_parents_add_up_to(tmp_path, parents):
    adapters = opened(*parents)
    made(tmp_path / "sum", adapters, (1.0, 1.0, 1.0))
    (found,) = opened(tmp_path / "sum")
    assert {str(id_): module.rank for id_, module in found.modules.items()} == {
        "0.self_attn.q_proj": 7, "0.self_attn.v_proj": 4, "0.mlp.up_proj": 3,
        "1.self_attn.q_proj": 7, "1.self_attn.v_proj": 6, "1.mlp.up_proj": 2,
    }  # fmt: skip
    assert found.info.findings == ()


def test_equal_scales_and_weights_keep_every_bit(tmp_path):
    """w = ½ on α/r = 4: the files' own bfloat16 numbers stand side by side, the weight is in α."""
    for seed in range(2):
        write_adapter(tmp_path / str(seed), random_factors(seed=seed, dtype=torch.bfloat16), alpha=16)
    adapters = opened(tmp_path / "0", tmp_path / "1")
    told = made(tmp_path / "sum", adapters, (0.5, 0.5))
    assert "to the last bit" in told.text
    tensors = load_file(tmp_path / "sum" / "adapter_model.safetensors")
    key = "base_model.model.model.layers.1.self_attn.q_proj.lora_{}.weight"
    parts = [load_file(tmp_path / name / "adapter_model.safetensors") for name in ("0", "1")]
    assert torch.equal(tensors[key.format("A")], torch.cat([part[key.format("A")] for part in parts]))
    assert torch.equal(tensors[key.format("B")], torch.cat([part[key.format("B")] for part in parts], 1))
    config = json.loads((tmp_path / "sum" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (8, 16, "tiny/base")


def test_other_weights_say_what_rounding_costs(tmp_path):
    folders = [write_random(tmp_path / str(seed), seed) for seed in range(2)]
    adapters, weights = opened(*folders), (0.3, 0.7)
    assert "rounding it by" in made(tmp_path / "sum", adapters, weights).text
    found = our_deltas(opened(tmp_path / "sum")[0])
    for module, W in expected(adapters, weights).items():
        assert float((found[module] - W).norm()) < 2**-23 * float(W.norm())


def test_gpt2(tmp_path):
    """Conv1D weights are stored transposed; the sum is not."""
    config = LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    folders = [saved(trained(gpt2(), config, seed), tmp_path / str(seed)) for seed in range(2)]
    adapters = opened(*folders)
    made(tmp_path / "sum", adapters, (1.0, -0.5))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="fan_in_fan_out")
        loaded = reloaded(gpt2(), tmp_path / "sum")
    assert_same(peft_deltas(loaded), expected(adapters, (1.0, -0.5)))


def test_what_cannot_be_added_is_named_and_not_written(tmp_path):
    write_random(tmp_path / "a")
    other = {"model.layers.0.self_attn.q_proj": (32, 16), "model.layers.1.self_attn.q_proj": (24, 16)}
    write_adapter(tmp_path / "b", random_factors(other))
    adapters = opened(tmp_path / "a", tmp_path / "b")
    study = analyse(adapters, Settings())
    assert refused(study, (1.0, 1.0)) == [(ModuleId(0, "self_attn.q_proj"), "24×16 in a, 32×16 in b")]
    assert refused(study, (1.0, 0.0)) == []
    with pytest.raises(InspectorError, match=r"0.self_attn.q_proj cannot be added: 24×16 in a, 32×16 in b"):
        made(tmp_path / "sum", adapters, (1.0, 1.0))
    assert not (tmp_path / "sum").exists()
    made(tmp_path / "sum", adapters, (1.0, 0.0))


def test_nan_is_refused_by_name(tmp_path):
    factors = random_factors()
    factors["model.layers.2.self_attn.v_proj"][0][0, 0] = torch.nan
    write_adapter(tmp_path / "a", factors)
    write_random(tmp_path / "b", 1)
    with pytest.raises(InspectorError, match=r"2.self_attn.v_proj cannot be added: not finite in a"):
        made(tmp_path / "sum", opened(tmp_path / "a", tmp_path / "b"), (1.0, 1.0))


def test_parts_that_cancel_are_said(tmp_path):
    one = opened(write_random(tmp_path / "a"))[0]
    text = made(tmp_path / "none", [one, one], (1, -1)).text
    assert text.endswith("The parts cancel: the sum is zero, and what was written is no more than rounding.")
    assert "to the last bit" not in text
    assert "the sum is zero" not in made(tmp_path / "some", [one, one], (1, -0.5)).text


def test_what_no_sum_has_is_said(tmp_path):
    extra = {"base_model.model.lm_head.weight": torch.ones(4, 4)}
    write_adapter(tmp_path / "a", random_factors(), extra=extra, modules_to_save=["lm_head"])
    write_random(tmp_path / "b", 1)
    adapters = opened(tmp_path / "a", tmp_path / "b")
    told = made(tmp_path / "sum", adapters, (1.0, 1.0))
    assert "a has 1 tensor, such as base_model.model.lm_head.weight, that are not part of the sum" in told.lost[0]
    assert made(tmp_path / "b alone", adapters, (0.0, 1.0)).lost == ()


def test_what_the_update_does_without_is_said_and_not_lost(tmp_path):
    extra = {"base_model.model.model.layers.0.self_attn.q_proj.lora_monteclora_sampler.weight": torch.ones(4)}
    write_adapter(tmp_path / "a", random_factors(), extra=extra)
    told = made(tmp_path / "sum", opened(tmp_path / "a"), (1.0,))
    assert told.lost == ()
    assert "state of training only" in " ".join(told.notes)


def test_other_bases_are_refused_and_a_side_that_names_none_is_not(tmp_path):
    for seed, base in enumerate(("tiny/base", "other/base", "")):
        write_random(tmp_path / str(seed), seed, base=base)
    adapters = opened(*(tmp_path / str(seed) for seed in range(3)))
    with pytest.raises(InspectorError, match=r"^0 names the base tiny/base, 1 names other/base, and their sum fits"):
        made(tmp_path / "sum", adapters, (1.0, 1.0, 1.0))
    assert not (tmp_path / "sum").exists()
    made(tmp_path / "sum", adapters, (0.0, 1.0, 1.0))
    config = json.loads((tmp_path / "sum" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "other/base"


def test_parents_that_place_modules_differently_are_said(tmp_path):
    write_random(tmp_path / "a")
    factors = {path.replace("model.", "transformer.", 1): both for path, both in random_factors(seed=1).items()}
    write_adapter(tmp_path / "b", factors)
    told = made(tmp_path / "sum", opened(tmp_path / "a", tmp_path / "b"), (1.0, 1.0))
    first = "model.layers.0.self_attn.q_proj and transformer.layers.0.self_attn.q_proj: the first counts"
    assert first in " ".join(told.notes)
    assert {m.path.partition(".")[0] for m in opened(tmp_path / "sum")[0].modules.values()} == {"model"}


def test_odd_names_are_said_on_one_printable_line(tmp_path):
    """Paths, tensors and folders as files have them: nothing of a note reaches the terminal as it is."""
    odd = "q\u202e\x1b[31m_proj"
    write_adapter(
        tmp_path / "a", random_factors({f"model.layers.0.{odd}": (8, 8)}), extra={f"odd\u202e{odd}": torch.ones(2)}
    )
    write_adapter(tmp_path / "b", random_factors({f"language_model.model.layers.0.{odd}": (8, 8)}))
    told = made(tmp_path / "sum\u202e", opened(tmp_path / "a", tmp_path / "b"), (1.0, 1.0))
    said = [told.text, *told.notes, *told.lost]
    assert all(text.isprintable() for text in said), said
    for words in (
        "Wrote ",
        "such as model.layers.0.q[31m_proj and language_model.model.layers.0.q[31m_proj",
        "such as oddq[31m_proj",
    ):
        assert any(words in text for text in said), words


class Beyond(nn.Module):
    """What PEFT adapts beside linear maps: an embedding, convolutions."""

    def __init__(self, kernel=3):
        super().__init__()
        self.embed_tokens = nn.Embedding(20, 6)
        self.one, self.two = nn.Conv1d(6, 8, kernel), nn.Conv2d(6, 8, kernel)


def test_peft_loads_sums_of_embeddings_and_convolutions(tmp_path):
    config = LoraConfig(r=3, lora_alpha=5, target_modules=["embed_tokens", "one", "two"])
    models = [trained(Beyond().double(), config, seed) for seed in range(2)]
    adapters = opened(*(saved(model, tmp_path / str(seed)) for seed, model in enumerate(models)))
    made(tmp_path / "sum", adapters, (0.5, -2.0))
    loaded = reloaded(Beyond().double(), tmp_path / "sum").base_model.model
    for name in ("embed_tokens", "one", "two"):
        parts = [getattr(model.base_model.model, name).get_delta_weight("default").flatten(1) for model in models]
        W = 0.5 * parts[0] - 2.0 * parts[1]
        torch.testing.assert_close(getattr(loaded, name).get_delta_weight("default").flatten(1), W, rtol=0, atol=1e-12)


def test_kernels_of_other_sizes_are_no_sum(tmp_path):
    """A Conv1d of 4 and a Conv2d of 2×2: matrices of one shape, weights of two."""
    write_adapter(tmp_path / "a", {"net.conv": (torch.randn(8, 2, 1), torch.randn(2, 6, 4))})
    write_adapter(tmp_path / "b", {"net.conv": (torch.randn(8, 2, 1, 1), torch.randn(2, 6, 2, 2))})
    with pytest.raises(InspectorError, match=r"net.conv has a kernel of 4 in a and of 2×2 in b"):
        made(tmp_path / "sum", opened(tmp_path / "a", tmp_path / "b"), (1.0, 1.0))
    assert not (tmp_path / "sum").exists()


def test_single_experts_are_written_with_a_word(tmp_path):
    place = "model.layers.0.mlp.experts.1.up_proj"
    write_adapter(tmp_path / "a", {place: (torch.randn(8, 2), torch.randn(2, 6))})
    told = made(tmp_path / "sum", opened(tmp_path / "a"), (1.0,))
    assert "1 module of single experts, such as model.layers.0.mlp.experts.1.up_proj" in " ".join(told.notes)
    assert [m.path for m in opened(tmp_path / "sum")[0].modules.values()] == [place]
