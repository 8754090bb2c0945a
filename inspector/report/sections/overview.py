"""The overview, what was found, and who was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.common.numbers import fixed
from inspector.common.text import count, plain
from inspector.insights.findings import Finding as Told
from inspector.insights.findings import Number, findings_of
from inspector.insights.overview import overview as summed_up
from inspector.report.chart_subjects import label
from inspector.report.context import Context
from inspector.report.document import Finding, Heading, Note, Part, Section, Table
from inspector.study.metrics import DEFINITIONS
from inspector.study.provenance import Origin
from inspector.tables.overview import GROUP_COLUMNS, group_rows, groups_caption
from inspector.tables.tables import in_digits, significant

_COLUMNS = (
    "adapter", "method", "learning rate", "seed", "step", "‖ΔW‖", "effective rank", "format", "base", "rank", "scale s",
    "targets", "modules", "parameters", "dtype", "health",
)  # fmt: skip


_GEOMETRY = (
    "Training an adapter adds an update ΔW to the base's weights; the cosine of two updates, taken as one long vector "
    "over all modules, says whether they point the same way: 1 the same, 0 nothing in common, below 0 opposed. "
    "u₁ asks only whether the strongest output direction of each module is the same: runs from another random start, "
    "such as another seed, have a cosine near 0 and may still write to the same outputs. "
    "‖ΔW‖ is how far training moved the weights, which learning rate and steps set as much as the method does; the "
    "effective rank is over how many directions it spread. "
    "Chance levels beside the numbers are what random subspaces of the same shapes give; no number of the weights says "
    "how a model behaves: losses, hidden states and accuracy do, if they were measured."
)


def overview(context: Context, unmeasured: Sequence[Note]) -> Section:
    """Groups with sizes, what follows from them, how to read the geometry, and what was not measured."""
    found = summed_up(context.study)
    rows = tuple(tuple(plain(cell, 120) for cell in row) for row in group_rows(found))
    parts: list[Part] = [
        *map(_sentence, found.so_what),
        Table("groups", groups_caption(found), GROUP_COLUMNS, rows),
        *unmeasured,
    ]
    parts += [Heading("Reading the geometry"), Note(_GEOMETRY)]
    if not found.whole:
        parts.insert(0, Note(f"{found.known} of {found.total} modules are measured: all numbers are of these.", True))
    metrics = tuple(dict.fromkeys(n.metric for t in found.so_what for n in t.numbers))
    return Section("overview", "Overview", " · ".join(found.facts), tuple(parts), metrics)


def _sentence(found: Told) -> Finding:
    return Finding(
        plain(found.text, 2000),
        found.caution,
        _numbers(found.numbers),
        found.numbers[0].metric if found.numbers else "",
    )


def findings(context: Context) -> Section:
    """The findings, each with its numbers."""
    found = findings_of(context.study)
    parts: list[Part] = list(map(_sentence, found))
    if not parts:
        parts = [Note("No rule found enough evidence to say anything of these adapters.")]
    about = (
        "Made from the numbers below by fixed rules; where the evidence is weak, nothing is said. "
        "A caution limits how other numbers may be read."
    )
    metrics = tuple(dict.fromkeys(n.metric for t in found for n in t.numbers))
    return Section("findings", "All findings", about, tuple(parts), metrics)


def _numbers(numbers: tuple[Number, ...]) -> Table | None:
    if not numbers:
        return None
    rows = tuple(
        (
            DEFINITIONS[n.metric].title, label(n.a), label(n.b) if n.b else "",
            "all" if n.layer is None else str(n.layer), in_digits(n.metric, n.value),
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
            label(adapter.name), *_made(adapter.origin), significant(own[0]), fixed(own[1], 1), adapter.format,
            adapter.base or "?", adapter.rank, adapter.scale, ", ".join(adapter.targets), str(adapter.modules),
            f"{adapter.parameters:,}", adapter.dtype, adapter.health,
        )  # fmt: skip
        lines.append(tuple(plain(cell) for cell in cells))
    known = [n for n in range(len(_COLUMNS)) if any(line[n] for line in lines)]
    alike = [n for n in known[1:] if len(lines) > 1 and len({line[n] for line in lines}) == 1]
    kept = [n for n in known if n not in alike]
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
    any_issue = False
    for adapter in context.study.adapters:
        for finding in adapter.findings:
            any_issue = True
            severe = finding.severity != "info"
            yield Note(plain(f"{finding.severity}: {adapter.name}: {finding.text}", 1200), caution=severe)
    if not any_issue:
        yield Note("Nothing is odd about their files: every tensor is accounted for.")
