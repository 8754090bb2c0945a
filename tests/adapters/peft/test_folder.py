"""ΔW = s·B·A of the reader against PEFT's own, for what PEFT itself saves."""

import json
import warnings

import pytest
import torch
from peft import AdaLoraConfig, LoHaConfig, LoKrConfig, LoraConfig, TrainableTokensConfig, VeraConfig
from safetensors.torch import save_file

from inspector.adapters.formats import read_adapter
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.peft.config import KNOWN
from inspector.study.module_id import ModuleId
from tests.adapters.peft.models import assert_same, gpt2, llama, our_deltas, peft_deltas, reloaded, saved, trained
from tests.makers import lora_tensors, random_factors, write_adapter

# What PEFT 0.21 and transformers 5 say to each other.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def read(folder, read_options=DEFAULTS):
    return read_adapter(folder, folder.name, str(folder), read_options)


def texts(adapter, severity):
    return [f.text for f in adapter.info.findings if f.severity == severity]


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"r": 4, "lora_alpha": 6}, "1.5 (α/r = 6/4)"),
        ({"r": 4, "lora_alpha": 6, "use_rslora": True}, "3 (α/√r = 6/√4)"),
        ({"r": 2, "lora_alpha": 0.5}, "0.25 (α/r = 0.5/2)"),
        ({"r": 40, "lora_alpha": 1}, "0.025 (α/r = 1/40)"),
    ],
)
def test_scale(tmp_path, config, scale):
    model = trained(llama(), LoraConfig(target_modules=["q_proj", "down_proj"], **config))
    adapter = read(saved(model, tmp_path))
    assert_same(our_deltas(adapter), peft_deltas(model))
    assert adapter.info.scale == scale
    assert adapter.info.findings == ()
    assert adapter.info.ranks == (config["r"],)
    assert adapter.info.targets == ("down_proj", "q_proj")


@pytest.mark.filterwarnings("ignore:The following alpha_pattern keys did not match:RuntimeWarning")
@pytest.mark.parametrize("rslora", [False, True])
def test_rank_and_alpha_patterns(tmp_path, rslora):
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        use_rslora=rslora,
        target_modules=["q_proj", "v_proj", "up_proj"],
        rank_pattern={"v_proj": 2, "model.layers.1.self_attn.q_proj": 6},
        alpha_pattern={r"layers\.0\..*q_proj": 32, "^model.layers.1.mlp.up_proj": 3, "proj": 100},
    )
    model = trained(llama(), config)
    adapter = read(saved(model, tmp_path))
    assert_same(our_deltas(adapter), peft_deltas(model))
    assert adapter.info.rank == "2-6"
    assert adapter.info.scale.endswith("(per module)")
    scale = adapter.modules[ModuleId(0, "self_attn.q_proj")].scale
    assert scale.origin.startswith(r"alpha_pattern 'layers\\.0\\..*q_proj': α/")
    # "proj" is no whole component.
    assert [f.text for f in adapter.info.findings] == ["alpha_pattern: no module is hit by proj"]


def test_overlapping_patterns_change_meaning_on_reload(tmp_path):
    """save_pretrained sorts the keys: in memory `q_proj` came first, in the file `layers.0…` does."""
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj"], alpha_pattern={"q_proj": 16, "layers.0.self_attn.q_proj": 64}
    )
    model = trained(llama(), config)
    adapter = read(saved(model, tmp_path))
    again = reloaded(llama(), tmp_path)
    assert_same(our_deltas(adapter), peft_deltas(again))
    first = ModuleId(0, "self_attn.q_proj")
    torch.testing.assert_close(peft_deltas(again)[first], 4 * peft_deltas(model)[first])
    (warning,) = texts(adapter, "warning")
    assert "alpha_pattern: keys with different values hit 1 module" in warning
    assert "'layers.0.self_attn.q_proj' (64) and 'q_proj' (16)" in warning


@pytest.mark.parametrize("stored_transposed", [True, False])
def test_fan_in_fan_out(tmp_path, stored_transposed):
    """gpt2's Conv1D stores W transposed; PEFT sets the flag itself where it is wrong, and ΔW is the same operator."""
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["c_attn", "c_proj"], fan_in_fan_out=stored_transposed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = trained(gpt2(), config)
    adapter = read(saved(model, tmp_path))
    assert_same(our_deltas(adapter), peft_deltas(model))
    module = adapter.modules[ModuleId(0, "attn.c_attn")]
    assert (module.d_out, module.d_in) == (48, 16)
    assert any("fan_in_fan_out" in text for text in texts(adapter, "info"))


def test_pickle(tmp_path):
    model = trained(llama(), LoraConfig(r=4, target_modules=["q_proj"]))
    adapter = read(saved(model, tmp_path, safe_serialization=False), ReadOptions(allow_pickle=True))
    assert_same(our_deltas(adapter), peft_deltas(model))
    assert adapter.info.dtype == "F64"
    assert texts(adapter, "info") == ["a pickle, read with weights_only: nothing in it was run"]


