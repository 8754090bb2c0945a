"""Qwen3-4B from its config, with random weights: for timing only."""

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from inspector.adapters.model import Adapter
from inspector.base_model.base import Base
from tests.base_model.tiny_model import tiny_tokenizer
from tests.memory import qwen3_4b


def qwen3_4b_base(device: str) -> Base:
    """36 layers, hidden 2560, bfloat16; a tokenizer of characters stands in for its own."""
    config = Qwen3Config(
        hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32,
        num_key_value_heads=8, head_dim=128, vocab_size=151936, tie_word_embeddings=True, dtype=torch.bfloat16,
    )  # fmt: skip
    with torch.device(device):
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        model = Qwen3ForCausalLM(config)
        torch.set_default_dtype(before)
    model.eval().requires_grad_(requires_grad=False)
    return Base(model, tiny_tokenizer(), "Qwen3-4B (random weights)", "random", f"{device}:0", "bfloat16")


def qwen3_4b_adapters(count: int) -> list[Adapter]:
    return [qwen3_4b(f"a{seed}", seed) for seed in range(count)]
