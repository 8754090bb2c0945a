"""ΔW of the reader against PEFT's own for convolutions, embeddings, AdaLoRA, LoHa and LoKr, as PEFT saves them."""

import json

import pytest
import torch
from peft import AdaLoraConfig, LoHaConfig, LoKrConfig, LoraConfig
from safetensors.torch import load_file, save_file
from torch import nn

from inspector.adapters.formats import read_adapter
from inspector.study.module_id import ModuleId
from tests.adapters.peft.models import assert_same, llama, our_deltas, reloaded, saved, trained
from tests.makers import lora_tensors, random_factors, write_adapter, write_config
from tests.shown import shown

# What PEFT 0.21 says of its own.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore::UserWarning",
    "ignore:The following rank_pattern keys did not match:RuntimeWarning",
)


class Convolutions(nn.Module):
    """One of each kind PEFT adapts."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv1d(6, 8, 3)
        self.two = nn.Conv2d(6, 8, 3)
        self.point = nn.Conv2d(8, 6, 1)
        self.three = nn.Conv3d(4, 6, 2)
        self.linear = nn.Linear(12, 10)


def convolutions():
    torch.manual_seed(0)
    return Convolutions().double()


def read(folder):
    return read_adapter(folder, folder.name, str(folder))


def theirs(model):
    """Module -> ΔW (d_out, the rest) by PEFT's own get_delta_weight."""
    deltas = {}
    for path, module in model.named_modules():
        if hasattr(module, "get_delta_weight"):
            with torch.no_grad():
                deltas[shown(path)] = module.get_delta_weight("default").flatten(1)
    return deltas


def check(model, folder, tolerance=1e-12):
    ours, other = our_deltas(read(saved(model, folder))), theirs(model)
    assert ours.keys() == other.keys()
    assert len(ours) > 0
    for id_, delta in ours.items():
        torch.testing.assert_close(delta, other[id_], rtol=tolerance, atol=tolerance)
        assert float(delta.norm()) > 0


def test_convolutions(tmp_path):
    model = trained(convolutions(), LoraConfig(r=3, lora_alpha=5, target_modules=["one", "two", "point", "three"]))
    check(model, tmp_path)
    adapter = read(tmp_path)
    two = adapter.modules[ModuleId(None, "two")]
    assert (two.d_out, two.d_in, two.rank, two.kernel) == (8, 6 * 9, 3, (3, 3))
    assert {t.role for t in adapter.tensors} == {"used"}


def test_grouped_convolution_is_what_its_forward_does(tmp_path):
    """PEFT cannot merge these: ΔW is applied to an input and compared with the adapted layer's difference."""
    torch.manual_seed(0)
    base = nn.Sequential(nn.Conv2d(6, 8, 3, groups=2)).double()
    plain = nn.Conv2d(6, 8, 3, groups=2).double()
    plain.load_state_dict(base[0].state_dict())
    model = trained(base, LoraConfig(r=4, lora_alpha=8, target_modules=["0"]))
    (delta,) = our_deltas(read(saved(model, tmp_path))).values()
    x = torch.randn(2, 6, 5, 5, dtype=torch.float64)
    with torch.no_grad():
        difference = model(x) - plain(x)
        ours = nn.functional.conv2d(x, delta.reshape(8, 6, 3, 3))
    torch.testing.assert_close(ours, difference)


