"""What verify says: a table, JSON, JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.claims.model import ClaimSet
from inspector.claims.verdicts import VERDICTS, Outcome, Verdict, limits
from inspector.claims.words import contradictions, published, quantity
from inspector.common.text import count
from inspector.study.warnings import finding_lines
from inspector.tables.claim_json import as_object
from inspector.tables.tables import UNLIMITED, Page, titled

FORMATS = ("table", "json", "junit")
VERSION = 1
_STYLES: dict[Verdict, str] = {
    "holds": "green",
    "holds only under": "yellow",
    "does not hold": "red",
    "cannot be measured here": "dim",
}
_SINGULAR = {"holds only under": "holds only under some definition"}
_PLURAL = {"holds": "hold", "holds only under": "hold only under some definition", "does not hold": "do not hold"}


def written(claims: ClaimSet, outcomes: Sequence[Outcome], form: str, warning: str = "") -> str:
    """The result in one of FORMATS, ready to print or save; `warning` limits what the verdicts say."""
    makers = {"table": _plain_table, "json": as_json, "junit": as_junit}
    return makers[form](claims, outcomes, warning)


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many of each verdict."""
    said = [outcome.verdict for outcome in outcomes]
    return {verdict: said.count(verdict) for verdict in VERDICTS}


def apart(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Claims about adapters that can be opened, and those about unpublished ones, which others stand in for."""
    return [o for o in outcomes if not o.claim.unpublished], [o for o in outcomes if o.claim.unpublished]


def summary(outcomes: Sequence[Outcome]) -> str:
    """`12 claims: 10 hold, 2 do not hold. 5 about unpublished adapters, which refute nothing: 5 hold.`"""
    own, others = apart(outcomes)
    said = [f"{count(len(own), 'claim')}: {_counted(own)}."] if own or not others else []
    if others:
        said.append(
            f"{count(len(others), 'claim')} about unpublished adapters, which others do not refute: {_counted(others)}."
        )
    return " ".join(said)


def _counted(outcomes: Sequence[Outcome]) -> str:
    said = [(n, _SINGULAR if n == 1 else _PLURAL, verdict) for verdict, n in counts(outcomes).items() if n]
    return ", ".join(f"{n} {words.get(verdict, verdict)}" for n, words, verdict in said)


def as_table(claims: ClaimSet, outcomes: Sequence[Outcome]) -> Table:
    """A row for each claim and definition."""
    table = titled(f"{claims.title} ({claims.address})")
    table.add_column("claim", no_wrap=True)
    for heading in ("published", "metric", "measured", "verdict"):
        table.add_column(heading)
    for outcome in outcomes:
        head = (outcome.claim.id, published(outcome.claim))
        for metrics, text, said in lines(outcome):
            table.add_row(*map(Text, head), Text(metrics), Text(text), Text(marked(outcome, said), style=_STYLES[said]))
            head = ("", "")
    return table


def lines(outcome: Outcome) -> list[tuple[str, str, Verdict]]:
    """(quantity, measured, verdict) of each definition; those that cannot be measured for one reason share a line."""
    found: dict[str, tuple[str, str, Verdict]] = {}
    for one in outcome.measured:
        if one.holds is None:
            before = found.get(one.reason)
            metrics = f"{before[0]}, {one.metric}" if before else quantity(outcome.claim, one.metric)
            found[one.reason] = metrics, one.reason, "cannot be measured here"
        else:
            metrics = quantity(outcome.claim, one.metric)
            found[metrics] = metrics, one.text, "holds" if one.holds else "does not hold"
    return list(found.values())


def marked(outcome: Outcome, said: Verdict) -> str:
    """The verdict, with `!` if something limits what it says, `(stand-ins)` if it is of others than it is about."""
    if said == "cannot be measured here":
        return said
    return f"{said}{' !' if outcome.limited else ''}{' (stand-ins)' if outcome.claim.unpublished else ''}"


def print_table(claims: ClaimSet, outcomes: Sequence[Outcome], warning: str = "") -> None:
    """On stdout: as wide as the terminal, in a pipe as wide as the table."""
    console = Page()
    if not console.is_terminal:
        console.width = UNLIMITED
    _print(console, claims, outcomes, warning)


def _plain_table(claims: ClaimSet, outcomes: Sequence[Outcome], warning: str) -> str:
    console = Page(width=UNLIMITED, color_system=None)
    with console.capture() as captured:
        _print(console, claims, outcomes, warning)
    return captured.get()


def _print(console: Console, claims: ClaimSet, outcomes: Sequence[Outcome], warning: str) -> None:
    table = as_table(claims, outcomes)
    unlimited = console.options.update(width=UNLIMITED)
    if console.measure(table, options=unlimited).maximum <= console.width:
        console.print(table)
    else:
        _print_stacked(console, claims, outcomes)
    console.print(Text(summary(outcomes)))
    if warning:
        console.print(Text(warning, style="yellow"))
    for title, found, style in _notes(claims, outcomes):
        if found:
            console.print(Text(f"\n{title}:", style=style))
        for line in found:
            console.print(Text(f"  {line}", style=style))


def _notes(claims: ClaimSet, outcomes: Sequence[Outcome]) -> tuple[tuple[str, Sequence[str], str], ...]:
    """(title, lines, style) of what stands below the table, where there is any."""
    doubts = [f"{o.claim.id}: {text}" for o in outcomes for text in o.claim.disagreements]
    untold = [f"{o.claim.id}: {text}" for o in outcomes for text in o.claim.limits]
    return (
        ("! What limits these verdicts", limits(outcomes), "yellow"),
        ("Claims of the publication that contradict each other", contradictions(outcomes), ""),
        ("Where the publication leaves it open or disagrees with itself", doubts, ""),
        ("What a verdict does not tell", untold, ""),
        ("Sentences of the publication that nothing here measures", claims.left_out, ""),
    )


def _print_stacked(console: Console, claims: ClaimSet, outcomes: Sequence[Outcome]) -> None:
    """Where a row is wider than the terminal: each claim and what is published over its lines; no name is cut."""
    rows = [line for outcome in outcomes for line in lines(outcome)]
    metric = max(len(name) for metrics, _, _ in rows for name in f"{metrics},".split())
    verdict = max(len(marked(outcome, said)) for outcome in outcomes for _, _, said in lines(outcome))
    console.width = max(console.width, metric + verdict + 22)
    measured = console.width - metric - verdict - 6
    console.print(Text(f"{claims.title} ({claims.address})", style="bold"))
    for outcome in outcomes:
        console.print(Text.assemble("\n", (outcome.claim.id, "bold"), f"  {published(outcome.claim)}"))
        console.print(Text(outcome.claim.statement, style="dim"))
        table = Table.grid(padding=(0, 2, 0, 0))
        for width in (0, metric, measured, verdict):
            table.add_column(width=width, overflow="fold")
        for metrics, text, said in lines(outcome):
            table.add_row("", Text(metrics), Text(text), Text(marked(outcome, said), style=_STYLES[said]))
        console.print(table)
    console.print()


def as_json(claims: ClaimSet, outcomes: Sequence[Outcome], warning: str = "") -> str:
    """One object: the set, the counts, and every claim with its definitions."""
    document = {
        "format": "adapter-inspector claims",
        "version": VERSION,
        "title": claims.title,
        "address": claims.address,
        "base": claims.base,
        "warning": warning,
        "counts": counts(apart(outcomes)[0]),
        "counts_unpublished": counts(apart(outcomes)[1]),
        "left_out": list(claims.left_out),
        "claims": [as_object(outcome) for outcome in outcomes],
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def as_junit(claims: ClaimSet, outcomes: Sequence[Outcome], warning: str = "") -> str:
    """A test case for each claim: failed where it does not hold, skipped where it cannot be measured."""
    refuted, unknown = sum(o.refuted for o in outcomes), counts(outcomes)["cannot be measured here"]
    numbers = {"failures": refuted, "skipped": unknown, "errors": 0}
    suite = ET.Element(
        "testsuite", {"name": claims.address, "tests": str(len(outcomes))} | {k: str(n) for k, n in numbers.items()}
    )
    if warning:
        properties = ET.SubElement(suite, "properties")
        ET.SubElement(properties, "property", name="warning", value=warning)
    for outcome in outcomes:
        case = ET.SubElement(suite, "testcase", classname=claims.address, name=outcome.claim.id)
        said = "\n".join(f"{quantity(outcome.claim, found.metric)}: {found.text}" for found in outcome.measured)
        text = f"{outcome.claim.statement}\npublished: {published(outcome.claim)}\n{said}\n{outcome.text}"
        about = "about unpublished adapters: others do not refute it" if outcome.claim.unpublished else ""
        text = "\n".join(filter(None, (text, *finding_lines(outcome.findings), outcome.caution, about)))
        if outcome.refuted:
            ET.SubElement(case, "failure", message=f"published {published(outcome.claim)}; {said}").text = text
        elif outcome.verdict == "cannot be measured here":
            ET.SubElement(case, "skipped", message=outcome.reason)
        else:
            ET.SubElement(case, "system-out").text = text
    ET.indent(suite)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'
