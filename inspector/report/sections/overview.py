"""What was found, and who was measured."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.common.text import count, plain
from inspector.insights.findings import Number, findings_of
from inspector.report.chart_subjects import label
from inspector.report.context import Context
from inspector.report.document import Finding, Note, Part, Section, Table
from inspector.study.metrics import DEFINITIONS
from inspector.study.provenance import Origin
from inspector.tables.tables import number

_COLUMNS = (
    "adapter", "method", "learning rate", "seed", "step", "‖ΔW‖", "effective rank", "format", "base", "rank", "scale s",
    "targets", "modules", "parameters", "dtype", "health",
)  # fmt: skip


def findings(context: Context) -> Section:
    """The findings, each with its numbers."""
    found = findings_of(context.study)
    parts: list[Part] = [
        Finding(plain(t.text, 2000), t.caution, _numbers(t.numbers), t.numbers[0].metric if t.numbers else "")
        for t in found
    ]
    if not parts:
        parts = [Note("No rule found enough evidence to say anything of these adapters.")]
    about = (
        "Made from the numbers below by fixed rules; where the evidence is weak, nothing is said. "
        "A caution limits how other numbers may be read."
    )
    metrics = tuple(dict.fromkeys(n.metric for t in found for n in t.numbers))
    return Section("findings", "Findings", about, tuple(parts), metrics)


def _numbers(numbers: tuple[Number, ...]) -> Table | None:
    if not numbers:
        return None
    rows = tuple(
        (
            DEFINITIONS[n.metric].title, label(n.a), label(n.b) if n.b else "",
            "all" if n.layer is None else str(n.layer), number(n.value),
        )
        for n in numbers
    )  # fmt: skip
    return Table("", "", ("number", "a", "b", "layer", "value"), rows)


def measured(context: Context) -> Section:
    """The adapters, what their files say, and what is odd about them."""
    study = context.study
    norm, effective = context.values("norm"), context.values("effective_rank")
    lines = []
    for i, adapter in enumerate(study.adapters):
        own = [float("nan") if block is None else float(block[i, 0]) for block in (norm, effective)]
        cells = (
            label(adapter.name), *_made(adapter.origin), number(own[0]), number(own[1], 2), adapter.format,
            adapter.base or "?", adapter.rank, adapter.scale, ", ".join(adapter.targets), str(adapter.modules),
            f"{adapter.parameters:,}", adapter.dtype, adapter.health,
        )  # fmt: skip
        lines.append(tuple(plain(cell) for cell in cells))
    told = [n for n in range(len(_COLUMNS)) if any(line[n] for line in lines)]
    alike = [n for n in told[1:] if len(lines) > 1 and len({line[n] for line in lines}) == 1]
    kept = [n for n in told if n not in alike]
    caption = (
        f"{count(len(study.adapters), 'adapter')}, {count(len(study.modules), 'module')} in "
        f"{count(len(study.layers), 'layer')}; ΔW = s·B·A"
    )
    rows = tuple(tuple(line[n] for n in kept) for line in lines)
    shared = [Note(f"All of them: {'; '.join(f'{_COLUMNS[n]} {lines[0][n]}' for n in alike)}.")] if alike else []
    table = Table("adapters", caption, tuple(_COLUMNS[n] for n in kept), rows)
    parts: tuple[Part, ...] = (table, *shared, *_health(context))
    return Section("measured", "Who was measured", "", parts, ("norm", "effective_rank"))


def _made(origin: Origin) -> tuple[str, ...]:
    """Method, learning rate, seed and step, empty where nothing tells them."""
    rate = "" if origin.lr is None else f"{origin.lr:g}"
    return origin.method, rate, *("" if value is None else str(value) for value in (origin.seed, origin.step))


def _health(context: Context) -> Iterator[Note]:
    told = False
    for adapter in context.study.adapters:
        for finding in adapter.findings:
            told = True
            severe = finding.severity != "info"
            yield Note(plain(f"{finding.severity}: {adapter.name}: {finding.text}", 1200), caution=severe)
    if not told:
        yield Note("Nothing is odd about their files: every tensor is accounted for.")
