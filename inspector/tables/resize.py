"""What smaller ranks keep of an adapter, as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from statistics import fmean

from rich.text import Text

from inspector.adapters.model import Adapter
from inspector.base_model.answer_loss import Loss
from inspector.common.numbers import fixed
from inspector.common.text import count, in_bytes, plain
from inspector.merging.resizing import Ranks, Spectra, direction_bytes, kept
from inspector.study.module_id import ModuleId
from inspector.tables.tables import Page, share, titled


@dataclass(frozen=True, slots=True)
class Loaded:
    """The loss of gold answers: of the base, with the adapter, with the smaller one."""

    problems: str
    texts: int
    base: Loss
    adapter: Loss
    smaller: Loss


@dataclass(frozen=True, slots=True)
class Resized:
    adapter: Adapter
    spectra: Spectra
    ranks: Ranks
    losses: Loaded | None = None


def text(found: Resized) -> str:
    """Size, ranks and energy before and after, the loss if it was measured, and a row a projection."""
    page, whole = Page(), kept(found.spectra, found.ranks)
    modules, ranks = found.adapter.modules, found.ranks
    size = sum(direction_bytes(module) * ranks[id_] for id_, module in modules.items())
    before = sum(direction_bytes(module) * module.rank for module in modules.values())
    with page.capture() as captured:
        name = plain(found.adapter.info.name)
        page.print(Text(f"{name}: {count(len(modules), 'module')}, {in_bytes(before)} → {in_bytes(size)} of factors"))
        page.print(Text(f"rank         {_span([m.rank for m in modules.values()])} → {_span(list(ranks.values()))}"))
        page.print(Text(f"energy kept  {share(whole)} of Σ‖ΔW‖²{_worst(found)}"))
        if isnan(whole):
            page.print(Text("The update is zero: there is nothing to keep."))
        if found.losses is not None:
            page.print(Text(_loss(found.losses)))
        _table(page, found)
    return captured.get()


def _span(ranks: Sequence[int]) -> str:
    low, high = min(ranks), max(ranks)
    return str(low) if low == high else f"{low} to {high} (mean {fixed(fmean(ranks), 1)})"


def _worst(found: Resized) -> str:
    each = {id_: _of([id_], found) for id_, sigma in found.spectra.items() if len(sigma)}
    if len(each) < 2:
        return ""
    worst = min(each, key=lambda id_: each[id_])
    return f"; least in {plain(worst, 80)}: {share(each[worst])}"


def _of(ids: Sequence[ModuleId], found: Resized) -> float:
    return kept({id_: found.spectra[id_] for id_ in ids}, found.ranks)


def _loss(losses: Loaded) -> str:
    more, error = losses.smaller.beyond(losses.adapter)
    return (
        f"loss         base {losses.base.mean:.3f} · adapter {losses.adapter.mean:.3f} · resized "
        f"{losses.smaller.mean:.3f} ({more:+.4f} ± {2 * error:.4f})\n"
        f"             per token of \\boxed{{answer}}, {count(losses.texts, 'problem')} of {plain(losses.problems, 40)}"
    )


def _table(page: Page, found: Resized) -> None:
    rows: dict[str, list[ModuleId]] = defaultdict(list)
    for id_ in found.adapter.modules:
        rows[id_.path].append(id_)
    table = titled("", ("module",), ("layers", "rank", "becomes", "kept", "least"))
    table.columns[0].overflow = "fold"
    for path, ids in rows.items():
        before, after = ([of[id_] for id_ in ids] for of in (_before(found), found.ranks))
        each = [value for id_ in ids if not isnan(value := _of([id_], found))]
        least = share(min(each)) if each else "n/a"
        table.add_row(
            Text(plain(path, 80)), str(len(ids)), _short(before), _short(after), share(_of(ids, found)), least
        )
    page.print(table)


def _before(found: Resized) -> dict[ModuleId, int]:
    return {id_: module.rank for id_, module in found.adapter.modules.items()}


def _short(ranks: Sequence[int]) -> str:
    return "-".join(dict.fromkeys((str(min(ranks)), str(max(ranks)))))
