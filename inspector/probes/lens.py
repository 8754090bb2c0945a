"""Logit-lens depth: from which layer on the model's own top token is already there [nostalgebraist 2020]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inspector.base_model.hidden import States, final_norm

if TYPE_CHECKING:
    from torch import Tensor


def depths(model: Any, states: States, mask: Tensor) -> Tensor:
    """(positions,) int: the first ℓ with top(h_ℓ) = … = top(h_L), top(h) = argmax unembed(final_norm(h)).

    ℓ counts blocks, 0 is the embedding; of the positions where `mask` (batch, length) is not 0. From the last layer
    downwards only positions still in agreement are unembedded, so that a late depth costs a few layers and not all.
    """
    import torch

    norm, head = final_norm(model), model.get_output_embeddings()

    def top(h: Tensor) -> Tensor:
        return torch.as_tensor(head(norm(h)).argmax(dim=-1))

    rows = mask.bool().flatten()
    flat = [h.flatten(0, 1)[rows.to(h.device)] for h in states]
    own = _in_chunks(top, flat[-1])
    found = torch.full((len(own),), len(flat) - 1)
    agreeing = torch.arange(len(own))
    for layer in range(len(flat) - 2, -1, -1):
        same = _in_chunks(top, flat[layer][agreeing.to(flat[layer].device)]) == own[agreeing]
        agreeing = agreeing[same]
        if not len(agreeing):
            break
        found[agreeing] = layer
    return found


def _in_chunks(top: Any, h: Tensor, size: int = 512) -> Tensor:
    """The logits of all positions at once would be the largest tensor of the pass."""
    import torch

    return (
        torch.cat([top(h[at : at + size]).cpu() for at in range(0, len(h), size)])
        if len(h)
        else torch.zeros(0, dtype=torch.long)
    )
