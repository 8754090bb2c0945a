"""Published claims, checked against the study."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.claims.model import ClaimSet
from inspector.claims.verdicts import Outcome, cautions, limits
from inspector.claims.words import contradictions, published
from inspector.common.text import plain
from inspector.report.anonymise import cleared
from inspector.report.document import Note, Part, Section, Table
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import Study
from inspector.tables.claims import lines, marked, summary


def checked(claims: ClaimSet | None, outcomes: Sequence[Outcome], study: Study) -> Section:
    """A row for each claim and definition; where the publication disagrees with itself below."""
    about = "What a publication says, beside what this study measured, under each definition its sentence allows."
    if claims is None:
        text = "No claims were checked: `inspector report STUDY --claims arxiv:2606.23740 --out report.html` adds them."
        return Section("claims", "Claims", about, (Note(text),))
    rows = [
        tuple(
            _shown(cell)
            for cell in (o.claim.id, marked(o, said), o.claim.statement, published(o.claim), metric, measured)
        )
        for o in outcomes
        for metric, measured, said in lines(o)
    ]
    columns = ("claim", "verdict", "statement", "published", "metric", "measured")
    caption = _shown(f"{claims.title} ({claims.address}): {summary(outcomes)}")
    table = Table("claims", caption, columns, tuple(rows))
    doubts: list[Part] = [
        Note(_shown(f"Contradiction: {line}", 800), caution=True) for line in contradictions(outcomes)
    ]
    doubts += [
        Note(_shown(f"{o.claim.id}: {text}", 800), caution=True) for o in outcomes for text in o.claim.disagreements
    ]
    doubts += [Note(_shown(f"{o.claim.id}, not told: {text}", 800)) for o in outcomes for text in o.claim.limits]
    doubts += [Note(_shown(f"Not measured here: {text}", 800)) for text in claims.left_out]
    warning = [Note(text, caution=True)] if (text := cautions(claims, [study])) else []
    found = [Note(_shown(f"! {line}", 1200), caution=True) for line in limits(outcomes)]
    metrics = tuple(dict.fromkeys(m.metric for o in outcomes for m in o.measured if m.holds is not None))
    return Section(
        "claims", "Claims", about, (*warning, table, *found, *doubts), tuple(m for m in metrics if m in DEFINITIONS)
    )


def _shown(text: str, limit: int = 400) -> str:
    return cleared(plain(text, limit))