def test_embedding_is_an_operator_from_tokens(tmp_path):
    """ΔW (dim, vocab) maps a token's unit vector to its change; PEFT's is the transpose, rows of tokens."""
    model = trained(llama(), LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj", "embed_tokens"]))
    adapter = read(saved(model, tmp_path))
    ours, other = our_deltas(adapter), theirs(model)
    id_ = ModuleId(None, "model.embed_tokens")
    other[id_] = other[id_].T
    assert_same(ours, other)
    assert ours[id_].shape == (16, 50)
    assert {t.role for t in adapter.tensors} == {"used"}


def test_lora_bias_is_listed(tmp_path):
    config = LoraConfig(r=4, target_modules=["linear", "two"], lora_bias=True)
    model = trained(convolutions(), config)
    check(model, tmp_path)
    assert sum(t.reason.startswith("lora_bias") for t in read(tmp_path).tensors) == 2


@pytest.mark.parametrize("alpha", [6, 0])
def test_adalora(tmp_path, alpha):
    config = AdaLoraConfig(init_r=4, target_r=2, total_step=10, lora_alpha=alpha, target_modules=["q_proj", "v_proj"])
    model = trained(llama(), config)
    check(model, tmp_path, 1e-7)  # PEFT keeps the rank in float32
    assert read(tmp_path).info.format == "PEFT AdaLoRA"


def test_adalora_pruned(tmp_path):
    """Ranks are cut when saved, the divisor stays that of the start; a module without any is zero, not excluded."""
    config = AdaLoraConfig(init_r=4, target_r=2, total_step=10, lora_alpha=8, target_modules=["q_proj"])
    model = trained(llama(), config)
    keep = {"layers.0": [True, False, True, True], "layers.1": [False] * 4}
    model.peft_config["default"].rank_pattern = {
        f"model.{layer}.self_attn.q_proj.lora_E": mask for layer, mask in keep.items()
    }
    saved(model, tmp_path)
    adapter = read(tmp_path)
    ours, other = our_deltas(adapter), theirs(reloaded(llama(), tmp_path))
    first = ModuleId(0, "self_attn.q_proj")
    assert ours.keys() == {first}
    assert adapter.modules[first].rank == 3
    torch.testing.assert_close(ours[first], other[first], rtol=1e-6, atol=1e-7)
    assert adapter.info.excluded == ()
    assert [t.reason for t in adapter.tensors if t.role != "used"] == [
        "AdaLoRA left the module no rank: its ΔW is zero"
    ] * 3


@pytest.mark.parametrize("effective", [False, True])
@pytest.mark.parametrize("r", [2, 3])
def test_loha(tmp_path, effective, r):
    config = LoHaConfig(
        r=r,
        alpha=2 * r,
        rank_dropout=0.5,
        use_effective_conv2d=effective,
        target_modules=["linear", "one", "two", "point"],
        rank_pattern={"two": 1},
        alpha_pattern={"linear": r / 2},
    )
    check(trained(convolutions(), config), tmp_path)
    adapter = read(tmp_path)
    assert adapter.info.format == "PEFT LoHa"
    assert adapter.modules[ModuleId(None, "linear")].rank == min(r * r, 10)


@pytest.mark.parametrize("effective", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("r", [2, 50])
def test_lokr(tmp_path, effective, both, r):
    config = LoKrConfig(
        r=r,
        alpha=4 * r,
        decompose_both=both,
        use_effective_conv2d=effective,
        target_modules=["linear", "one", "two", "point"],
        alpha_pattern={"point": r},
    )
    check(trained(convolutions(), config), tmp_path)


def test_lokr_of_whole_factors_takes_its_rank_from_the_config(tmp_path):
    """Nothing in the file but the first of the config's patterns tells r, and α/r is the scale all the same."""
    config = LoKrConfig(r=50, alpha=25, target_modules=["linear"], rank_pattern={"linear": 100, "line.r": 60})
    check(trained(convolutions(), config), tmp_path)
    assert read(tmp_path).modules[ModuleId(None, "linear")].scale.value == 0.25


def test_enable_lora_of_old_peft(tmp_path):
    """A fused qkv of which q and v are adapted: A holds two halves, B is 3-D and grouped (PEFT 0.2)."""
    generator = torch.Generator().manual_seed(0)
    A, B = torch.randn(8, 16, generator=generator), torch.randn(32, 4, 1, generator=generator)
    prefix = "base_model.model.transformer.h.0.attn.c_attn"
    tensors = {f"{prefix}.lora_A.weight": A, f"{prefix}.lora_B.weight": B}
    write_adapter(tmp_path, {}, r=4, alpha=8, extra=tensors, enable_lora=[True, False, True])
    (delta,) = our_deltas(read(tmp_path)).values()
    x = torch.randn(5, 16, generator=generator)
    # What MergedLinear's forward did: a grouped convolution, its halves put at the enabled thirds.
    after = nn.functional.conv1d((x @ A.T).T[None], B, groups=2)[0].T * 2
    want = torch.cat([after[:, :16], torch.zeros(5, 16), after[:, 16:]], 1)
    torch.testing.assert_close((x.double() @ delta.T).float(), want, rtol=1e-5, atol=1e-5)


def test_layer_replication_says_whose_layers_they_are(tmp_path):
    model = trained(llama(), LoraConfig(r=4, target_modules=["q_proj"], layer_replication=[[0, 2], [1, 2]]))
    adapter = read(saved(model, tmp_path))
    assert [id_.layer for id_ in adapter.modules] == [0, 1, 2]
    assert any("made of the base's layers 0 to 1, 1 to 1" in f.text for f in adapter.info.findings)


def test_two_adapters_in_one_file_are_refused(tmp_path):
    tensors = {
        key.replace(".weight", f".{name}.weight"): tensor.clone()
        for name in ("default", "policy")
        for key, tensor in lora_tensors(random_factors()).items()
    }
    adapter = read(write_adapter(tmp_path, {}, r=4, extra=tensors))
    assert adapter.modules == {}
    assert "the file holds 2 adapters (default, policy)" in adapter.info.findings[0].text


def test_sharded(tmp_path):
    model = trained(llama(), LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    whole = load_file(saved(model, tmp_path / "whole") / "adapter_model.safetensors")
    config = json.loads((tmp_path / "whole" / "adapter_config.json").read_text())
    write_config(tmp_path / "shards", **config)
    names = [f"adapter_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    weight_map = {key: names[n % 2] for n, key in enumerate(whole)}
    for name in names:
        save_file({k: t for k, t in whole.items() if weight_map[k] == name}, tmp_path / "shards" / name)
    index = tmp_path / "shards" / "adapter_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert_same(our_deltas(read(tmp_path / "shards")), our_deltas(read(tmp_path / "whole")))


@pytest.mark.parametrize(
    ("config", "tensors"),
    [
        ({"peft_type": "LOKR", "alpha": 8, "r": 8}, {"lokr_w1": (1500, 1500), "lokr_w2": (1500, 1500)}),
        (
            {"peft_type": "LOHA", "alpha": 8, "r": 8},
            {
                f"hada_w{n}_{half}": shape
                for n in (1, 2)
                for half, shape in {"a": (10**5, 99), "b": (99, 10**4)}.items()
            },
        ),
        ({"r": 8, "lora_alpha": 8}, {"lora_A.weight": (10**6, 1, 1), "lora_B.weight": (10**6, 1, 1)}),
    ],
)
def test_small_tensors_that_unfold_into_huge_ones_are_not_read(tmp_path, config, tensors):
    write_config(tmp_path, **config)
    prefix = "base_model.model.layers.0.q_proj"
    zeros = {f"{prefix}.{name}": torch.zeros(shape, dtype=torch.float16) for name, shape in tensors.items()}
    save_file(zeros, tmp_path / "adapter_model.safetensors")
    adapter = read(tmp_path)
    assert adapter.modules == {}
    assert any("would not fit into memory" in f.text for f in adapter.info.findings)
