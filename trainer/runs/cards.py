"""GPUs by their data sheets, for plans made where there is none. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """FLOP/s of dense bfloat16 products, bytes/s and bytes of its memory."""

    flops: float
    bandwidth: float
    memory: float


CARDS = {
    "a100": Card(312e12, 2.0e12, 80e9),
    "h100": Card(989e12, 3.35e12, 80e9),
    "h200": Card(989e12, 4.8e12, 141e9),
    "b200": Card(2250e12, 8.0e12, 180e9),
    "l40s": Card(362e12, 0.864e12, 48e9),
    "rtx4090": Card(165e12, 1.008e12, 24e9),
}
SHARE = 0.28
"""Of a card's FLOP/s: SFT of Qwen3-4B on an H100 reached .27, and .31 with every block run twice; others not tried."""
LAUNCH = 1e-3
"""Seconds a block for a token of a batch of completions: its kernels are small, and launched one by one. Not tried."""
