"""Experts of mixtures, and parameters that are plain weights: merged minus base by PEFT itself."""

import pytest
import torch
from peft import LoraConfig
from transformers import MixtralConfig, MixtralForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

from inspector.names import ModuleId
from tests.adapters.peft.merged import compare, merged_minus, read, stored, texts, weights
from tests.adapters.peft.models import llama, our_deltas, saved, trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore::UserWarning",
    "ignore:The following alpha_pattern keys did not match:RuntimeWarning",
)


MOE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 50,
    "pad_token_id": 0,
}


def qwen3_moe(intermediate=12):
    torch.manual_seed(0)
    sizes = {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": intermediate, "head_dim": 8}
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**MOE, **sizes, intermediate_size=24, decoder_sparse_step=1)).double()


def mixtral():
    torch.manual_seed(0)
    return MixtralForCausalLM(MixtralConfig(**MOE, intermediate_size=12, num_local_experts=3)).double()


EXPERTS = LoraConfig(
    r=2,
    lora_alpha=6,
    target_modules=["q_proj"],
    target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
    alpha_pattern={"mlp.experts.down_proj": 10},
)


@pytest.mark.parametrize("make", [qwen3_moe, mixtral])
def test_experts(tmp_path, make):
    """One module per expert, each equal to PEFT's merged expert minus the base's."""
    base = stored(make(), tmp_path / "base")
    before = dict(make().named_parameters())
    model = trained(make(), EXPERTS)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    after = dict(model.merge_and_unload().named_parameters())
    ours = our_deltas(adapter)
    assert len(ours) == 2 + 2 * 2 * 3
    assert {t.role for t in adapter.tensors} == {"used"}
    for layer in range(2):
        for name in ("gate_up_proj", "down_proj"):
            key = f"model.layers.{layer}.mlp.experts.{name}"
            for e in range(3):
                delta = ours[ModuleId(layer, f"mlp.experts.{e}.{name}")]
                torch.testing.assert_close(delta, (after[key] - before[key])[e].detach())


def test_experts_as_peft_before_0_18_wrote_them(tmp_path):
    """In and out the other way round: the same ΔW stored, told by the base's shapes."""
    from safetensors.torch import load_file, save_file

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
