"""`inspector verify`: a set of claims -> what it needs, measured -> a verdict for each claim."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.claims import needs
from inspector.claims.bundled import claim_set
from inspector.claims.model import ClaimSet
from inspector.claims.selection import missing_places
from inspector.claims.subjects import Where
from inspector.claims.verdicts import Outcome, cautions, elsewhere, evaluate
from inspector.common.console import Progress, say
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.files import refuse_place, replacing
from inspector.common.text import count, plain, some
from inspector.study.adapter_info import AdapterInfo
from inspector.study.export import load
from inspector.study.study import Settings, Study
from inspector.tables.claims import print_table, summary, written
from inspector.workflows.failures import opened, tell_findings

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.adapters.options import ReadOptions

DONE, FAILED, INCOMPLETE = 0, 1, 3
_NAMES = "NAME=SOURCE gives one of these names:"
_INSTEAD = " Or check yours (--adapters NAME=SOURCE…), or a saved study (--study FILE)."


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the claims. Empty and 0 mean the default."""

    adapters: tuple[str, ...] = ()
    studies: tuple[Path, ...] = ()
    limit: int = 0
    device: str = "auto"
    form: str = "table"
    out: Path | None = None


def verify(name: str, options: Options, read_options: ReadOptions) -> int:
    """Measure, judge, print or write; 1 when a claim is refuted, else 3 when an adapter could not be opened."""
    claims = claim_set(name)
    if options.out is not None:
        refuse_place(options.out)
    remedy, complete = "add --base", True
    if options.studies:
        studies, remedy = [load(path) for path in options.studies], "it is in no --study"
        saved = [adapter for study in studies for adapter in study.adapters]
        tell_findings(saved)
        _tell_of_steps(saved)
        _warn(elsewhere(claims, studies))
    else:
        studies, remedy, complete = _measured(name, claims, options, read_options)
    outcomes = evaluate(claims, studies, remedy=remedy)
    _deliver(claims, outcomes, options, cautions(claims, studies))
    if any(outcome.refuted for outcome in outcomes):
        return FAILED
    return DONE if complete else INCOMPLETE


def _deliver(claims: ClaimSet, outcomes: Sequence[Outcome], options: Options, warning: str) -> None:
    """To the file, or to stdout."""
    if options.out is not None:
        with replacing(options.out) as temporary:
            temporary.write_text(written(claims, outcomes, options.form, warning), encoding="utf-8")
        say(f"{summary(outcomes)} Wrote {options.out}.")
    elif options.form == "table":
        print_table(claims, outcomes, warning)
    else:
        sys.stdout.write(written(claims, outcomes, options.form, warning))
        say(summary(outcomes))


def _warn(warning: str) -> None:
    """Before anything long is run; the verdicts repeat it."""
    if warning:
        say(warning)


def _measured(
    name: str, claims: ClaimSet, options: Options, read_options: ReadOptions
) -> tuple[list[Study], str, bool]:
    """The studies that claims are checked against, what is said where the base is missing, and whether all opened."""
    from inspector.adapters.alignment import aligned
    from inspector.analysis.analyse import analyse, device_named

    wanted = needs.names(claims)
    sources = list(options.adapters) or claims.sources(wanted)
    if not sources:
        raise InspectorError(f"{claims.address} names no source of an adapter: add --adapters NAME=SOURCE.")
    aliases, steps = claims.aliases(), any(claims.run(name) != name for name in wanted)
    reading = replace(read_options, checkpoints=read_options.checkpoints or steps)
    adapters, failures = opened(sources, reading, instead="" if options.adapters else _INSTEAD)
    adapters = aligned(_meant(adapters, wanted, aliases) if steps else adapters)
    if not any(name in wanted for name in Where.named([adapter.info for adapter in adapters], aliases)):
        which = some([adapter.info.name for adapter in adapters])
        raise InspectorError(f"No claim names {which}. {_NAMES} {', '.join(wanted)}.")
    sizes = needs.top_ks(claims)
    settings = Settings(sides=needs.sides(claims), device=device_named(options.device), reading=read_options.words)
    say(f"Measuring {count(len(adapters), 'adapter')} for {count(len(claims.claims), 'claim')} …")
    tell = Progress()
    geometry = list[Study]()
    for k, wanted_here in sizes.items():
        few = adapters if not geometry else _meant(adapters, wanted_here, aliases)
        geometry.append(analyse(few, replace(settings, k=k), progress=partial(tell, "modules")))
    study = geometry[0]
    where = Where.of(study, aliases)
    if not options.adapters:
        _refuse_missing_places(name, claims, where)
    _tell_of_names(study, where, wanted)
    _tell_of_steps(study.adapters)
    tell_findings(study.adapters)
    _warn(elsewhere(claims, geometry))
    complete = all(failure.skipped for failure in failures) and all(a.health != "error" for a in study.adapters)
    if read_options.base is None:
        return geometry, "add --base", complete
    studies, remedy = _probed(claims, adapters, study, where, options, read_options.base_name)
    return [*studies, *geometry], remedy or "it was not run", complete and not remedy


