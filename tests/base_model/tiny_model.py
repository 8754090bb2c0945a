"""A random Llama of a few thousand weights with a tokenizer of characters, made here: nothing is downloaded."""

import string
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.makers import random_factors, write_adapter

MODULES = {
    f"model.layers.{layer}.self_attn.{projection}": shape
    for layer in range(2)
    for projection, shape in {"q_proj": (32, 32), "v_proj": (16, 32)}.items()
}


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character."""
    words = ["<pad>", "<eos>", "<unk>", *string.printable]
    inner = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def tiny_model(tokenizer: PreTrainedTokenizerFast, *, seed: int = 0, context: int = 512) -> LlamaForCausalLM:
    """It answers in digits and spaces, and sometimes ends."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=len(tokenizer), max_position_embeddings=context, initializer_range=0.5,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    said = torch.tensor([tokenizer.eos_token_id, *tokenizer.convert_tokens_to_ids([*string.digits, " "])])
    silent = torch.ones(len(tokenizer), dtype=torch.bool).index_fill(0, said, value=False)
    model.lm_head.weight.data[silent] = 0
    return model


def saved_base(folder: Path) -> Path:
    """The model and its tokenizer as a folder."""
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def saved_adapter(folder: Path, seed: int, *, base: str | None = None) -> Path:
    """A random adapter that fits, large enough to change answers."""
    return write_adapter(folder, random_factors(MODULES, seed=seed), alpha=64, base=base)
