"""What to measure, in which order, with progress and cancel: adapters -> study."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

from inspector.adapters.model import Adapter
from inspector.analysis.collect import Table
from inspector.analysis.room import refuse_beyond_memory
from inspector.common.errors import CancelledError, InspectorError
from inspector.study.module_id import ModuleId, in_order
from inspector.study.study import Settings, Study

_SNAPSHOT_EVERY = 0.25


def analyse(
    adapters: Sequence[Adapter],
    settings: Settings,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    partial: Callable[[Study], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Study:
    """Measure every adapter and every pair: memory is that of a module for each core, or of the batches on a GPU.

    `progress(done, total)` counts modules; `partial` receives consistent snapshots, NaN where not yet
    measured. Raises CancelledError as soon as `cancelled()` holds, and InspectorError if memory is not enough.
    """
    from inspector.geometry.module import Measurer
    from inspector.geometry.plan import plan
    from inspector.geometry.threads import in_threads

    settings = replace(settings, device=device_named(settings.device))
    modules = chosen_modules(adapters, settings.filter)
    refuse_beyond_memory(adapters, modules, settings)
    table = Table(adapters, modules, settings)
    next_snapshot = time.monotonic() + _SNAPSHOT_EVERY
    products = len(adapters) * table.products_alone
    how = plan(settings.device, *table.largest(), products)
    batches = table.batches(how.numbers)
    measure = Measurer(settings.k, table.sides, settings.device, products_alone=table.products_alone)
    found = in_threads(map(table.factors, batches), measure, how.workers, how.each)
    with closing(found):
        for batch in batches:
            if cancelled():
                raise CancelledError("Cancelled before the analysis was complete.")
            table.enter(batch, next(found))
            progress(table.measured(), len(modules))
            if partial is not None and time.monotonic() >= next_snapshot:
                started = time.monotonic()
                partial(table.study())
                next_snapshot = time.monotonic() + max(_SNAPSHOT_EVERY, 4 * (time.monotonic() - started))
    return table.study(finished=True)


def device_named(name: str) -> str:
    """The torch device `auto`, `cpu`, `cuda` or `cuda:1` stands for; auto takes CUDA where it is."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, dtype=torch.float64, device=name)
    except (RuntimeError, AssertionError, TypeError) as error:
        why = "" if not name.startswith("cuda") or torch.cuda.is_available() else " (torch sees no CUDA GPU)"
        raise InspectorError(f"No device {name!r} here for float64 work{why}: use --device cpu.") from error
    return name


def chosen_modules(adapters: Sequence[Adapter], pattern: str) -> tuple[ModuleId, ...]:
    """The union of the adapters' modules, in order; `pattern`: comma-separated ends of module paths."""
    wanted = [word.strip() for word in pattern.split(",") if word.strip()]
    union = {module for adapter in adapters for module in adapter.modules}
    return in_order({m for m in union if not wanted or any(matches(m, word) for word in wanted)})


def matches(module: ModuleId, word: str) -> bool:
    """Whether `q_proj`, `self_attn.q_proj` or `3.self_attn.q_proj` names this module."""
    return f".{module}".endswith(f".{word}")
