"""Hundreds of adapters: what an analysis of cosines, their sketches and the atlas cost, and whom the atlas finds.

CPU seconds and peak memory of whole commands, a process each, on a pool of SmolLM2-shaped LoRAs of rank 8
(`tests.bench.pool`). Other sizes by arguments: python -m tests.bench.atlas 100 200.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from inspector.insights.atlas import K
from inspector.study import sketch_file, sketch_pairs
from inspector.study.export import load
from tests.bench import QUICK
from tests.bench.many_modules import MEASURED
from tests.bench.pool import write_pool

SIZES = (40,) if QUICK else (100, 200, 400, 1000)
LAYERS = 2 if QUICK else 30


def cost(*words: object) -> tuple[float, float]:
    """CPU seconds and peak GB of an `inspector` command."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, check=True, env=os.environ,
    )  # fmt: skip
    seconds, peak = done.stderr.splitlines()[-1].split()
    return float(seconds), int(peak) / 1e9


def recall(store: Path, study: Path) -> float:
    """Of the K nearest by the exact cosines, those above 0.1, how many the atlas measured."""
    exact = load(study)
    cosines = exact.block("cosine", "global")[:, :, 0]
    digest = {adapter.name: adapter.digest for adapter in exact.adapters}
    measured = sketch_pairs.read(sketch_pairs.beside(store))
    names, hits, total = list(digest), 0, 0
    for i, name in enumerate(names):
        order = [j for j in np.argsort(-cosines[i]) if j != i and cosines[i, j] > 0.1][:K]
        pairs = [tuple(sorted((digest[name], digest[names[j]]))) for j in order]
        hits += sum(pair in measured or pair[0] == pair[1] for pair in pairs)
        total += len(pairs)
    return hits / total


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:] if word.isdecimal()] or SIZES
    print(f"{'N':>5}  {'analyze':>16}  {'sketch':>16}  {'atlas':>16}  {'store':>8}  recall@{K}")
    for n in sizes:
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            write_pool(pool := root / "pool", n, layers=LAYERS)
            store, study = root / "sketches.parquet", root / "study.parquet"
            asked = "--metric", "cosine,norm", "--scope", "global,layer", "--out", study
            figures = [
                cost("analyze", pool, *asked), cost("sketch", pool, "--out", store),
                cost("atlas", pool, "--store", store),
            ]  # fmt: skip
            cells = "  ".join(f"{seconds:6.1f} s {peak:5.2f} GB" for seconds, peak in figures)
            assert len(sketch_file.read([store])) == n
            size = store.stat().st_size / 1e6
            print(f"{n:5}  {cells}  {size:5.1f} MB  {recall(store, study):.3f}", flush=True)


if __name__ == "__main__":
    main()
