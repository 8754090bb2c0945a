"""A study as readable tables on stdout."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from inspector.common.numbers import fixed
from inspector.common.text import count
from inspector.geometry.interference import energy_ratio_of_sum
from inspector.insights.findings.limits import by_base
from inspector.insights.nearest import own
from inspector.insights.overview import in_blocks, overview
from inspector.insights.pairwise import chance_span, shared, within_bases
from inspector.insights.short_names import in_short
from inspector.study.metrics import DEFINITIONS, INTERFERENCE, shown_in
from inspector.study.study import Study
from inspector.study.table import needs_pair, subjects
from inspector.study.warnings import finding_lines
from inspector.tables.nearest import resemblance_table
from inspector.tables.numbers import by_layer_tables, listed_table, matrix_tables
from inspector.tables.overview import overview_lines
from inspector.tables.page import StudyPage
from inspector.tables.pairs import angles_table, interference_table, verdict_lines
from inspector.tables.probes import probe_tables
from inspector.tables.runs import group_tables, summary_lines
from inspector.tables.tables import in_digits, short_targets, titled

UNSTABLE = 0.9
PUBLISHED = "the published adapters"


NAME = 18
"""Cells of a name in a table; what all names share stands above it."""


def print_overview(study: Study, title: str = PUBLISHED, *, probed: bool = False) -> None:
    """The overview; where probes were run for it (`probed`), their tables as well.

    Where published adapters stand beside one's own (`title` names their set), first which of them one's own resemble.
    """
    page = StudyPage()
    _print_resemblance(page, study, title)
    for line in overview_lines(overview(study), page.text_width):
        page.text(line.text)
    _print_health(page, study)
    _tell_of_references(page, study)
    if probed:
        _print_probes(page, _short(study, page))


def print_study(study: Study, metrics: Sequence[str] = (), title: str = PUBLISHED) -> None:
    """All tables, or those of the given metrics with their layers; pairs of published adapters are in exports alone."""
    page = StudyPage()
    _print_resemblance(page, study, title)
    study = _short(in_blocks(study), page)
    _print_adapters(page, study, () if metrics else at_a_glance(of_pairs=False))
    if metrics:
        for metric in metrics:
            _print_metric(page, study, metric)
        _tell_of_references(page, study)
        return
    if len(study.adapters) > 1:
        _print_pairs(page, study)
        _tell_of_references(page, study)
    _print_probes(page, study)


def _short(study: Study, page: StudyPage) -> Study:
    """The study with the names that tables have; what all of one's own names share is printed."""
    found, shared = in_short(within_bases(study), NAME)
    if shared:
        page.text(f"names: {shared}")
    return found


def _print_probes(page: StudyPage, study: Study) -> None:
    page.parts(probe_tables(study, page.width), before="\n")


def at_a_glance(*, of_pairs: bool) -> tuple[str, ...]:
    """What is printed where no metric is asked for: matrices of pairs, or columns beside the adapters."""
    return tuple(m for m in shown_in("glance") if (DEFINITIONS[m].subject != "adapter") == of_pairs)


def _print_pairs(page: StudyPage, study: Study) -> None:
    """Every pair by every metric; one line where no pair has a module in common."""
    if not any(shared(study, i, j).any() for _, _, (i, j) in subjects(study, "pair")):
        who = "The two have no" if len(study.adapters) == 2 else "No two of the adapters have a"
        page.text(f"{who} module of the same name and shape to compare.")
        return
    page.text("verdicts")
    for line in verdict_lines(study):
        page.text(line)
    page.text("")
    for metric in (metric for metric in at_a_glance(of_pairs=True) if _has(study, metric)):
        _print_metric(page, study, metric, layers=False)
    if _has(study, "principal_angle", "principal_angle_q25", "principal_angle_q75", "principal_angle_chance"):
        page.table(angles_table(study))
    elif _has(study, "principal_angle"):
        _print_metric(page, study, "principal_angle", layers=False)
    if not _has(study, "cosine", "norm", "energy_ratio", "subspace_overlap"):
        return
    page.table(interference_table(study))
    page.text(INTERFERENCE)
    mixed = len(own(study)) < len(study.adapters)
    if study.settings.modules == "union" and study.usable.all() and len(by_base(study)) == 1 and not mixed:
        ratio = energy_ratio_of_sum(study.blocks["cosine", "global"][..., 0], study.blocks["norm", "global"][:, 0])
        page.text(f"energy ratio of the sum of all {len(study.adapters)}: {fixed(ratio)}")


def _has(study: Study, *metrics: str) -> bool:
    """Whether all of these were measured, or saved: `--metric` leaves others out of a file."""
    return all(study.block(metric, "global") is not None for metric in metrics)


def print_summary(study: Study, title: str = PUBLISHED) -> None:
    """The findings, one paragraph each: `-` what was found, `!` what limits the reading."""
    page = StudyPage()
    _print_resemblance(page, study, title)
    page.parts(summary_lines(_short(study, page)))


def print_groups(study: Study, by: str, title: str = PUBLISHED) -> None:
    """Cosines within and between the groups of method, seed or lr; pairs of one method; lineage."""
    page = StudyPage()
    _print_resemblance(page, study, title)
    page.parts(group_tables(_short(study, page), by))


