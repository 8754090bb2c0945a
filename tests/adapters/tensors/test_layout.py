"""Which matrices are stored in×out: what transformers makes of one of each, and names of other models beside them."""

import pytest

from inspector.adapters.tensors.layout import CONV1D_MODELS, stored_in_out

CONV1D = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "attn.q_attn")


@pytest.mark.parametrize("model", [*sorted(CONV1D_MODELS), "llama", "gpt_bigcode", "starcoder2", ""])
def test_a_conv1d_is_one_by_the_model_and_its_own_name(model):
    """StarCoder's c_attn, c_proj and c_fc are linear maps, and so is the head of GPT-2."""
    stored = [stored_in_out(f"transformer.h.0.{name}", model) for name in CONV1D]
    assert stored == [model in CONV1D_MODELS] * len(CONV1D)
    assert not stored_in_out("lm_head", model)
    assert not stored_in_out("transformer.h.0.attn.q_proj", model)


@pytest.mark.parametrize(
    ("name", "embedding"),
    [
        *((name, True) for name in ("wte", "wpe", "embed_tokens", "embed_in", "word_embeddings", "embeddings")),
        *((name, False) for name in ("embed_out", "my_wte", "wte2", "q_proj", "embed_tokens.q_proj")),
    ],
)
@pytest.mark.parametrize("model", ["gpt2", "llama"])
def test_embeddings_are_stored_by_token(model, name, embedding):
    assert stored_in_out(name, model) == stored_in_out(f"model.{name}", model) == embedding
