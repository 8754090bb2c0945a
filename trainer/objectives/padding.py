"""Rows laid end to end in one pass instead of padded to one length, for objectives that weigh tokens row by row.

transformers keeps such rows apart by their position ids; an attention that does not look at them is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers.utils.import_utils import is_flash_attn_2_available

from inspector.errors import InspectorError

_LENGTH = 8


def prepare(model: Any, collate: Any) -> None:
    """FlashAttention where it is installed; else the dense masks of the base's own attention, exact but not faster.

    Raises InspectorError where a row's log-probs depend on what stands before it.
    """
    if model.device.type == "cuda" and model.dtype != torch.float32 and is_flash_attn_2_available():
        model.set_attn_implementation("flash_attention_2")
    if not _apart(model, collate):
        raise InspectorError(
            f"padding=free: in this base, with its attention ({model.config._attn_implementation}), rows of one "  # noqa: SLF001
            "pass see each other: leave it padded."
        )


def by_row(flat: Tensor, inputs: Mapping[str, Any], rows: int) -> Tensor:
    """(1, tokens − 1) -> (rows, longest), each value at its token's place in its row; padded input is left as it is.

    No row's first token is predicted, so that the first column stays 0.
    """
    if "seq_idx" not in inputs:
        return flat
    places = (inputs["seq_idx"][0, 1:].long(), inputs["position_ids"][0, 1:])
    return flat.new_zeros(rows, inputs["max_length_q"]).index_put(places, flat[0])


def tokens(inputs: Mapping[str, Any]) -> Tensor:
    """How many a pass holds, padding apart."""
    if "attention_mask" in inputs:
        count: Tensor = inputs["attention_mask"].sum()
        return count
    ids: Tensor = inputs["input_ids"]
    return torch.full((), ids.numel(), device=ids.device)


def _apart(model: Any, collate: Any) -> bool:
    """Whether another first row leaves the second one's logits the same, bit for bit."""
    rows = torch.arange(3 * _LENGTH).view(3, _LENGTH).tolist()
    found = []
    for first in rows[:2]:
        inputs = collate([{"input_ids": ids, "labels": ids, "weight": 1.0} for ids in (first, rows[2])])
        given = {k: v.to(model.device) if torch.is_tensor(v) else v for k, v in inputs.items()}
        del given["labels"], given["weight"]
        with torch.inference_mode():
            found.append(model(**given, use_cache=False).logits[:, _LENGTH:])
    return torch.equal(*found)
