"""The passes of a step: which of its rows go through the model together, and how they lie there.

Rows of one length waste nothing when padded on the right. Else they can lie end to end, where an attention for rows of
several lengths keeps them apart by where each begins.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.import_utils import is_flash_attn_2_available

from inspector.common.errors import InspectorError

varlen_attn: Any = None
with suppress(ImportError):  # torch before 2.10
    from torch.nn.attention.varlen import varlen_attn
_VARLEN = "torch_varlen"
_LENGTH = 8
_LEAST = 4096
"""Tokens that a GPU computes while the kernels of a pass are launched; beside an H100 that took 0.34 s."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a pass; 0: none."""

    rows: int
    tokens: int = 0
    """With the padding."""
    free: bool = False
    """End to end, without padding."""


def cut(lengths: Sequence[int], limits: Limits) -> list[slice]:
    """Neighbouring rows, within the limits of a pass; a row that is too long alone is a pass of its own.

    Where tokens are limited: the cut of the fewest tokens with padding, where a pass counts for at least `_LEAST`;
    of those that are equal the one of the fewest passes, and of these the most even one.
    """
    every = limits.rows or len(lengths)
    if not limits.tokens:
        return [slice(first, min(first + every, len(lengths))) for first in range(0, len(lengths), every)]
    cheapest: list[tuple[tuple[float, int, int], list[slice]]] = [((0, 0, 0), [])]
    """Of the first 0, 1, 2, … rows: (tokens, passes, tokens of the largest), and how they are cut."""
    for end in range(1, len(lengths) + 1):
        found: tuple[tuple[float, int, int], list[slice]] = ((math.inf, 0, 0), [])
        for first in range(end - 1, max(end - every, 0) - 1, -1):
            rows = lengths[first:end]
            tokens = sum(rows) if limits.free else len(rows) * max(rows)
            if tokens > limits.tokens and len(rows) > 1:
                break
            (before, count, largest), cuts = cheapest[first]
            cost = (before + max(tokens, _LEAST), count + 1, max(largest, tokens))
            found = min(found, (cost, [*cuts, slice(first, end)]), key=lambda pair: pair[0])
        cheapest.append(found)
    return cheapest[-1][1]


def taken(inputs: Mapping[str, Any], rows: slice, limits: Limits) -> dict[str, Any]:
    """The inputs of one pass, of (rows, tokens) padded on the right; `lengths` (rows,) stays on the CPU."""
    lengths = inputs["lengths"][rows]
    part = {key: inputs[key][rows, : max(lengths)] for key in ("input_ids", "labels")}
    if limits.free:
        part = _end_to_end(part, lengths)
    return {**part, "weight": inputs["weight"][rows], "lengths": lengths}


def by_row(flat: Tensor, inputs: Mapping[str, Any]) -> Tensor:
    """(1, tokens − 1) -> (rows, longest), each value at its token's place in its row; padded input is left as it is.

    No row's first token is predicted, so that the first column stays 0.
    """
    if "position_ids" not in inputs:
        return flat
    return pad_sequence(list(torch.split(pad(flat[0], (1, 0)), inputs["lengths"])), batch_first=True)


def unmask(model: Any) -> None:
    """Let the base's attention be causal and no more: what is padded on the right comes after all that counts.

    With a mask of its own for every row attention takes a slower way, and stores tokens × tokens a row.
    """
    if getattr(model.config, "is_causal", True):
        model.base_model.register_forward_pre_hook(_without_mask, with_kwargs=True)


def end_to_end(model: Any, padding: str) -> bool:
    """Whether rows lie end to end: `free`, or `auto` where the base has an attention for them, which it then is given.

    Raises InspectorError for `free` where there is none, or a row's log-probs depend on what stands before it.
    """
    if padding == "padded":
        return False
    before, attention = model.config._attn_implementation, _for_rows(model)  # noqa: SLF001
    why = (
        "padding=free needs an attention for rows of several lengths: FlashAttention or torch 2.10, on a GPU in "
        "bfloat16. Leave it padded."
    )
    if attention:
        model.set_attn_implementation(attention)
        if _apart(model):
            return True
        model.set_attn_implementation(before)
        why = (
            f"padding=free: in this base, with its attention ({attention}), rows of one pass see each other or are "
            "not taken: leave it padded."
        )
    if padding == "free":
        raise InspectorError(why)
    return False


