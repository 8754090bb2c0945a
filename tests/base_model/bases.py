"""Tiny random bases of several families in float64, with adapters that fit them."""

from collections.abc import Sequence

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from inspector.adapters.model import Adapter
from inspector.base_model.base import Base
from tests.base_model.tiny_model import tiny_tokenizer
from tests.memory import adapter
from tests.shown import shown

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}


def base(family: str = "llama", dtype: torch.dtype = torch.float64, seed: int = 0) -> Base:
    tokenizer = tiny_tokenizer()
    torch.manual_seed(seed)
    vocabulary = len(tokenizer)
    if family == "gpt2":
        config = GPT2Config(n_embd=32, n_layer=3, n_head=4, vocab_size=vocabulary, n_positions=512)
        model: torch.nn.Module = GPT2LMHeadModel(config)
    elif family == "qwen3":
        model = Qwen3ForCausalLM(
            Qwen3Config(**SMALL, num_key_value_heads=2, head_dim=8, vocab_size=vocabulary, tie_word_embeddings=True)
        )
    else:
        model = LlamaForCausalLM(
            LlamaConfig(**SMALL, num_key_value_heads=2, vocab_size=vocabulary, initializer_range=0.3)
        )
    model = model.to(dtype).eval().requires_grad_(requires_grad=False)
    return Base(model, tokenizer, f"tiny/{family}", f"digest-{family}-{seed}", "cpu", str(dtype).split(".")[1])


def fitting(
    onto: Base, name: str, seed: int, ends: Sequence[str] = (), *, scale: float = 2.0, size: float = 1.0, r: int = 4
) -> Adapter:
    """Random factors for every linear map of the base whose name ends so; float32, as adapters are saved."""
    generator = torch.Generator().manual_seed(seed)
    wanted = tuple(ends) or (("c_attn", "c_proj") if "gpt2" in onto.name else ("q_proj", "v_proj", "down_proj"))
    factors = {}
    for path, module in onto.model.named_modules():
        if path.endswith(wanted) and hasattr(module, "weight"):
            rows, columns = module.weight.shape
            d_out, d_in = (columns, rows) if "gpt2" in onto.name else (rows, columns)
            B = torch.randn(d_out, r, generator=generator) * size / r**0.5 / 8
            factors[shown(path)] = (B, torch.randn(r, d_in, generator=generator) / d_in**0.5)
    return adapter(name, factors, scale)


def merged(onto: Base, parts: Sequence[tuple[Adapter, float]]) -> torch.nn.Module:
    """The straightforward reference: Σ weight·s·B·A added to a copy of the weights, in their dtype."""
    import copy

    model = copy.deepcopy(onto.model)
    with torch.no_grad():
        for path, module in model.named_modules():
            for one, weight in parts:
                if shown(path) in one.modules:
                    B, A = one.load(shown(path))
                    update = weight * one.modules[shown(path)].scale.value * (B.double() @ A.double())
                    module.weight += (update.T if "gpt2" in onto.name else update).to(module.weight.dtype)
    return model
