"""Everything about eight Qwen3-4B-shaped adapters (28 pairs × 144 modules) against the bare Gram products.

Reference: BsᵀBs and AsAsᵀ of the same 144 stacks, float64, data in memory, on the device that measures. Measured:
`analyse` from the bfloat16 factors in memory to the finished study, conversion and aggregation included; on the CPU,
and on a GPU if there is one. What costs there is launches and waiting, so both are counted without one as well.
"""

import resource
import statistics
import time
from unittest.mock import patch

import numpy as np
import torch

from inspector.analysis.analyse import analyse
from inspector.study.study import Settings
from tests.bench import QUICK
from tests.launches import Launches, as_on_a_gpu
from tests.memory import QWEN3_4B, qwen3_4b

ROUNDS, LAYERS = (1, 2) if QUICK else (3, 36)


def bare_grams(adapters, device="cpu") -> float:
    """Seconds of the float64 products alone; the stacks are built outside the clock."""
    total = 0.0
    for module in adapters[0].modules:
        factors = [a.load(module) for a in adapters]
        Bs = torch.cat([B.to(device).double() for B, _ in factors], 1)
        As = torch.cat([A.to(device).double() for _, A in factors], 0)
        wait(device)
        started = time.perf_counter()
        Bs.mT @ Bs
        As @ As.mT
        wait(device)
        total += time.perf_counter() - started
    return total


def wait(device) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def timed_analyse(adapters, device="cpu"):
    """(seconds, study)."""
    started = time.perf_counter()
    study = analyse(adapters, Settings(device=device))
    assert study.block("cosine", "global").shape == (len(adapters), len(adapters), 1)
    return time.perf_counter() - started, study


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def on_cpu(adapters):
    """The study, and the ratio to the bare products printed."""
    analyse(adapters[:2], Settings(device="cpu"))
    rounds = [(bare_grams(adapters), *timed_analyse(adapters)) for _ in range(ROUNDS)]
    for bare, ours, _ in rounds:
        print(f"bare Gram products {bare:.2f} s, everything {ours:.2f} s, ratio {ours / bare:.2f}")
    ratio = statistics.median(ours / bare for bare, ours, _ in rounds)
    print(f"median ratio {ratio:.2f} on {torch.get_num_threads()} cores (bound 1.7 on two, 2.5 on sixteen)")
    print(f"peak memory {peak_gb():.2f} GB, of it the factors {8 * 2 * adapters[0].info.parameters / 1e9:.2f} GB")
    return rounds[0][2]


def on_gpu(adapters, study) -> None:
    """Seconds there, and how far the numbers are from the CPU's."""
    analyse(adapters[:2], Settings(device="cuda"))
    bare = statistics.median(bare_grams(adapters, "cuda") for _ in range(ROUNDS))
    rounds = [timed_analyse(adapters, "cuda") for _ in range(ROUNDS)]
    times = ", ".join(f"{seconds:.3f}" for seconds, _ in rounds)
    found, name = rounds[0][1].blocks, torch.cuda.get_device_name()
    print(f"{name}: bare Gram products {bare:.3f} s, everything {times} s (bound 0.25)")
    far = {key: float(np.nanmax(np.abs(found[key] - v), initial=0)) for key, v in study.blocks.items()}
    worst = max(far, key=far.__getitem__)
    print(f"numbers differ from the CPU's by at most {far[worst]:.1e} ({worst[0]}, {worst[1]})")
    peak = torch.cuda.max_memory_allocated() / 1e9
    print(f"peak memory {peak:.2f} GB on the device")


def stand_ins(adapters) -> None:
    """What a GPU would be asked for."""
    with patch("inspector.geometry.plan.plan", as_on_a_gpu), Launches() as seen:
        analyse(adapters, Settings(device="cpu"))
    print(f"as on a GPU: {seen.operators.total()} operators of torch (bound 6000)", end=", ")
    print(f"{seen.copies.total()} copies to the host (bound 40)")


def main() -> None:
    adapters = [qwen3_4b(f"a{seed}", seed, layers=LAYERS) for seed in range(8)]
    assert len(adapters[0].modules) == LAYERS * len(QWEN3_4B)
    study = on_cpu(adapters)
    if torch.cuda.is_available():
        on_gpu(adapters, study)
    stand_ins(adapters)


if __name__ == "__main__":
    main()