def _for_rows(model: Any) -> str:
    """The attention for rows of several lengths that there is here; empty where only one with a dense mask is."""
    if model.device.type != "cuda" or model.dtype == torch.float32:
        return ""
    if is_flash_attn_2_available():
        return "flash_attention_2"
    if varlen_attn is None:
        return ""
    windows = "window_size" in inspect.signature(varlen_attn).parameters
    return _VARLEN if windows or not getattr(model.config, "sliding_window", None) else ""


def _end_to_end(part: Mapping[str, Tensor], lengths: Sequence[int]) -> dict[str, Any]:
    """(rows, tokens) -> (1, tokens of all rows), with what tells an attention where each row begins."""
    found: dict[str, Any] = {
        key: torch.cat([row[:length] for row, length in zip(value, lengths, strict=True)])[None]
        for key, value in part.items()
    }
    device = part["input_ids"].device
    found["position_ids"] = torch.cat([torch.arange(length, device=device) for length in lengths])[None]
    ends = torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32, non_blocking=True)
    found |= {f"cu_seq_lens_{side}": ends for side in "qk"} | {f"max_length_{side}": max(lengths) for side in "qk"}
    return found


def _without_mask(_model: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """But with a cache it is sampled, from prompts padded on the left."""
    return args, kwargs if kwargs.get("past_key_values") is not None else kwargs | {"attention_mask": None}


@contextmanager
def sampling(model: Any) -> Iterator[None]:
    """Within it the model has an attention that takes padded prompts and a cache."""
    before = model.config._attn_implementation  # noqa: SLF001
    if before == _VARLEN:
        model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        if before == _VARLEN:
            model.set_attn_implementation(before)


def _varlen_attention(
    _module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Any, *, scaling: float | None = None,
    sliding_window: int | None = None, cu_seq_lens_q: Tensor | None = None, max_length_q: int = 0, **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """(1, heads, tokens, head size) -> (1, tokens, heads, head size), as transformers calls it; one row by default."""
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))
    window = (sliding_window - 1 if sliding_window else -1, 0)
    wanted = {"scale": scaling, "window_size": window, "enable_gqa": True, "is_causal": True}
    known = inspect.signature(varlen_attn).parameters  # torch 2.10 has the last of these alone
    more = {name: value for name, value in wanted.items() if name in known}
    if "enable_gqa" not in known:
        k, v = (part.repeat_interleave(q.shape[1] // k.shape[1], 1) for part in (k, v))
    if "scale" not in known and scaling is not None:
        q = q * (scaling * q.shape[-1] ** 0.5)
    longest = max_length_q or len(q)
    ends = torch.tensor([0, len(q)], device=q.device, dtype=torch.int32) if cu_seq_lens_q is None else cu_seq_lens_q
    found = varlen_attn(q, k, v, ends, ends, longest, longest, **more)
    return found[None], None


ALL_ATTENTION_FUNCTIONS.register(_VARLEN, _varlen_attention)


def _apart(model: Any) -> bool:
    """Whether the base takes two rows, and another first one leaves the second one's logits the same, bit for bit."""
    rows = torch.arange(3 * _LENGTH, device=model.device).view(3, _LENGTH)
    found = []
    for first in rows[:2]:
        part = torch.stack([first, rows[2]])
        given = _end_to_end({"input_ids": part}, [_LENGTH, _LENGTH])
        try:
            with torch.inference_mode():
                found.append(model(**given, use_cache=False).logits[:, _LENGTH:])
        except (RuntimeError, TypeError, ValueError):  # heads too large for it, a base that takes no such arguments
            return False
    return torch.equal(*found)
