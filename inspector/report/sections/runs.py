"""What is known of each pair, what seeds and learning rates do, and who shares a start."""

from __future__ import annotations

import numpy as np

from inspector.common.numbers import fixed, level
from inspector.common.text import some
from inspector.insights.lineage import RULE, lineage
from inspector.insights.pairwise import pair_interference
from inspector.insights.sensitivity import GROUPINGS, compared_by, spreads, variations
from inspector.insights.verdict import verdict
from inspector.report.chart_subjects import label
from inspector.report.context import Context
from inspector.report.document import Note, Part, Section, Table
from inspector.study.metrics import INTERFERENCE
from inspector.study.table import subjects
from inspector.tables.tables import significant, spread


def merging(context: Context) -> Section:
    """The verdict on each pair, then how the updates lie to each other."""
    cosine, overlap, energy = (context.values(m) for m in ("cosine", "subspace_overlap", "energy_ratio"))
    about = "What is known of two adapters that might be added: what running the base showed first, then their weights."
    metrics = ("cosine", "subspace_overlap", "subspace_overlap_chance", "energy_ratio")
    if cosine is None or overlap is None or energy is None or len(context.adapters) < 2:
        return Section("merging", "Merging", about, (), missing="two adapters")
    rows, words = [], []
    for a, b, (i, j) in subjects(context.study, "pair"):
        judged = verdict(context.study, i, j)
        words.append((label(a), label(b), judged.kin, judged.headline))
        found = pair_interference(context.study, i, j)
        numbers = [fixed(float(v)) for v in (cosine[i, j, 0], found.cosine, found.overlap, energy[i, j, 0])]
        numbers.insert(3, level(found.chance, "n/a"))
        rows.append((label(a), label(b), *numbers, str(context.study.one_sided(i, j)), found.kind))
    columns = ("a", "b", "cosine", "cosine of both", "overlap", "by chance", "energy ratio", "modules of one side")
    table = Table("interference", "Interference of every pair, over all modules", (*columns, "class"), tuple(rows))
    verdicts = Table("verdicts", "The verdict on every pair", ("a", "b", "how they differ", "verdict"), tuple(words))
    return Section("merging", "Merging", about, (verdicts, table, Note(INTERFERENCE)), metrics)


def sensitivity(context: Context) -> Section:
    """Pairs of one method, then similarities within and between groups."""
    metrics = ("cosine", "output_similarity", "norm", "u1", "v1", "principal_angle")
    compared = context.values("cosine") is not None and len(context.adapters) > 1
    pairs = _variations(context) if compared and context.values("norm") is not None else None
    text = (
        "No two adapters are of one method: a run.json beside them, or names such as sft_lr2e-4_s42, would tell. "
        "`inspector train METHOD --set seed=123` makes a second seed."
    )
    groups = [_spreads(context, by) for by in GROUPINGS] if compared else []
    parts: list[Part] = [pairs or Note(text), *(table for table in groups if table)]
    about = "What another seed or learning rate does to one method: differences between methods are read against it."
    return Section("sensitivity", "Seeds and learning rates", about, tuple(parts), metrics)


def _variations(context: Context) -> Table | None:
    rows = []
    for v in variations(context.study):
        numbers = [fixed(v.cosine), fixed(v.output_similarity), significant(v.norm_ratio), fixed(v.u1), fixed(v.v1)]
        angles = [fixed(value, 1) for value in (v.angle, v.worst_angle)]
        names = (label(context.study.names[v.a]), label(context.study.names[v.b]))
        rows.append((*names, v.differs, v.start, *numbers, *angles))
    columns = (
        "a", "b", "differ in", "start A₀", "cosine", "output similarity", "norm b/a", "u₁", "v₁", "smallest angle, °",
        "largest, °",
    )  # fmt: skip
    return Table("variations", "One method, other seed or rate", columns, tuple(rows)) if rows else None


def _spreads(context: Context, by: str) -> Table | None:
    found = spreads(context.study, by)
    if len(found) < 2 or all(np.isnan(s.within[0]) for s in found):
        return None
    rows = tuple(
        (label(s.group), some([context.study.names[i] for i in s.members], 8), spread(s.within), spread(s.between))
        for s in found
    )
    caption = f"{compared_by(context.study).replace('_', ' ').capitalize()} by {by}: mean (least to largest)"
    return Table(f"spread-{by}", caption, (by, "adapters", "within", "to the others"), rows)


def kin(context: Context) -> Section:
    """Row-space overlaps as a matrix, and the groups they make."""
    found = lineage(context.study)
    about = "Whether two adapters grew from one random start, or are one run, from what their A still spans."
    if found is None or len(context.adapters) < 2:
        return Section("lineage", "Lineage", about, (), missing="two adapters")
    caption = f"Row-space overlap, mean over modules; {found.by_chance} by chance"
    table = context.matrix("lineage", caption, found.overlap)
    groups = [some([context.study.names[i] for i in group], 12) for group in found.groups if len(group) > 1]
    who = f"Of one start or run: {'; '.join(groups)}." if groups else "No two are known to share a start or a run."
    return Section(
        "lineage", "Lineage", about, (table, Note(f"{who} {RULE}")), ("row_space_overlap", "row_space_overlap_chance")
    )
