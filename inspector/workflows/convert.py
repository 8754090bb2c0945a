"""`inspector convert`: an adapter of any format -> an ordinary PEFT folder with the same ΔW."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from inspector._version import __version__
from inspector.adapters.model import Adapter, Beside, Direction, TensorRecord
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.peft.base import Base
from inspector.adapters.peft.entries import is_expert
from inspector.adapters.peft.factors import Factors
from inspector.adapters.peft.folder import TRANSPOSED
from inspector.adapters.peft.placing import cautions, placed
from inspector.adapters.peft.writer import refuse_destination, write_peft
from inspector.adapters.tensors.unwritable import energy_lost, lost, unneeded
from inspector.adapters.updates.dora import NAME as DORA
from inspector.adapters.updates.factors import as_stored
from inspector.checking.checks import checked
from inspector.common.console import Progress, say
from inspector.common.errors import InspectorError
from inspector.common.text import count, distinct, first, plain, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId
from inspector.workflows.failures import opened, tell_findings

_COMPONENTS = ("unet", "transformer", "transformer_2", "text_encoder", "text_encoder_2", "text_encoder_3", "prior")


def convert(source: str, dest: Path, read_options: ReadOptions = DEFAULTS) -> int:
    """Write the one adapter of a source as a PEFT folder, and tell what is left out; 3 where that is of the update.

    Raises InspectorError where the source is no one adapter, where nothing of it can be written, or `dest` exists.
    """
    refuse_destination(dest)
    adapter, beside = apart(one_adapter(source, read_options, "converted"))
    info = adapter.info
    made = f"Converted by adapter-inspector {__version__} from {info.format}: ΔW = {info.scale or 's'}·B·A."
    missing = write_adapter(dest, adapter, beside, read_options, made)
    say(f"Wrote {plain(dest, 300)}: {count(len(adapter.modules), 'module')} of {info.format}, rank {info.rank}.")
    return 3 if missing else 0


def write_adapter(dest: Path, adapter: Adapter, beside: Beside | None, read_options: ReadOptions, made: str) -> bool:
    """Write the modules and what is `beside` them, and report what is left out; whether that is of the update.

    `made` begins the card: what made the folder.
    """
    directions = _directions(adapter)
    factors = _factors(adapter, directions, read_options)
    findings = checked(adapter, None).findings
    if directions:
        tensors = tuple(t for t in adapter.tensors if not t.reason.startswith(DORA))
        adapter = replace(adapter, tensors=tensors, left_out=lambda _id: 0.0)
        findings = tuple(finding for finding in findings if not finding.text.startswith("DoRA: "))
    missing = _lost(adapter)
    info = adapter.info
    card = "\n".join(
        [
            made,
            *(["\nAn activated LoRA: it holds from its invocation tokens on."] if adapter.invocation else []),
            *(f"\n- {line}" for line in missing),
        ]
    )
    transposed = TRANSPOSED in info.findings
    notes = write_peft(
        dest,
        factors,
        base=adapter.base,
        card=card,
        beside=beside,
        fan_in_fan_out=transposed,
        invocation=adapter.invocation,
    )
    tell_findings([replace(info, findings=_untold(findings))])
    if read_options.base is None and (alone := [p for p, f in factors.items() if is_expert(p) and f.parameter is None]):
        what = f"{count(len(alone), 'module')} of single experts, under the names of the source, such as"
        notes = (*notes, f"{what} {plain(alone[0], 80)}: with --base they are written as that base has them")
    if read_options.base is None:
        notes = (*notes, *cautions(factors, adapter.modules.values()))
    for line in (*missing, *_by_reason("Not needed", unneeded(adapter)), *notes):
        say(line)
    return bool(missing)


def apart(adapter: Adapter) -> tuple[Adapter, Beside | None]:
    """The adapter without what PEFT loads as it is, and that; all of it if no other module is left."""
    beside = adapter.beside
    modules = {id_: m for id_, m in adapter.modules.items() if beside is None or m.path not in beside.paths}
    if beside is None or not modules:
        return adapter, None
    kept = {distinct(key) for key in beside.keys}
    return replace(adapter, modules=modules, tensors=tuple(t for t in adapter.tensors if t.key not in kept)), beside


def _directions(adapter: Adapter) -> dict[ModuleId, Direction]:
    """The factors and magnitudes of DoRA, if every module has them: PEFT takes all of an adapter for it, or nothing."""
    found = {id_: direction for id_ in adapter.modules if (direction := adapter.direction(id_))}
    return found if len(found) == len(adapter.modules) else {}


def _factors(
    adapter: Adapter, directions: Mapping[ModuleId, Direction], read_options: ReadOptions
) -> dict[str, Factors]:
    """Path in the folder -> factors."""
    paths, tell, factors = written_paths(adapter), Progress(), {}
    base = Base(read_options.base) if read_options.base else None
    for n, (id_, module) in enumerate(adapter.modules.items(), 1):
        place = placed(replace(module, path=paths[module.path]), base)
        if direction := directions.get(id_):
            pair = as_stored(direction.load(), module.dtype)
            made = Factors.stored(pair, direction.scale, place, direction.magnitudes().flatten())
        else:
            made = Factors.stored(as_stored(adapter.load(id_), module.dtype), module.scale.known, place)
        factors[place.path] = made
        tell(f"{n}/{len(paths)} modules", n, len(paths))
    return factors


def written_paths(adapter: Adapter) -> Mapping[str, str]:
    """Module path -> its path in the folder: of an image pipeline adapted in one component, the path within it."""
    paths = [module.path for module in adapter.modules.values()]
    components = {path.partition(".")[0] for path in paths}
    alone = len(components) == 1 and components <= {*_COMPONENTS} and not adapter.info.format.startswith("PEFT")
    return {path: path.partition(".")[2] if alone else path for path in paths}


def one_adapter(source: str, read_options: ReadOptions, verb: str) -> Adapter:
    """The adapter of the source. Raises InspectorError if that is not one, or cannot be `verb` (converted)."""
    adapters, failures = opened([source], read_options)
    if len(adapters) + len(failures) > 1:
        what = f"{plain(source, 300)} holds {len(adapters) + len(failures)} adapters"
        names = [a.info.source for a in adapters] or [f.source for f in failures]
        raise InspectorError(f"{what}: name one, such as {first(names)}.")
    (adapter,) = adapters
    if not adapter.modules:
        errors = [f.text for f in adapter.info.findings if f.severity == "error"]
        raise InspectorError(f"{plain(source, 300)} cannot be {verb}: {(errors or ['it has no module'])[0]}.")
    adapter.refuse_unscaled(verb)
    return adapter


def _lost(adapter: Adapter) -> list[str]:
    """What of the update is not in the folder: tensors by reason, and what low-rank parts leave of dense updates."""
    lines = _by_reason("Left out", lost(adapter))
    if share := energy_lost(adapter):
        worst = max(adapter.modules, key=adapter.left_out)
        what = f"Left out of dense updates: up to {100 * share:.2g} % of ‖ΔW‖² ({worst})"
        lines.append(f"{what}; --svd-rank keeps more.")
    return lines


def _by_reason(what: str, tensors: Sequence[TensorRecord]) -> list[str]:
    """`Left out, 2 tensors: why: names.`, a line a reason."""
    reasons: dict[str, list[str]] = {}
    for tensor in tensors:
        reasons.setdefault(tensor.reason, []).append(tensor.key)
    return [f"{what}, {count(len(keys), 'tensor')}: {reason}: {some(keys)}." for reason, keys in reasons.items()]


def _untold(findings: Sequence[HealthIssue]) -> tuple[HealthIssue, ...]:
    """Those that say something else than `_lost`, which lists tensors."""
    return tuple(finding for finding in findings if " tensor" not in finding.text.partition(",")[0])
