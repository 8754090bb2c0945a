"""`convert` of a PEFT folder: PEFT loads what was written to the same model, with all that is beside the LoRAs."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import LlamaConfig, LlamaForSequenceClassification, Qwen2Config, Qwen2ForCausalLM

from inspector.adapters.options import ReadOptions
from inspector.workflows.convert import convert
from tests.adapters.peft.merged import stored
from tests.adapters.peft.mixtures import qwen2_moe
from tests.adapters.peft.models import llama, saved, trained
from tests.makers import random_factors, write_adapter

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning", "ignore::UserWarning"
)
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 50,
    "pad_token_id": 0,
}


def qwen2():
    """A model whose attention has biases."""
    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**SIZES)).double()


def mixture():
    """Computed expert by expert: the grouped product has no float64."""
    model = qwen2_moe()
    model.set_experts_implementation("eager")
    return model


def classifier():
    torch.manual_seed(0)
    return LlamaForSequenceClassification(LlamaConfig(**SIZES, num_labels=3)).double()


CASES = {
    "lora_bias": (qwen2, {"lora_bias": True}),
    "bias_in_a_mixture": (mixture, {"lora_bias": True, "target_modules": r".*(q_proj|shared_expert\.down_proj)"}),
    "all_biases": (qwen2, {"bias": "all"}),
    "lora_only": (qwen2, {"bias": "lora_only"}),
    "head": (classifier, {"task_type": "SEQ_CLS"}),
    "modules_to_save": (llama, {"modules_to_save": ["lm_head", "mlp"]}),
    "tokens": (llama, {"trainable_token_indices": [3, 5]}),
    "dora": (llama, {"use_dora": True}),
    "dora_ranks": (llama, {"use_dora": True, "rank_pattern": {"v_proj": 3}, "use_rslora": True}),
    "embedding": (llama, {"target_modules": ["q_proj", "embed_tokens"], "alpha_pattern": {"embed_tokens": 3}}),
}


@pytest.mark.parametrize("with_base", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_peft_loads_the_same_model(tmp_path, case, with_base):
    make, options = CASES[case]
    model = trained(make(), LoraConfig(**{"r": 2, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"]} | options))
    generator = torch.Generator().manual_seed(2)
    for name, p in model.named_parameters():
        if p.requires_grad and "lora_A" not in name and "lora_B.default.weight" not in name:
            p.data += torch.rand(p.shape, generator=generator, dtype=torch.float64)
    source = saved(model, tmp_path / "in")
    read_options = ReadOptions(stored(make(), tmp_path / "base")) if with_base else ReadOptions()
    assert convert(str(source), tmp_path / "out", read_options) == 0
    ids = torch.arange(1, 9)[None]
    again = PeftModel.from_pretrained(make(), tmp_path / "out")
    torch.testing.assert_close(again(ids).logits, model.eval()(ids).logits, rtol=1e-12, atol=1e-12)
    assert float((again(ids).logits - make().eval()(ids).logits).norm()) > 0.01


def test_an_embedding_of_any_name_and_a_linear_map_named_as_one(tmp_path):
    """Their slots tell which they are."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.codes, self.wte = nn.Embedding(10, 6), nn.Linear(6, 6)

        def forward(self, x):
            return self.wte(self.codes(x))

    torch.manual_seed(0)
    net = Net()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    model = get_peft_model(net, LoraConfig(r=2, target_modules=["codes", "wte"], init_lora_weights=False)).double()
    assert convert(str(saved(model, tmp_path / "in")), tmp_path / "out") == 0
    before, after = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("in", "out"))
    assert before.keys() == after.keys()
    fresh = Net()
    fresh.load_state_dict(state)
    x = torch.arange(10)
    torch.testing.assert_close(PeftModel.from_pretrained(fresh, tmp_path / "out").double()(x), model(x))


def test_a_head_under_the_keys_of_a_whole_model_is_the_trained_one(tmp_path):
    """As `state_dict` has it: beside the base's own, and with the adapter's name."""
    trained_head, own = torch.ones(3, 16), torch.zeros(3, 16)
    head = "base_model.model.score"
    extra = {f"{head}.modules_to_save.default.weight": trained_head, f"{head}.original_module.weight": own}
    write_adapter(tmp_path / "in", random_factors(), extra=extra, task_type="SEQ_CLS")
    assert convert(str(tmp_path / "in"), tmp_path / "out") == 3
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert torch.equal(tensors[f"{head}.weight"], trained_head)
    assert [key for key in tensors if "score" in key] == [f"{head}.weight"]


def test_magnitudes_that_only_some_modules_have_are_left_out(tmp_path, capsys):
    """PEFT would take the others for DoRA as well."""
    model = trained(llama(), LoraConfig(r=2, target_modules=["q_proj", "v_proj"], use_dora=True))
    folder = saved(model, tmp_path / "in")
    path = folder / "adapter_model.safetensors"
    save_file({key: t for key, t in load_file(path).items() if "v_proj.lora_magnitude" not in key}, path)
    assert convert(str(folder), tmp_path / "out") == 3
    assert "DoRA magnitudes: they need the base weights" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["use_dora"] is False
