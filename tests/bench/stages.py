"""What a stage of a benchmark takes: seconds a step, tokens a second, memory and kernels of a GPU; its time limit."""

import contextlib
import gc
import itertools
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from transformers import TrainerCallback

from tests.bench.relay import clocks


@dataclass(frozen=True)
class Result:
    name: str
    seconds: float
    tokens: int
    gigabytes: float
    note: str = ""

    def __str__(self) -> str:
        speed = self.tokens / self.seconds
        return f"{self.name:<44}{self.seconds:8.3f} s {speed:9,.0f} tokens/s {self.gigabytes:7.1f} GB  {self.note}"


class Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self, warm: int) -> None:
        self.ends, self._warm = [clocks().wall], warm

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(clocks().wall)

    @property
    def step(self) -> float:
        """Seconds, the median without the first `warm` steps."""
        return median(b - a for a, b in itertools.pairwise(self.ends[self._warm :]))


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    def over(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds} s")

    signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def peak(*, reset: bool = False) -> float:
    """GB of the GPU since the last reset."""
    if not torch.cuda.is_available():
        return 0.0
    if reset:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.max_memory_allocated() / 1e9


def kernels(trainer: Any) -> str:
    """Seconds of the GPU by kind of kernel."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        trainer.train()
    words = {
        "float32 products": ("sgemm", "f32f32_f32", "s1688"), "products": ("gemm", "nvjet", "cutlass"),
        "attention": ("flash", "fmha", "attention"), "copies": ("copy", "memcpy"),
    }  # fmt: skip
    kinds: dict[str, float] = {}
    for event in seen.key_averages():
        name = event.key.lower()
        kind = next((kind for kind, parts in words.items() if any(part in name for part in parts)), "elementwise")
        kinds[kind] = kinds.get(kind, 0) + event.self_device_time_total / 1e6
    return ", ".join(f"{kind} {seconds:.3f}" for kind, seconds in sorted(kinds.items(), key=lambda k: -k[1]))
