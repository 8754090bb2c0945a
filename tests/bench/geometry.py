"""Everything about eight Qwen3-4B-shaped adapters (28 pairs × 144 modules) against the bare Gram products.

Reference: BsᵀBs and AsAsᵀ of the same 144 stacks, float64, data in memory. Measured: `analyse` from the
bfloat16 factors in memory to the finished study, conversion and aggregation included.
"""

import resource
import statistics
import time

import torch

from inspector.analysis import analyse
from inspector.study import Settings
from tests.bench import QUICK
from tests.memory import QWEN3_4B, qwen3_4b

ROUNDS, LAYERS = (1, 2) if QUICK else (3, 36)


def bare_grams(adapters) -> float:
    """Seconds of the float64 products alone; the stacks are built outside the clock."""
    total = 0.0
    for module in adapters[0].modules:
        factors = [a.load(module) for a in adapters]
        Bs = torch.cat([B.double() for B, _ in factors], 1)
        As = torch.cat([A.double() for _, A in factors], 0)
        started = time.perf_counter()
        Bs.mT @ Bs
        As @ As.mT
        total += time.perf_counter() - started
    return total


def timed_analyse(adapters) -> float:
    started = time.perf_counter()
    study = analyse(adapters, Settings())
    assert study.block("cosine", "global").shape == (len(adapters), len(adapters), 1)
    return time.perf_counter() - started


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    adapters = [qwen3_4b(f"a{seed}", seed, layers=LAYERS) for seed in range(8)]
    assert len(adapters[0].modules) == LAYERS * len(QWEN3_4B)
    analyse(adapters[:2], Settings())
    rounds = [(bare_grams(adapters), timed_analyse(adapters)) for _ in range(ROUNDS)]
    for bare, ours in rounds:
        print(f"bare Gram products {bare:.2f} s, everything {ours:.2f} s, ratio {ours / bare:.2f}")
    print(f"median ratio {statistics.median(ours / bare for bare, ours in rounds):.2f} (bound 1.7)")
    print(f"peak memory {peak_gb():.2f} GB, of it the factors {8 * 2 * adapters[0].info.parameters / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
