"""The same spectra by dense SVD, on a sample of modules, against the whole factored analysis."""

import time

import torch

from tests.bench import QUICK
from tests.bench.geometry import timed_analyse
from tests.memory import QWEN3_4B, qwen3_4b

SAMPLE = ("self_attn.q_proj", "self_attn.k_proj")[QUICK:]


def main() -> None:
    adapters = [qwen3_4b(f"a{seed}", seed, layers=2) for seed in range(8)]
    seconds = {}
    for module in list(adapters[0].modules):
        if module.layer == 0 and module.path in SAMPLE:
            B, A = adapters[0].load(module)
            W = B.double() @ A.double()
            started = time.perf_counter()
            torch.linalg.svd(W, full_matrices=False)
            seconds[frozenset(QWEN3_4B[module.path])] = time.perf_counter() - started
            print(f"dense SVD of one {tuple(W.shape)} module: {seconds[frozenset(QWEN3_4B[module.path])]:.2f} s")
    dense = 8 * 36 * sum(seconds.get(frozenset(shape), 0) for shape in QWEN3_4B.values())
    timed_analyse(adapters)
    ours = 18 * timed_analyse(adapters)[0]
    print(
        f"eight adapters, 144 modules: dense SVDs {dense / 60:.0f} min (from the sample), everything here {ours:.1f} s"
    )
    print(f"ratio {dense / ours:.0f}")


if __name__ == "__main__":
    main()