def test_named_adapter_in_a_sub_folder(tmp_path):
    model = trained(llama(), LoraConfig(r=4, target_modules=["q_proj"]))
    model.add_adapter("second", LoraConfig(r=2, target_modules=["v_proj"], init_lora_weights=False))
    saved(model, tmp_path)
    assert_same(our_deltas(read(tmp_path / "second")), peft_deltas(model, "second"))
    assert_same(our_deltas(read(tmp_path)), peft_deltas(model))


def test_what_stands_beside_lora(tmp_path):
    """modules_to_save and biases are absolute values; lora_bias updates a bias: none is part of ΔW."""
    config = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"], lora_bias=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "the targeted layer has no bias"
        model = trained(llama(), config)
    adapter = read(saved(model, tmp_path))
    assert_same(our_deltas(adapter), peft_deltas(model))
    roles = {t.key.rpartition("model.")[2]: (t.role, t.reason.partition(":")[0]) for t in adapter.tensors}
    assert roles["lm_head.weight"] == ("ignored", "modules_to_save")
    assert roles["layers.0.self_attn.q_proj.lora_B.bias"] == ("ignored", "lora_bias")
    assert adapter.info.health == "ok"
    assert adapter.info.tensors == 7
    assert adapter.info.parameters == sum(m.rank * (m.d_in + m.d_out) for m in adapter.modules.values())


def test_an_alpha_of_a_module_is_not_read_as_peft_does_not(tmp_path):
    factors = random_factors()
    write_adapter(tmp_path, factors, lora_alpha=8)
    own = {f"base_model.model.{path}.alpha": torch.tensor(2.0) for path in factors}
    save_file(lora_tensors(factors) | own, tmp_path / "adapter_model.safetensors")
    adapter = read(tmp_path)
    assert adapter.info.scale == "2 (α/r = 8/4)"
    assert [text.partition(":")[0] for text in texts(adapter, "warning")] == [
        "6 tensors ignored, the α of one module, which PEFT does not read"
    ]


def test_dora_without_the_base_is_its_direction_part(tmp_path):
    model = trained(llama(), LoraConfig(r=4, target_modules=["q_proj"], use_dora=True))
    adapter = read(saved(model, tmp_path))
    assert_same(our_deltas(adapter), peft_deltas(model))
    (warning,) = texts(adapter, "warning")
    assert warning == "DoRA: ΔW needs the base (--base); only the direction part s·B·A is analysed"
    assert any("2 tensors ignored, DoRA magnitudes" in text for text in texts(adapter, "info"))


def test_dora_without_magnitudes_does_not_ask_for_the_base(tmp_path):
    folder = saved(trained(llama(), LoraConfig(r=4, target_modules=["q_proj"])), tmp_path)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    (warning,) = texts(read(folder), "warning")
    assert warning == (
        "DoRA: the file has no magnitudes (lora_magnitude_vector); only the direction part s·B·A is analysed"
    )


@pytest.mark.parametrize("init", ["pissa", "pissa_niter_2", "olora"])
def test_base_changing_inits_are_listed_but_not_analysed(tmp_path, init):
    model = trained(llama().float(), LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=init))
    adapter = read(saved(model, tmp_path))
    assert adapter.modules == {}
    assert adapter.info.modules == 0
    (error,) = texts(adapter, "error")
    assert f"init_lora_weights '{init}' changed the base weights: ΔW = s·(BA − B₀A₀)" in error
    assert {t.role for t in adapter.tensors} == {"ignored"}


def test_pissa_converted_when_saved(tmp_path):
    """path_initial_model_for_weight_conversion subtracts B₀A₀ at twice the rank: an ordinary LoRA, and an exact one."""
    base = llama().float()
    before = {name: p.detach().clone() for name, p in base.named_parameters() if "q_proj" in name}
    from peft import get_peft_model

    model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights="pissa"))
    saved(model, tmp_path / "start")
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
    adapter = read(saved(model, tmp_path / "end", path_initial_model_for_weight_conversion=str(tmp_path / "start")))
    ours = our_deltas(adapter)
    merged = dict(model.merge_and_unload().named_parameters())
    assert len(ours) == len(before) == 2
    for id_, delta in ours.items():
        name = f"model.layers.{id_.layer}.{id_.path}.weight"
        torch.testing.assert_close(delta.float(), merged[name].detach() - before[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("init", ["orthogonal", "gaussian", "mica", False])
def test_inits_that_leave_the_base_alone(tmp_path, init):
    model = trained(llama().float(), LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=init))
    adapter = read(saved(model, tmp_path))
    assert len(adapter.modules) == 2
    assert adapter.info.findings == ()


@pytest.mark.parametrize(
    "config",
    [LoraConfig(), AdaLoraConfig(total_step=10), LoHaConfig(), LoKrConfig(), VeraConfig(), TrainableTokensConfig()],
)
def test_the_known_config_keys_are_those_of_the_installed_peft(config):
    assert config.to_dict().keys() <= KNOWN | {"peft_version"}
