"""Tiny random models wrapped by the real PEFT, and what it says ΔW is."""

import warnings
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from inspector.adapters.model import Adapter
from inspector.study.module_id import ModuleId
from tests.shown import shown


def llama() -> nn.Module:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=50,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).double()


def gpt2() -> nn.Module:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50, n_positions=8)).double()


def trained(model: nn.Module, config: PeftConfig, seed: int = 1) -> PeftModel:
    """The model under LoRA or its kin with all factors random, as if trained."""
    wrapped = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in wrapped.named_parameters():
        if any(kind in name for kind in ("lora_", "hada_", "lokr_", "vera_lambda")):
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return wrapped


def saved(model: PeftModel, folder: Path, **options: object) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT on models without a name
        model.save_pretrained(folder, save_embedding_layers=False, **options)
    return folder


def reloaded(model: nn.Module, folder: Path) -> PeftModel:
    return PeftModel.from_pretrained(model, folder)


def peft_deltas(model: PeftModel, name: str = "default") -> dict[ModuleId, Tensor]:
    """Module -> ΔW (d_out, d_in) by PEFT's own get_delta_weight."""
    deltas = {}
    for path, module in model.named_modules():
        if isinstance(module, LoraLayer) and name in module.lora_A:
            delta = module.get_delta_weight(name).detach()
            deltas[shown(path)] = delta.T if module.fan_in_fan_out else delta
    return deltas


def our_deltas(adapter: Adapter) -> dict[ModuleId, Tensor]:
    """Module -> s·B·A as the reader hands it out."""
    deltas = {}
    for id_, module in adapter.modules.items():
        B, A = adapter.load(id_)
        assert B.shape == (module.d_out, module.rank)
        assert A.shape == (module.rank, module.d_in)
        deltas[id_] = module.scale.value * B.double() @ A.double()
    return deltas


def assert_same(ours: dict[ModuleId, Tensor], theirs: dict[ModuleId, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert ours
    for id_, delta in ours.items():
        torch.testing.assert_close(delta, theirs[id_], rtol=1e-12, atol=1e-14)
