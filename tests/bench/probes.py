"""Connectivity and CKA against the same number of bare forward passes, and against merging and reloading.

On a GPU: Qwen3-4B from its config with random weights in bfloat16, rank-32 attention adapters. Else: SmolLM2-135M
and the bundled adapters in float32. Reference: `model(…)` of the bare base on the same padded batches, with the
head at the positions that are scored (connectivity) or without it (CKA). Passes alternate between both sides.
On a CPU one thread's own time is measured, so that other work on the machine does not count.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from inspector.adapters.model import Adapter
from inspector.adapters.opening import open_sources
from inspector.base_model.attach import Attached, attach
from inspector.base_model.base import Base, load_base
from inspector.base_model.batches import Batches, padded
from inspector.base_model.encode import Encoded, answers, prompts
from inspector.base_model.hidden import each_batch
from inspector.probes.comparison import Comparison
from inspector.probes.connectivity import losses, on_path
from inspector.probes.rows import Rows
from inspector.tasks.problems import load_problems
from tests.bench import QUICK

DEMO = Path(__file__).parents[2] / "assets" / "demo"
ROUNDS = 1 if QUICK else 5
ALPHAS = (0.3,) if QUICK else (0.1, 0.3, 0.5, 0.7, 0.9)


def setting() -> tuple[Base, list[Adapter], int, int]:
    """(base, adapters, prompts, batch)."""
    if torch.cuda.is_available() and not QUICK:
        from tests.bench.qwen import qwen3_4b_adapters, qwen3_4b_base

        return qwen3_4b_base("cuda"), qwen3_4b_adapters(8), 256, 64
    adapters, _ = open_sources([str(DEMO)])
    base = load_base("smollm2", "cpu")
    return (base, adapters[:2], 4, 4) if QUICK else (base, adapters, 32, 16)


def timed(work: Callable[[], object]) -> float:
    """Seconds; on a GPU until it has finished."""
    if not torch.cuda.is_available():
        started = time.process_time()
        work()
        return time.process_time() - started
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def bare(attached: Attached, examples: Sequence[Encoded], batch: int, *, head: bool) -> None:
    """The base alone over the same batches."""
    attached.use(None)
    model = attached.base.model
    order = sorted(range(len(examples)), key=lambda i: -len(examples[i].ids))
    with torch.inference_mode():
        for at in range(0, len(order), batch):
            chosen = [examples[i] for i in order[at : at + batch]]
            ids, mask = padded(chosen, model.device, 0)
            if head:
                keep = torch.arange(min(e.start for e in chosen) - 1, ids.shape[1] - 1, device=ids.device)
                model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=keep)
            else:
                model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)


def batches(size: int) -> Batches:
    return Batches(size, print, lambda: False)


def connectivity(attached: Attached, examples: Sequence[Encoded], batch: int, pair: tuple[str, str]) -> float:
    """Median ratio of a point between two adapters to a bare pass."""
    ratios = []
    for alpha in (0.5, *ALPHAS * 2):
        alone = timed(lambda: bare(attached, examples, batch, head=True))
        point = on_path(*pair, alpha)
        ours = timed(lambda point=point: losses(attached, point, examples, batches(batch), lambda _n: None))
        ratios.append(ours / alone)
    return statistics.median(ratios[1:])


def states(attached: Attached, examples: Sequence[Encoded], batch: int, names: Sequence[str]) -> float:
    """Ratio of CKA of all pairs, the base included, to as many bare passes."""
    ratios = []
    for _ in range(ROUNDS):
        total, alone = 0.0, 0.0
        comparison = Comparison(len(names) + 1, attached.base.device.split(":")[0])

        def one(name: str | None, comparison: Comparison = comparison) -> None:
            rows = Rows(examples, "last", attached.base.depth)
            attached.use(name)
            each_batch(attached, examples, batches(batch), rows.write, lambda _n: None)
            comparison.add(rows)

        for name in (None, *names):
            alone += timed(lambda: bare(attached, examples, batch, head=False))
            total += timed(lambda name=name: one(name))
        ratios.append(total / alone)
    return statistics.median(ratios)


def merged_and_reloaded(pair: Sequence[Adapter], examples: Sequence[Encoded], batch: int) -> float:
    """Seconds of one point as it is often done: the base from disk, both adapters merged into it, one pass."""

    def work() -> None:
        base = load_base("smollm2", "cpu")
        with torch.no_grad():
            attached = Attached(base)
            for adapter in pair:
                for id_, module in adapter.modules.items():
                    B, A = (factor.float() for factor in adapter.load(id_))
                    attached.module(module).weight += 0.5 * module.scale.value * (B @ A)
        bare(attached, examples, batch, head=True)

    return timed(work)


def main() -> None:
    torch.set_num_threads(1)
    base, adapters, count, batch = setting()
    problems = load_problems("arithmetic").first(count)
    attached = attach(base, adapters)
    names = [adapter.info.name for adapter in adapters]
    boxed, plain = answers(base.tokenizer, problems, "boxed"), prompts(base.tokenizer, problems)
    print(f"{base.name} on {base.device}, {base.dtype}; {len(names)} adapters; {count} prompts, batches of {batch}")
    ratio = connectivity(attached, boxed, batch, (names[0], names[1]))
    print(f"connectivity: a point between two adapters {ratio:.2f}× a bare pass (bound 1.15)")
    ratio = states(attached, plain, batch, names)
    pairs = (len(names) + 1) * len(names) // 2
    print(f"CKA: {pairs} pairs, every layer, {ratio:.2f}× the {len(names) + 1} bare passes (bound 1.20)")
    if not torch.cuda.is_available():
        point = on_path(names[0], names[1], 0.5)
        ours = timed(lambda: losses(attached, point, boxed, batches(batch), lambda _n: None))
        other = merged_and_reloaded(adapters[:2], boxed, batch)
        print(f"merging and reloading takes {other / ours:.2f}× as long as switching")


if __name__ == "__main__":
    sys.exit(main())
