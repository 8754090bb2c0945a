"""A weighted sum as an adapter of its own: the exact concatenation of its parents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.adapters.alignment import cut_up
from inspector.adapters.model import Adapter, LoraModule, TensorRecord
from inspector.adapters.peft.base import Base
from inspector.adapters.peft.factors import Factors
from inspector.adapters.peft.folder import TRANSPOSED
from inspector.adapters.peft.placing import cautions, placed
from inspector.adapters.peft.writer import write_peft
from inspector.adapters.tensors.unwritable import energy_lost, lost, unneeded
from inspector.adapters.updates.factors import as_stored
from inspector.common.errors import InspectorError
from inspector.common.text import count, plain, some
from inspector.merging.preview import Preview, refuse_activated, refused
from inspector.merging.spectra import parents
from inspector.study.adapter_info import AdapterInfo
from inspector.study.module_id import ModuleId
from inspector.study.study import Study

if TYPE_CHECKING:
    from inspector.adapters.files.base_weights import BaseWeights


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, in a sentence or two, what a user should know of it, and what of the parents is not in it."""

    text: str
    notes: tuple[str, ...]
    lost: tuple[str, ...]


def refuse_unaddable(study: Study, weights: Sequence[float]) -> None:
    """Raise InspectorError where some module cannot be added: what would be written is not the sum."""
    if cannot := refused(study, weights):
        module, reason = cannot[0]
        more = f" ({len(cannot)} such modules)" if len(cannot) > 1 else ""
        raise InspectorError(f"{plain(module)} cannot be added: {plain(reason, 300)}{more}. Nothing was written.")


def refuse_to_write_other_bases(adapters: Sequence[Adapter], weights: Sequence[float]) -> None:
    """Raise InspectorError where two parents name different bases: their sum fits no model."""
    named: dict[str, str] = {}
    for adapter, w in zip(adapters, weights, strict=True):
        if w and adapter.base:
            named.setdefault(adapter.base, adapter.info.name)
    if len(named) > 1:
        (base, name), (other, theirs) = list(named.items())[:2]
        raise InspectorError(
            f"{name} names the base {plain(base, 80)}, {theirs} names {plain(other, 80)}, and their sum fits neither: "
            "nothing was written (if both are one model, say so with --same-base NAME=OTHER)."
        )


def refuse_cut(adapters: Sequence[Adapter], weights: Sequence[float]) -> None:
    """Raise InspectorError where one parent has fused what another has in parts: a base has the one or the other."""
    for adapter in (a for a, w in zip(adapters, weights, strict=True) if w):
        if paths := cut_up(adapter):
            raise InspectorError(
                f"{adapter.info.name} has {some(paths, 1)} in one piece and another parent has it in parts: what is "
                "written fits the base of one of them alone. Nothing was written."
            )


def refuse_other_kernels(adapters: Sequence[Adapter], weights: Sequence[float]) -> None:
    """Raise InspectorError where a convolution's kernels differ between parents, though the products have one shape."""
    first: dict[ModuleId, Adapter] = {}
    for adapter in (a for a, w in zip(adapters, weights, strict=True) if w):
        for id_, module in adapter.modules.items():
            other = first.setdefault(id_, adapter)
            if (kernel := other.modules[id_].kernel) != module.kernel:
                sizes = ["×".join(map(str, size)) or "none" for size in (kernel, module.kernel)]
                raise InspectorError(
                    f"{plain(id_)} has a kernel of {sizes[0]} in {other.info.name} and of {sizes[1]} in "
                    f"{adapter.info.name}, which cannot be added. Nothing was written."
                )


