"""What of adapters survives serving, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, sqrt

from rich.text import Text

from inspector.checking.precision import Precision
from inspector.checking.rounding import BY_NAME
from inspector.checking.served_loss import Losses
from inspector.common.numbers import fixed
from inspector.common.text import count, plain
from inspector.tables.tables import Page, significant, titled


@dataclass(frozen=True, slots=True)
class Survived:
    """One adapter: merged by each rule, and unmerged in each type."""

    name: str
    merged: Mapping[str, Precision]
    beside: Mapping[str, Precision]


def text(found: Sequence[Survived], losses: Losses | None = None) -> str:
    """Of one adapter a row a way of serving; of several the cosines, a row an adapter. Then losses, and the rules."""
    page = Page()
    with page.capture() as captured:
        if len(found) == 1:
            _one(page, found[0])
        else:
            _several(page, found)
        if losses is not None:
            _loss(page, found, losses)
    return captured.get()


def _one(page: Page, of: Survived) -> None:
    size = of.merged["bf16"].whole.norm_ratio
    modules = count(len(of.merged["bf16"].modules), "module")
    title = f"{plain(of.name)}: {modules}, ‖ΔW‖/‖W₀‖ {significant(size)}"
    table = titled(title, ("served as", ""), ("cosine", "strength", "noise", "lowest"))
    for place, ways in (("merged", of.merged), ("beside the base", of.beside)):
        for name, precision in ways.items():
            whole = precision.whole
            low = min((m.cosine for m in precision.modules.values() if not isnan(m.cosine)), default=float("nan"))
            numbers = (fixed(whole.cosine, 3), fixed(whole.strength, 2), significant(_noise(precision)), fixed(low, 3))
            table.add_row(place, name, *numbers)
    page.print(table)
    for name in of.merged:
        page.print(Text(f"{name:6}{BY_NAME[name].how}"))
    page.print()
    page.print(Text("cosine    of Q(W₀+ΔW) − Q(W₀) to ΔW, all modules; lowest: of a module"))
    page.print(Text("strength  ⟨that, ΔW⟩/‖ΔW‖²; noise: ‖that − ΔW‖/‖ΔW‖"))
    page.print(Text("A low cosine at strength 1 is the base's rounding drawn anew: --loss RULE tells its cost."))


def _noise(precision: Precision) -> float:
    return sqrt(precision.whole.energy_lost)


def _several(page: Page, found: Sequence[Survived]) -> None:
    rules = list(found[0].merged)
    title = "cosine to ΔW of what serving it does: merged, or beside the base in bf16"
    table = titled(title, ("adapter",), ("‖ΔW‖/‖W₀‖", *rules, "beside"))
    table.columns[0].overflow = "fold"
    table.padding = (0, 1, 0, 0)  # nine columns and a name within 80
    for one in found:
        cells = (fixed(one.merged[rule].whole.cosine) for rule in rules)
        size = significant(one.merged["bf16"].whole.norm_ratio)
        table.add_row(Text(plain(one.name, 40)), size, *cells, fixed(one.beside["bf16"].whole.cosine))
    page.print(table)


def _loss(page: Page, found: Sequence[Survived], losses: Losses) -> None:
    page.print()
    what = f"loss per token of \\boxed{{answer}}, {count(losses.texts, 'problem')} of {plain(losses.problems, 30)}"
    page.print(Text(f"{what}; base {losses.base.mean:.3f}"))
    table = titled("", ("adapter", "rule"), ("as trained", "merged", "beside", "base rounded", "merged − beside"))
    table.columns[0].overflow = "fold"
    for one in found:
        for (name, rule), loss in losses.served.items():
            if name == one.name:
                more, error = loss.merged.beyond(loss.beside)
                means = (losses.adapters[name], loss.merged, loss.beside, loss.base)
                apart = f"{more:+.3f} ± {2 * error:.3f}"
                table.add_row(Text(plain(name, 40)), rule, *(f"{loss.mean:.3f}" for loss in means), apart)
    page.print(table)
