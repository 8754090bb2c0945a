"""Layer scrubbing at 80×24: key to repaint (median, p95) and bytes to the terminal, at 8 and 64 adapters."""

import statistics
import tempfile
from pathlib import Path

from inspector.analysis.analyse import analyse
from inspector.study.export import save
from inspector.study.study import Settings
from tests.bench import QUICK
from tests.bench.terminal import Terminal
from tests.memory import random_adapter

LAYERS, STROKES = 36, 4 if QUICK else 40
SHAPES = {f"self_attn.{p}_proj": (32, 24) for p in "qkvo"}
VIEWS = {"2": "Map", "3": "Layers"}


def main() -> None:
    for n in (8,) if QUICK else (8, 64):
        with tempfile.TemporaryDirectory() as folder:
            adapters = [random_adapter(f"adapter-{seed}", seed, layers=LAYERS, shapes=SHAPES) for seed in range(n)]
            path = Path(folder) / "study.parquet"
            save(analyse(adapters, Settings(k=4)), path)
            with Terminal([str(path)], Path(folder)) as terminal:
                terminal.appeared(f"{n} adapters")
                terminal.settle(2.0)
                for key, view in VIEWS.items():
                    terminal.type(key)
                    terminal.settle(1.0)
                    terminal.stroke("]")
                    print(f"{n} adapters, {view}: {strokes(terminal)}")


def strokes(terminal: Terminal) -> str:
    """There and back along the layers."""
    found = [terminal.stroke("]" if at % 40 < 20 else "[") for at in range(STROKES)]
    times = sorted(1e3 * seconds for seconds, size in found if size)
    size = statistics.median(size for _, size in found if size)
    p95 = times[int(0.95 * len(times))]
    return (
        f"key to repaint median {statistics.median(times):.0f} ms, p95 {p95:.0f} ms, {size:.0f} bytes "
        f"({len(times)} strokes)"
    )


if __name__ == "__main__":
    main()
