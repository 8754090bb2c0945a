"""`inspector convert`: an adapter of any format -> an ordinary PEFT folder with the same ΔW."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from inspector.adapters.factors import as_stored
from inspector.adapters.given import NOTHING, Given
from inspector.adapters.losses import energy_lost, lost, unneeded
from inspector.adapters.model import Adapter, TensorRecord
from inspector.adapters.peft.folder import TRANSPOSED
from inspector.adapters.peft.writer import Factors, refuse_destination, write_peft
from inspector.checking.checks import checked
from inspector.errors import InspectorError
from inspector.failures import opened, tell_findings
from inspector.narration import Progress, say
from inspector.study import Finding
from inspector.text import count, first, plain, some

_COMPONENTS = ("unet", "transformer", "transformer_2", "text_encoder", "text_encoder_2", "text_encoder_3", "prior")


def convert(source: str, dest: Path, given: Given = NOTHING) -> int:
    """Write the one adapter of a source as a PEFT folder, and tell what is left out; 3 where that is of the update.

    Raises InspectorError where the source is no one adapter, where nothing of it can be written, or `dest` exists.
    """
    refuse_destination(dest)
    adapter = _opened(source, given)
    adapter.refuse_unscaled("converted")
    paths = written_paths(adapter)
    tell = Progress()
    factors = {}
    for n, (id_, module) in enumerate(adapter.modules.items(), 1):
        pair = as_stored(adapter.load(id_), module.dtype)
        factors[paths[module.path]] = Factors.stored(*pair, module.scale.known, module.kernel)
        tell(f"{n}/{len(paths)} modules", n, len(paths))
    missing = _lost(adapter)
    info = adapter.info
    card = "\n".join(
        [
            f"Converted by adapter-inspector {_version()} from {info.format}: ΔW = {info.scale or 's'}·B·A.",
            *(["\nAn activated LoRA: it holds from its invocation tokens on."] if adapter.invocation else []),
            *(f"\n- {line}" for line in missing),
        ]
    )
    transposed = TRANSPOSED in info.findings
    notes = write_peft(
        dest, factors, base=adapter.base, card=card, fan_in_fan_out=transposed, invocation=adapter.invocation
    )
    tell_findings([replace(info, findings=_untold(checked(adapter, None).findings))])
    for line in (*missing, *_by_reason("Not needed", unneeded(adapter)), *notes):
        say(line)
    say(f"Wrote {plain(dest, 300)}: {count(len(factors), 'module')} of {info.format}, rank {info.rank}.")
    return 3 if missing else 0


def written_paths(adapter: Adapter) -> Mapping[str, str]:
    """Module path -> its path in the folder: of an image pipeline adapted in one component, the path within it."""
    paths = [module.path for module in adapter.modules.values()]
    components = {path.partition(".")[0] for path in paths}
    alone = len(components) == 1 and components <= {*_COMPONENTS} and not adapter.info.format.startswith("PEFT")
    return {path: path.partition(".")[2] if alone else path for path in paths}


def _opened(source: str, given: Given) -> Adapter:
    adapters, failures = opened([source], given)
    if len(adapters) + len(failures) > 1:
        what = f"{plain(source, 300)} holds {len(adapters) + len(failures)} adapters"
        names = [a.info.source for a in adapters] or [f.source for f in failures]
        raise InspectorError(f"{what}: name one, such as {first(names)}.")
    (adapter,) = adapters
    if not adapter.modules:
        errors = [f.text for f in adapter.info.findings if f.severity == "error"]
        raise InspectorError(f"{plain(source, 300)} cannot be converted: {(errors or ['it has no module'])[0]}.")
    return adapter


def _lost(adapter: Adapter) -> list[str]:
    """What of the update is not in the folder: tensors by reason, and what low-rank parts leave of dense updates."""
    told = _by_reason("Left out", lost(adapter))
    if share := energy_lost(adapter):
        worst = max(adapter.modules, key=adapter.left_out)
        what = f"Left out of dense updates: up to {100 * share:.2g} % of ‖ΔW‖² ({worst})"
        told.append(f"{what}; --svd-rank keeps more.")
    return told


def _by_reason(what: str, tensors: Sequence[TensorRecord]) -> list[str]:
    """`Left out, 2 tensors: why: names.`, a line a reason."""
    reasons: dict[str, list[str]] = {}
    for tensor in tensors:
        reasons.setdefault(tensor.reason, []).append(tensor.key)
    return [f"{what}, {count(len(keys), 'tensor')}: {reason}: {some(keys)}." for reason, keys in reasons.items()]


def _untold(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those that say something else than `_lost`, which lists tensors."""
    return tuple(finding for finding in findings if " tensor" not in finding.text.partition(",")[0])


def _version() -> str:
    from inspector import __version__

    return __version__
