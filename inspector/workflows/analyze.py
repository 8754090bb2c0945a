"""`inspector analyze`: sources -> study -> tables on stdout or a file, narration on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.common.console import Progress, say, wrote
from inspector.common.errors import InspectorError
from inspector.common.text import count, plain, rounded
from inspector.insights.nearest import comparable
from inspector.study.export import is_study, load, refuse_unwritable, save
from inspector.study.study import SCOPES, Scope, Settings, Study
from inspector.study.table import needs_pair
from inspector.workflows.failures import opened, tell_findings, tell_side_by_side

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.adapters.opening import Failure
    from inspector.adapters.options import ReadOptions
    from inspector.claims.model import ClaimSet
    from inspector.probes.request import Request


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a study is printed, or written: the overview or all of it, some metrics and scopes, findings, groups."""

    metrics: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = SCOPES
    tables: bool = False
    summary: bool = False
    by: str = ""

    def refuse_several(self) -> None:
        """Raise InspectorError where two things are asked for that stand alone."""
        asked = {"--tables": self.tables, "--summary": self.summary, "--group-by": self.by, "--metric": self.metrics}
        if len(chosen := [option for option, value in asked.items() if value]) > 1:
            raise InspectorError(f"{' and '.join(chosen)} print different things: give one of them.")


def analyze(
    sources: Sequence[str],
    *,
    settings: Settings,
    out: Path | None = None,
    parts: Parts = Parts(),
    request: Request | None = None,
    read_options: ReadOptions | None = None,
    against: ClaimSet | None = None,
) -> int:
    """Measure the sources and print or write the result; 3 when something could not be analysed.

    With a request, also what it asks of the base model; with a set of claims, its published adapters as well.
    """
    if out is not None:
        refuse_unwritable(out)
        asked = {"tables": parts.tables, "summary": parts.summary, "group-by": parts.by}
        if printing := [option for option, value in asked.items() if value]:
            raise InspectorError(f"--{printing[0]} prints: leave out --out.")
    elif parts.scopes != SCOPES:
        raise InspectorError("--scope says what is written: add --out FILE.")
    parts.refuse_several()
    if request is None and against is None:
        scopes = parts.scopes if out is not None or not parts.metrics else ("global", "layer")
        settings = replace(settings, metrics=parts.metrics, scopes=scopes)
    study, complete = measured(sources, settings, request, read_options, against)
    if out is None:
        _print(study, parts, against, probed=request is not None)
    else:
        wrote(*save(study, out, parts.metrics, parts.scopes))
        if lonely := [metric for metric in parts.metrics if needs_pair(study, metric)]:
            say(f"Not in it: {', '.join(lonely)}, of two adapters, and one is open: name another.")
    if against is not None and not comparable(study):
        say(f"Nothing could be compared with {plain(against.address)}.")
        complete = False
    return 0 if complete else 3


def _print(study: Study, parts: Parts, against: ClaimSet | None, *, probed: bool) -> None:
    """What was asked for, or the overview."""
    from inspector.tables import studies

    title = studies.PUBLISHED if against is None else against.address
    if parts.summary:
        studies.print_summary(study, title)
    elif parts.by:
        studies.print_groups(study, parts.by, title)
    elif parts.tables or parts.metrics:
        studies.print_study(study, parts.metrics, title)
    else:
        studies.print_overview(study, title, probed=probed)
        say("More: --tables, all numbers; --summary, all findings; --metric NAME; --out FILE.")


def measured(
    sources: Sequence[str],
    settings: Settings,
    request: Request | None = None,
    read_options: ReadOptions | None = None,
    against: ClaimSet | None = None,
) -> tuple[Study, bool]:
    """The study of these sources and whether all of it could be analysed."""
    if is_study(sources):
        if request is not None or against is not None:
            to = "probe them" if request is not None else "stand them against others"
            raise InspectorError(f"{sources[0]} is a saved study: name its adapters to {to}.")
        study = load(sources[0])
        tell_findings(study.adapters)
        return study, all(a.health != "error" for a in study.adapters)
    adapters, failures = _opened(sources, read_options, against)
    from inspector.adapters.alignment import aligned
    from inspector.analysis.analyse import analyse, device_named

    if request is not None:
        request.refuse_unknown(adapters)
    settings = replace(
        settings, device=device_named(settings.device), reading=read_options.words if read_options else ()
    )
    adapters = aligned(adapters)
    total = sum(a.info.parameters for a in adapters)
    say(f"Measuring {count(len(adapters), 'adapter')} ({rounded(total)} parameters) on {settings.device} …")
    tell = Progress()
    study = analyse(adapters, settings, progress=lambda done, total: tell(f"{done}/{total} modules", done, total))
    if not study.modules:
        raise InspectorError(_nothing(adapters, settings))
    tell_findings(study.adapters)
    if len(adapters) > 1:
        tell_side_by_side(adapters)
    if request is not None:
        study = _probed(adapters, study, request)
    return study, all(failure.skipped for failure in failures) and all(a.health != "error" for a in study.adapters)


def _opened(
    sources: Sequence[str], read_options: ReadOptions | None, against: ClaimSet | None
) -> tuple[list[Adapter], list[Failure]]:
    """The adapters, those of the set beside them, and what could not be opened, which is told."""
    from inspector.adapters.options import DEFAULTS

    read_options = read_options or DEFAULTS
    adapters, failures = opened(sources, read_options)
    if against is None:
        return adapters, failures
    from inspector.workflows.reference import compared

    adapters, more = compared(against, adapters, lambda _text: None)  # the findings say it
    published, missed = opened(more, read_options, taken=[adapter.info.name for adapter in adapters])
    return adapters + published, failures + missed


def _probed(adapters: Sequence[Adapter], study: Study, request: Request) -> Study:
    """The study with what the request asks for; adapters that cannot run are left out, with a word."""
    from inspector.probes.runner import Prober

    able = [
        a for a in adapters if a.modules and a.info.scaled and not study.adapters[study.index(a.info.name)].excluded
    ]
    for adapter in adapters:
        if adapter not in able:
            say(f"{adapter.info.name} is not probed: {_first_error(study, adapter)}")
    if not able:
        raise InspectorError("No adapter can be probed: see the findings above.")
    prober, latest = Prober(), [study]
    say(f"Probing: {prober.estimate(able, study, request).text}.")

    def partial(so_far: Study) -> None:
        latest[0] = so_far

    return prober.run(able, study, request, progress=Progress(), partial=partial, note=say)


def _first_error(study: Study, adapter: Adapter) -> str:
    if not adapter.info.scaled:
        return f"the scale of ΔW is {adapter.info.scale}"
    findings = study.adapters[study.index(adapter.info.name)].findings
    return next((finding.text for finding in findings if finding.severity == "error"), "it has no usable module")


def _nothing(adapters: Sequence[Adapter], settings: Settings) -> str:
    """Why no module was measured."""
    if settings.filter:
        known = sorted({module.projection for a in adapters for module in a.modules})
        return f"No module matches --modules {settings.filter!r}. There are: {', '.join(known) or 'none'}."
    reasons = [(a.info.source, f.text) for a in adapters for f in a.info.findings if f.severity == "error"]
    source, why = reasons[0] if reasons else (adapters[0].info.source, "it has no module")
    rest = f" ({len(adapters)} adapters are like that)" if len(adapters) > 1 else ""
    return f"Nothing of {plain(source, 400)} can be analysed: {why}{rest}."