def write(
    dest: Path,
    adapters: Sequence[Adapter],
    preview: Preview,
    *,
    base: BaseWeights | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Written:
    """Write Σ w_iΔW_i as a PEFT folder, exactly.

    Raises InspectorError where a parent is an activated LoRA, where parents name different bases, where a module cannot
    be added, or where `dest` exists. `base`: the experts go where it has them.
    """
    from inspector.geometry.merging import concatenated

    refuse_activated(preview.study.adapters, preview.weights)
    refuse_to_write_other_bases(adapters, preview.weights)
    refuse_unaddable(preview.study, preview.weights)
    refuse_cut(adapters, preview.weights)
    refuse_other_kernels(adapters, preview.weights)
    modules: dict[str, Factors] = {}
    places: list[LoraModule] = []
    lookup = Base(base) if base else None
    worst = 0.0
    for done, module in enumerate(preview.study.modules, 1):
        if here := parents(adapters, preview.weights, module):
            named = [adapter.modules[module] for adapter, _ in here]
            place = placed(next((one for one in named if one.spelt), named[0]), lookup)
            places.append(place)
            pairs = ((as_stored(a.load(module), (m := a.modules[module]).dtype), w * m.scale.known) for a, w in here)
            B, A, scale, cost = concatenated([(B, A, w) for (B, A), w in pairs])
            modules[place.path] = Factors.stored((B, A), scale, place)
            worst = max(worst, cost)
        progress(done, len(preview.study.modules))
    how = _how(preview, worst)
    name = next((a.base for a, w in zip(adapters, preview.weights, strict=True) if w and a.base), "")
    missing = tuple(_lost(adapters, preview))
    transposed = all(TRANSPOSED in info.findings for info in _parts(preview))
    written = write_peft(dest, modules, base=name, card=_card(preview, how), fan_in_fan_out=transposed)
    notes = (*_notes(adapters, preview), *written, *(() if lookup else cautions(modules, places)))
    ranks = sorted({factors.A.shape[0] for factors in modules.values()})
    span = "-".join(str(r) for r in dict.fromkeys((ranks[0], ranks[-1])))
    return Written(f"Wrote {plain(dest)}: {count(len(modules), 'module')} of rank {span}. {how}", notes, missing)


def _parts(preview: Preview) -> list[AdapterInfo]:
    return [info for info, w in zip(preview.study.adapters, preview.weights, strict=True) if w]


def _how(preview: Preview, worst: float) -> str:
    """How what was written relates to the sum."""
    if float(preview.sums.norm(preview.scope())) == 0:
        return "The parts cancel: the sum is zero, and what was written is no more than rounding."
    if worst == 0:
        return "ΔW is the sum to the last bit: the parents' factors side by side, their weights in α and signs."
    return f"ΔW is the sum: the parents' factors side by side, weights multiplied into B (rounding it by {worst:.0e})."


def _notes(adapters: Sequence[Adapter], preview: Preview) -> Iterator[str]:
    """What is not as a user may expect: other paths, tensors that no sum needs."""
    for module in preview.study.modules:
        here = parents(adapters, preview.weights, module)
        paths = dict.fromkeys(adapter.modules[module].path for adapter, _ in here)
        if len(paths) > 1:
            first, other = list(paths)[:2]
            yield f"The parents place modules differently, such as {plain(first)} and {plain(other)}: the first counts."
            break
    for adapter, w in zip(adapters, preview.weights, strict=True):
        if w:
            yield from _outside(adapter, unneeded(adapter))


def _lost(adapters: Sequence[Adapter], preview: Preview) -> Iterator[str]:
    """What of the parents is not in the sum: what factors leave of dense updates, tensors that are not used."""
    for adapter, w in zip(adapters, preview.weights, strict=True):
        share = energy_lost(adapter) if w else 0.0
        if share:
            what = f"{adapter.info.name} is not a product of factors"
            yield f"{what}: up to {share:.1%} of a module's energy is left out."
        if w:
            yield from _outside(adapter, lost(adapter))


def _outside(adapter: Adapter, tensors: Sequence[TensorRecord]) -> Iterator[str]:
    """A sentence where there are any such."""
    if tensors:
        what = f"{count(len(tensors), 'tensor')}, such as {plain(tensors[0].key, 80)}"
        yield f"{adapter.info.name} has {what}, that are not part of the sum: {plain(tensors[0].reason)}."


def _card(preview: Preview, how: str) -> str:
    """What a stranger should know of the folder."""
    scope = preview.scope()
    cosines = preview.sums.cosines(scope)
    rows = [
        f"| {plain(info.name)} | {w:g} | {cosine:.4f} |".replace("nan", "n/a")
        for info, w, cosine in zip(preview.study.adapters, preview.weights, cosines.tolist(), strict=True)
        if w
    ]
    table = "\n".join(["| adapter | weight | cosine to the sum |", "| --- | --- | --- |", *rows])
    norm, ratio = float(preview.sums.norm(scope)), float(preview.sums.energy_ratio(scope))
    measured = f"‖ΔW‖ of the sum {norm:.6g}, energy ratio ‖Σ w·ΔW‖² / Σ‖w·ΔW‖² {ratio:.4g}."
    return f"A weighted sum of LoRA adapters, Σ w·ΔW, by `inspector merge-preview`. {how}\n\n{table}\n\n{measured}"
