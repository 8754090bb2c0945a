"""Rows of query and key projections between two orders of rotary embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from inspector.adapters.files.config_file import is_number, read_json_object
from inspector.adapters.options import ReadOptions
from inspector.common.errors import InspectorError

if TYPE_CHECKING:
    from torch import Tensor


def halves(rows: Tensor, heads: int) -> Tensor:
    """Rows (heads·d, …) of interleaved pairs in each head, x₀ y₀ x₁ y₁ …, in Hugging Face's order, x₀ x₁ … y₀ y₁ ….

    The inverse of `LlamaModel.permute` in llama.cpp's conversion and of torchtune's `hf_to_tune`.
    """
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def head_counts(folder: Path, read_options: ReadOptions) -> Mapping[str, int]:
    """`q_proj` and `k_proj` -> heads, by the config.json beside the adapter or in the given base; else empty."""
    for whole in _configs(folder, read_options):
        text = whole.get("text_config")
        config = text if isinstance(text, dict) else whole
        q, k = config.get("num_attention_heads"), config.get("num_key_value_heads")
        if _counts(q):
            return {"q_proj": int(q), "k_proj": int(k) if _counts(k) else int(q)}
    return {}


def _counts(value: object) -> TypeGuard[float]:
    return is_number(value) and value > 0 and value == int(value)


def _configs(folder: Path, read_options: ReadOptions) -> list[dict[str, Any]]:
    paths = [folder / "config.json"]
    if read_options.base is not None:
        paths.append(read_options.base.folder / "config.json")
    found = []
    for path in paths:
        try:
            if path.is_file():
                found.append(read_json_object(path)[0])
        except InspectorError:
            continue
    return found
