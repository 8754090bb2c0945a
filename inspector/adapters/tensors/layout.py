"""Which way round a model stores the matrix of a module."""

from __future__ import annotations

import re

# transformers' Conv1D stores W as in×out: these model types have it, under these names.
CONV1D_MODELS = frozenset({"gpt2", "openai-gpt", "imagegpt", "decision_transformer", "clvp", "clvp_decoder"})
_CONV1D = frozenset({"c_attn", "c_proj", "c_fc", "q_attn"})
# nn.Embedding stores in×out as well: one row a token. Output heads do not.
_EMBEDDING = re.compile(r"wte|wpe|(?!embed_out)\w*embed\w*")


def stored_in_out(module: str, model_type: str) -> bool:
    """Whether a module's weight is stored in×out, and ΔW as an operator is its transpose.

    True of embeddings (vocab×dim: the operator is dim×vocab) and of the Conv1D of GPT-2 and its kin.
    """
    name = module.rpartition(".")[2]
    return bool(_EMBEDDING.fullmatch(name)) or (model_type in CONV1D_MODELS and name in _CONV1D)
