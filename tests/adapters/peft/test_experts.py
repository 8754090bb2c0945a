"""Experts of mixtures, and parameters that are plain weights: merged minus base by PEFT itself."""

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from inspector.study.module_id import ModuleId
from tests.adapters.peft.merged import compare, merged_minus, read, stored, texts, weights
from tests.adapters.peft.mixtures import (
    SEVEN,
    E,
    deepseek,
    edit_config,
    gpt_oss,
    granite,
    llama4,
    mixtral,
    on_stacks,
    qwen2_moe,
    qwen3_moe,
    qwen3_next,
)
from tests.adapters.peft.models import llama, our_deltas, saved, trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore::UserWarning",
    "ignore:The following .* keys did not match:RuntimeWarning",
)

EXPERTS = on_stacks(alpha_pattern={"mlp.experts.down_proj": 10})


def merged_modules(before, model):
    """Module -> its change as an operator, experts one by one, of every parameter that PEFT's merge changes."""
    found = {}
    in_out = "gpt_oss" in model.config.model_type or "llama4" in model.config.model_type
    for name, p in model.merge_and_unload().named_parameters():
        delta = p.detach() - before[name]
        if float(delta.abs().max()) == 0:
            continue
        layer, path = name.removeprefix("model.layers.").split(".", 1)
        holder, _, last = path.rpartition(".")
        if p.dim() == 3:
            each = delta.mT if in_out else delta
            found |= {ModuleId(int(layer), f"{holder}.{e}.{last}"): each[e] for e in range(E)}
        else:
            found[ModuleId(int(layer), holder)] = delta
    return found


CASES = {
    "qwen3_moe": (qwen3_moe, EXPERTS),
    "mixtral": (mixtral, on_stacks(use_rslora=True)),
    "granite": (granite, on_stacks("block_sparse_moe.experts")),
    "deepseek": (deepseek, LoraConfig(r=2, lora_alpha=6, target_modules=["kv_b_proj", "up_proj", "gate_proj"])),
    "gpt_oss": (gpt_oss, on_stacks()),
    "llama4": (llama4, on_stacks("feed_forward.experts")),
    "seven": (qwen3_moe, LoraConfig(r=2, lora_alpha=6, target_modules=SEVEN)),
    "all_linear": (qwen3_moe, LoraConfig(r=2, lora_alpha=6, target_modules="all-linear")),
    "w123": (mixtral, LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "w1", "w2", "w3"])),
    "shared": (qwen2_moe, on_stacks()),
    "hybrid": (qwen3_next, LoraConfig(r=2, lora_alpha=6, target_modules="all-linear")),
    "down_alone": (
        qwen3_moe,
        LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["down_proj"], rank_pattern={"q_proj": 3}),
    ),
    "square_down_alone": (
        lambda: qwen3_moe(16),
        LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["mlp.experts.down_proj"]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_experts(tmp_path, case):
    """One module per expert, each equal to PEFT's merged expert minus the base's; all other modules as ever."""
    make, config = CASES[case]
    base = stored(make(), tmp_path / "base")
    model = trained(make(), config)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_modules(dict(make().named_parameters()), model))
    assert {t.role for t in adapter.tensors} == {"used"}
    assert not texts(adapter, "warning")


def test_one_lora_at_the_experts_is_of_a_stack_though_the_config_names_none(tmp_path):
    make, config = CASES["down_alone"]
    base = stored(make(), tmp_path / "base")
    folder = saved(trained(make(), config), tmp_path / "adapter")
    want = our_deltas(read(folder, base))
    compare(our_deltas(read(edit_config(folder, target_parameters=None), base)), want)


@pytest.mark.parametrize("case", ["seven", "all_linear", "hybrid"])
def test_attention_is_measured_without_the_base(tmp_path, case):
    make, config = CASES[case]
    model = trained(make(), config)
    adapter = read(saved(model, tmp_path))
    want = merged_modules(dict(make().named_parameters()), model)
    left = {id_.path for id_ in adapter.info.excluded}
    assert {"mlp.experts"} <= left <= {"mlp.experts", "mlp.gate"}
    experts = {id_ for id_ in want if ".experts." in id_.path or id_.path == "mlp.gate"}
    compare(our_deltas(adapter), {id_: delta for id_, delta in want.items() if id_ not in experts})
    (text,) = texts(adapter, "warning")
    assert "only the base's shapes tell experts" in text


def test_experts_as_peft_before_0_18_wrote_them(tmp_path):
    """In and out the other way round: the same ΔW stored, told by the base's shapes."""
    base = stored(qwen3_moe(), tmp_path / "base")
    folder = saved(trained(qwen3_moe(), EXPERTS), tmp_path / "adapter")
    want = our_deltas(read(folder, base))
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    r, E = 2, 3
    for key in [k for k in tensors if "experts" in k and "lora_A" in k]:
        A, B = tensors[key], tensors[key.replace("lora_A", "lora_B")]
        out, into = B.shape[0], A.shape[1]
        experts_B, experts_A = B.reshape(out, r, E).permute(2, 1, 0), A.reshape(E, r, into)
        tensors[key] = experts_B.reshape(E * r, out).contiguous()
        tensors[key.replace("lora_A", "lora_B")] = experts_A.permute(2, 1, 0).reshape(into, r * E).contiguous()
    save_file(tensors, path)
    ours = our_deltas(read(folder, base))
    assert ours.keys() == want.keys()
    for id_, delta in ours.items():
        torch.testing.assert_close(delta, want[id_])


def test_another_rank_than_the_config_says_makes_no_parameter_of_a_module(tmp_path):
    """Where the base has the module; and a parameter that is named twice is one."""
    make, config = CASES["seven"]
    base = stored(make(), tmp_path / "base")
    model = trained(make(), config)
    folder = saved(model, tmp_path / "adapter")
    edit_config(folder, r=3, target_parameters=["gate_up_proj", "mlp.experts.gate_up_proj", "down_proj"])
    ours, want = our_deltas(read(folder, base)), merged_modules(dict(make().named_parameters()), model)
    assert ours.keys() == want.keys()


def test_experts_without_the_base_are_left_out(tmp_path):
    adapter = read(saved(trained(qwen3_moe(), EXPERTS), tmp_path))
    assert {id_.path for id_ in adapter.modules} == {"self_attn.q_proj"}
    assert {id_.path for id_ in adapter.info.excluded} == {"mlp.experts"}
    assert any("only the base's shapes tell experts" in text for text in texts(adapter, "warning"))


@pytest.mark.parametrize("version", ["0.18.1", None])
def test_square_experts_of_an_older_peft_are_unclear(tmp_path, version):
    """down_proj is 16×16: it fits both ways round, and nothing else in the file tells."""
    base = stored(qwen3_moe(16), tmp_path / "base")
    config = LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["mlp.experts.down_proj"])
    folder = saved(trained(qwen3_moe(16), config), tmp_path / "adapter")
    edit_config(folder, peft_version=version)
    adapter = read(folder, base)
    assert {id_.path for id_ in adapter.modules} == {"self_attn.q_proj"}
    assert any("more than one parameter or orientation fits" in text for text in texts(adapter, "warning"))


@pytest.mark.parametrize("with_base", [False, True])
def test_a_parameter_that_is_a_plain_weight(tmp_path, with_base):
    base = stored(llama(), tmp_path / "base") if with_base else None
    config = LoraConfig(r=4, target_modules=["q_proj"], target_parameters=["mlp.up_proj.weight"])
    model = trained(llama(), config)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(weights(llama()), model))
