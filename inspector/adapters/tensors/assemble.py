"""What a reader understood of a file, put together as an adapter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inspector.adapters.files.weights import Weights
from inspector.adapters.model import GIVE_ALPHA, Adapter, Direction, LoraModule, one_factor
from inspector.adapters.tensors.account import STRAY, UNKNOWN, Verdict, findings, no_pair, records
from inspector.adapters.tensors.slots import is_factor
from inspector.adapters.updates.low_rank import Dense
from inspector.common.text import count, distinct, plain
from inspector.study.adapter_info import UNSCALED, AdapterInfo, HealthIssue
from inspector.study.module_id import ModuleId, in_order, module_ids

if TYPE_CHECKING:
    from torch import Tensor

_NOTHING_LEFT_OUT = float  # float() is 0.0
_MOST_ORIGINS = 12


@dataclass(frozen=True, slots=True)
class Part:
    """The update of one module: `load` gives (B (d_out, r), A (r, d_in)), s not applied, without reading before."""

    module: LoraModule
    load: Callable[[], tuple[Tensor, Tensor]]
    parameters: int
    """How many numbers the file spends on it."""
    left_out: Callable[[], float] = _NOTHING_LEFT_OUT
    """The share of ‖ΔW‖²_F that the factors leave out: 0 but for the low-rank part of a dense update."""
    direction: Direction | None = None
    """Of a module with DoRA."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of the adapter as a whole."""

    format: str
    base: str = ""
    alphas: Collection[float] = ()
    targets: Collection[str] = ()
    """As configured; where nothing says it, the projections of its modules."""
    excluded: tuple[ModuleId, ...] = ()
    """Modules the file has tensors of which cannot be used, by their whole paths."""
    refusal: str = ""
    """Why no module may be analysed, or nothing."""
    depends_on: str = ""
    """What ΔW depends on beside the files: the base and the rank kept of it, where it does."""
    replication: tuple[tuple[int, int], ...] = ()
    """`layer_replication`."""
    invocation: tuple[int, ...] = ()
    """The token ids from which on ΔW holds; () where it holds everywhere."""


def assemble(
    name: str,
    source: str,
    facts: Facts,
    parts: Sequence[Part],
    weights: Weights,
    verdicts: Mapping[str, Verdict],
    said: Sequence[HealthIssue] = (),
) -> Adapter:
    """The adapter, its modules in order; one that may not be analysed has none, and an error that says why.

    Every tensor of the file must have its verdict. `said`: findings of the reader, before those of the verdicts.
    """
    verdicts = {key: STRAY if found is UNKNOWN and is_factor(key) else found for key, found in verdicts.items()}
    refusal = facts.refusal or ("" if parts else no_pair(verdicts.values()))
    paths = {id_: id_.path for id_ in facts.excluded} | {part.module.id: part.module.path for part in parts}
    sizes = dict.fromkeys(paths.values(), 0) | {p.module.path: p.module.d_out * p.module.d_in for p in parts}
    ids = module_ids(sizes)
    by_id = {ids[part.module.path]: part for part in parts}
    modules = {id_: replace(by_id[id_].module, id=id_) for id_ in in_order(set(by_id))}
    usable = [] if refusal else list(modules.values())
    kept = tuple(
        replace(t, role="ignored", reason=refusal) if refusal and t.role == "used" else t
        for t in records(weights.headers, verdicts)
    )
    info = AdapterInfo(
        name,
        source,
        facts.format,
        base=distinct(facts.base, 380),
        ranks=tuple(sorted({m.rank for m in modules.values()})),
        alpha=_span(facts.alphas),
        scale=_scales(usable),
        # Sorted: PEFT saves a set, in another order each time.
        targets=tuple(sorted(plain(t, 80) for t in facts.targets) or sorted({id_.projection for id_ in modules})),
        dtype=", ".join(sorted({m.dtype for m in modules.values()})),
        parameters=sum(part.parameters for part in parts),
        modules=len(usable),
        tensors=len(kept),
        ignored=sum(t.role == "ignored" for t in kept),
        unknown=sum(t.role == "unknown" for t in kept),
        scales=_origins(usable),
        findings=(
            *([HealthIssue("error", refusal)] if refusal else []),
            *said,
            *_unscaled(usable),
            *findings(verdicts),
        ),
        excluded=tuple(ids[paths[id_]] for id_ in facts.excluded),
    )
    return Adapter(
        info,
        {} if refusal else modules,
        lambda id_: by_id[id_].load(),
        kept,
        weights.files,
        lambda id_: by_id[id_].left_out(),
        facts.depends_on,
        facts.base,
        facts.invocation,
        dense=lambda id_: load.delta() if isinstance(load := by_id[id_].load, Dense) else None,
        direction=lambda id_: by_id[id_].direction,
        replication=facts.replication,
    )


def _scales(modules: list[LoraModule]) -> str:
    """`2 (α/r = 16/8)`, or the span where modules differ."""
    if len({m.scale.origin for m in modules}) == 1:
        return str(modules[0].scale)
    known = [m.scale.value for m in modules if m.scale.value is not None]
    return f"{_span(known) if len(known) == len(modules) else UNSCALED} (per module)" if modules else ""


def _origins(modules: list[LoraModule]) -> tuple[str, ...]:
    """`2 (α/r = 16/8): 24 modules` for each scale and origin, the most frequent first; after twelve, how many more."""
    times = Counter(str(m.scale) for m in modules)
    shown = [f"{origin}: {count(number, 'module')}" for origin, number in times.most_common(_MOST_ORIGINS)]
    rest = len(times) - len(shown)
    return (*shown, f"… and {count(rest, 'other origin')}") if rest else tuple(shown)


def _unscaled(modules: list[LoraModule]) -> list[HealthIssue]:
    """What holds of an adapter whose scale is not known."""
    if all(m.scale.value is not None for m in modules):
        return []
    holds = "cosines and angles hold"
    if one_factor(modules):
        holds += ", those over several modules if one α was trained for all of them"
    else:
        holds += " in single modules: how much modules weigh against each other is unknown as well"
    text = f"the scale of ΔW is unknown (nothing states α): norms are n/a, {holds}; {GIVE_ALPHA}"
    return [HealthIssue("warning", text)]


def _span(values: Collection[float]) -> str:
    """`16`, or `8-32`."""
    return "-".join(f"{value:g}" for value in sorted({min(values), max(values)})) if values else ""