def _print_resemblance(page: StudyPage, study: Study, title: str = PUBLISHED) -> None:
    """The published adapters nearest to one's own; nothing where there are none."""
    for part in (parts := list(resemblance_table(study, title))):
        page.parts([part] if isinstance(part, str) else ["", part])
    if parts:
        page.text("")


def _tell_of_references(page: StudyPage, study: Study) -> None:
    """That pairs are not shown, and where they are."""
    references = len(study.adapters) - len(own(study))
    if references > 1 and own(study) and any(DEFINITIONS[metric].subject == "pair" for metric, _ in study.blocks):
        pairs = count(references * (references - 1) // 2, "pair")
        page.text(f"Not shown: {pairs} of published adapters with each other; --out FILE writes them as well.")


def _print_adapters(page: StudyPage, study: Study, metrics: Sequence[str]) -> None:
    """Who was measured, with these numbers of each; what all adapters share stands once, below the table."""
    if len({adapter.ranks for adapter in study.adapters}) < 2:
        metrics = [metric for metric in metrics if metric != "effective_rank_share"]
    measured = {metric: study.block(metric, "global") for metric in metrics}
    numbers = {metric: block[:, 0].tolist() for metric, block in measured.items() if block is not None}
    columns: dict[str, list[str]] = {
        "base": [a.base or "?" for a in study.adapters],
        "format": [a.format for a in study.adapters],
        "dtype": [a.dtype for a in study.adapters],
        "rank": [a.rank for a in study.adapters],
        "scale": [a.scale for a in study.adapters],
        "targets": [short_targets(a.targets) for a in study.adapters],
        "parameters": [f"{a.parameters:,}" for a in study.adapters],
        "health": [a.health for a in study.adapters],
    }
    shared = {name: values[0] for name, values in columns.items() if len(set(values)) == 1 and values[0]}
    parts = ((len(study.adapters), "adapter"), (len(study.modules), "module"), (len(study.layers), "layer"))
    title = ", ".join(count(number, noun) for number, noun in parts)
    apart = [name for name, values in columns.items() if name not in shared and any(values)]
    table = titled(title, ("adapter", *apart), [DEFINITIONS[metric].short for metric in numbers])
    for i, adapter in enumerate(study.adapters):
        facts = [Text(columns[name][i]) for name in apart]
        sizes = (in_digits(metric, values[i]) for metric, values in numbers.items())
        table.add_row(Text(adapter.name), *facts, *sizes)
    if len(table.columns) > 1:
        page.table(table)
    else:
        page.text(f"{title}: {', '.join(study.names)}")
    page.text(f"all: {'; '.join(f'{name} {value}' for name, value in shared.items())}")
    _print_health(page, study)
    page.text("")


def _print_health(page: StudyPage, study: Study) -> None:
    """What was found in files; on a terminal it stands already, on stderr."""
    if not page.on_terminal:
        page.parts(finding_lines({adapter.name: adapter.findings for adapter in study.adapters}))


def unstable_directions(study: Study) -> list[str]:
    """`name in 3 of 120 modules` for every adapter whose top singular vectors are ill-defined somewhere."""
    sigma = study.spectra
    if sigma is None or sigma.shape[2] < 2:
        return []
    close = sigma[:, :, 1] > UNSTABLE * sigma[:, :, 0]
    counts = zip(study.names, close.sum(1).tolist(), study.present.sum(1).tolist(), strict=True)
    return [f"{name} in {count} of {modules} modules" for name, count, modules in counts if count]


def _print_metric(page: StudyPage, study: Study, metric: str, *, layers: bool = True) -> None:
    """One metric: its global numbers, its layers, and what it means."""
    definition = DEFINITIONS[metric]
    if needs_pair(study, metric):
        page.text(f"{metric}: of two adapters, and one is open: name another.")
        return
    for scope in ("global", "layer") if layers else ("global",):
        values = study.block(metric, scope)
        if values is None:
            continue
        if definition.subject in {"adapter", "none"} or definition.indexed:
            page.table(listed_table(study, metric, scope, values))
        elif scope == "global":
            page.parts(matrix_tables(study, metric, values[:, :, 0], page.width))
        else:
            page.parts(by_layer_tables(study, metric, values, page.width))
    if layers and study.block(metric, "global") is None:
        values = study.block(metric, "module")
        lacks = f"{metric}: not measured in this study."
        page.parts([lacks if values is None else listed_table(study, metric, "module", values)])
    if metric in {"u1", "v1"} and (unstable := unstable_directions(study)):
        page.text(f"unstable (σ₂/σ₁ > {UNSTABLE}): {', '.join(unstable)}")
    chance = "n/a" if definition.indexed or definition.subject != "pair" else chance_span(study, metric)
    by_chance = "" if chance == "n/a" else f" By chance: {chance}."
    trap = f" Note: {definition.trap}." if definition.trap else ""
    page.text(f"{metric}: {definition.formula}; {definition.over_modules}.{by_chance}{trap}\n")