def _meant(adapters: Sequence[Adapter], wanted: Sequence[str], aliases: Mapping[str, str]) -> list[Adapter]:
    """Those that go by one of these names, checkpoints among them."""
    named = Where.named([adapter.info for adapter in adapters], aliases)
    chosen = {at for name, at in named.items() if name in wanted}
    return [adapter for at, adapter in enumerate(adapters) if at in chosen]


def _refuse_missing_places(name: str, claims: ClaimSet, where: Where) -> None:
    """Raise InspectorError where a claim asks for a layer or a module that none of the set's own adapters has."""
    for claim in claims.claims:
        if where.missing(claim.required):
            continue
        for selector in claim.selectors:
            if missing := missing_places(where.study, selector):
                raise InspectorError(f"{plain(name, 300)}: claim {plain(claim.id, 60)}, {missing}.")


def _tell_of_names(study: Study, where: Where, wanted: Sequence[str]) -> None:
    """What was opened in vain."""
    used = {where.at[name] for name in wanted if name in where.at}
    if idle := [name for i, name in enumerate(study.names) if i not in used]:
        say(f"{some(idle)}: no claim names it. {_NAMES} {', '.join(wanted)}.")


def _tell_of_steps(adapters: Sequence[AdapterInfo]) -> None:
    """Which adapters are of a step before their training's last."""
    steps = {plain(a.name): (a.origin.step, a.origin.steps) for a in adapters}
    if early := [
        f"{name} of step {at:,} of {last:,}" for name, (at, last) in steps.items() if at and last and at < last
    ]:
        say(f"Before the last step of their training: {some(early)}.")


def _probed(
    claims: ClaimSet, adapters: Sequence[Adapter], study: Study, where: Where, options: Options, base: str
) -> tuple[list[Study], str]:
    """A study for each run of the base that claims ask for; the reason if one could not be done, or nothing."""
    from inspector.probes.request import Request
    from inspector.probes.runner import Prober

    names = {name: study.names[at] for name, at in where.at.items()}
    by_name = {a.info.name: a for a in adapters if a.modules and not study.adapters[study.index(a.info.name)].excluded}
    able = [name for name in needs.names(claims) if names.get(name) in by_name]
    prober, studies, remedy = Prober(), [], ""
    for run in needs.runs(claims, able):
        request = Request(
            run.probes, base=base, prompts=run.prompts, limit=options.limit, device=options.device,
            pairs=tuple((names[a], names[b]) for a, b in run.pairs), alphas=run.alphas, loss=run.loss, top=run.top,
            epsilon=run.epsilon,
        )  # fmt: skip
        chosen = [by_name[names[name]] for name in run.names]
        say(f"Running {base}: {', '.join(run.probes)} on {run.prompts or 'its weights'}.")
        try:
            studies.append(prober.run(chosen, study, request, progress=Progress(), note=say))
        except CancelledError:
            raise
        except InspectorError as error:
            remedy = str(error)
            say(remedy)
    return studies, remedy
