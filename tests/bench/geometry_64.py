"""64 adapters: peak memory of a study streamed module by module (4 of 36 layers; memory is per module).

The factors are windows into one random buffer, so the figure is that of the analysis alone.
"""

import time

import torch

from inspector.analysis.analyse import analyse
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from tests.bench import QUICK
from tests.bench.geometry import peak_gb
from tests.memory import QWEN3_4B, adapter

LAYERS, R, N = (1, 8, 16) if QUICK else (4, 32, 64)


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    buffer = torch.randn(8_000_000, generator=generator).bfloat16()
    offsets = torch.randint(0, 8_000_000 - 4096 * R, (N * LAYERS * len(QWEN3_4B) * 2,), generator=generator).tolist()

    def window(rows: int, columns: int) -> torch.Tensor:
        at = offsets.pop()
        return buffer[at : at + rows * columns].view(rows, columns)

    before = peak_gb()
    adapters = [
        adapter(
            f"a{n}",
            {
                ModuleId(layer, path): (window(d_out, R), window(R, d_in))
                for layer in range(LAYERS)
                for path, (d_out, d_in) in QWEN3_4B.items()
            },
        )
        for n in range(N)
    ]
    started = time.perf_counter()
    study = analyse(adapters, Settings())
    seconds = time.perf_counter() - started
    pairs = N * (N - 1) // 2
    print(f"{N} adapters, {pairs} pairs, {len(study.modules)} modules: {seconds / len(study.modules):.2f} s a module")
    if torch.cuda.is_available():
        print(f"on {torch.cuda.get_device_name()}: {torch.cuda.max_memory_allocated() / 1e9:.2f} GB there")
    print(f"peak memory {peak_gb():.2f} GB, of it {before:.2f} GB before the analysis")


if __name__ == "__main__":
    main()
