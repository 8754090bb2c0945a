"""`inspector receipt`: adapters, a base and a merged model -> whether the one is in the other."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import fmean

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.model import Adapter
from inspector.adapters.options import ReadOptions
from inspector.base_model.base import base_weights
from inspector.checking.receipt.changes import Change, change, spread_of
from inspector.checking.receipt.combined import SAME, combined, each
from inspector.checking.receipt.matrices import Matrix
from inspector.checking.receipt.places import Place, matrix, others, places
from inspector.checking.receipt.stored import Model
from inspector.checking.receipt.strength import Fit, fitted
from inspector.checking.receipt.verdict import Evidence, Receipt, decided
from inspector.common.console import Progress, say
from inspector.common.errors import InspectorError
from inspector.common.text import plain
from inspector.tables import receipt as tables
from inspector.workflows.failures import opened

_TEXTS = 24
"""Problems whose log-probabilities a server is asked for."""
_CLOSE, _LOOKED_AT = 0.5, 6
"""Share of a change that an adapter must explain to be named, and the matrices on which that is measured."""


def receipt(
    sources: Sequence[str],
    folder: str,
    read_options: ReadOptions,
    *,
    strength: float = 1.0,
    near: Sequence[str] = (),
    as_text: bool = True,
) -> int:
    """Look for the adapters, or their sum, in the merged model; 0 if it contains them at the strength, else 1.

    Raises InspectorError if a source, the base or the merged model cannot be read, or do not fit.
    """
    if read_options.base is None:
        raise InspectorError("What was merged is told by the base: name it with --base (Hub id, folder, or smollm2).")
    adapters = _opened(sources, read_options)
    strangers = _opened(near, read_options) if near else []
    search = _Search(adapters, strangers, Model(read_options.base), Model(merged_weights(folder)), strength)
    found = search.receipt()
    return _delivered(found, as_text=as_text)


def served(
    sources: Sequence[str],
    url: str,
    read_options: ReadOptions,
    *,
    name: str = "",
    strength: float = 1.0,
    task: str = "arithmetic",
    as_text: bool = True,
) -> int:
    """Ask a server for log-probabilities, and compare them with those of base and adapter run here; 0 if it has it.

    Raises InspectorError if the base cannot be run, or the server does not say what is needed.
    """
    from inspector.base_model.attach import attach
    from inspector.base_model.base import load_base
    from inspector.base_model.encode import answers
    from inspector.base_model.logprobs import local
    from inspector.base_model.logprobs import served as echoed
    from inspector.base_model.server import Server
    from inspector.checking.receipt.served import compared
    from inspector.tasks.problems import load_problems

    adapters = _opened(sources, read_options)
    names = [adapter.info.name for adapter in adapters]
    if not name and len(names) > 1:
        raise InspectorError("Several adapters are looked for as their sum: say with --name what that is called there.")
    server, problems, tell = Server(url, 1), load_problems(task).first(_TEXTS), Progress()
    server.refuse_unknown(name or names[0])
    base = load_base(read_options.base_name or adapters[0].base, note=say, progress=tell)
    attached = attach(base, adapters)
    texts = answers(base.tokenizer, problems, "boxed")
    theirs = echoed(server, name or names[0], texts)
    own = local(attached, texts)
    attached.mix(dict.fromkeys(names, strength))
    changed = local(attached, texts)
    found = compared(name or names[0], _sum_of(names), theirs, own, changed, strength)
    return _delivered(found, as_text=as_text)


def _opened(sources: Sequence[str], read_options: ReadOptions) -> list[Adapter]:
    """All of them. Raises InspectorError if one could not be opened."""
    adapters, unopened = opened(sources, read_options)
    if unopened:
        raise InspectorError(f"{plain(unopened[0].source)} could not be opened: leave it out, or mend it.")
    return adapters


def _delivered(found: Receipt, *, as_text: bool) -> int:
    """The answer on stdout, and the exit code that says it."""
    if as_text:
        sys.stdout.write(tables.text(found))
    else:
        sys.stdout.write(json.dumps(tables.as_json(found), ensure_ascii=False, allow_nan=False, indent=2) + "\n")
    return 0 if found.verdict == "contained" else 1


def _sum_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"the sum of {', '.join(names[:-1])} and {names[-1]}"


def merged_weights(folder: str) -> BaseWeights:
    """The merged model's files. Raises InspectorError if that is an adapter, or holds one that was not merged."""
    path = Path(folder).expanduser()
    if path.is_dir() and not (path / "config.json").is_file():
        if (path / "adapter_config.json").is_file():
            raise InspectorError(f"{plain(folder)} is an adapter, not a merged model: name what it was merged into.")
        if any(path.glob("*.safetensors")):
            return BaseWeights(folder, lambda: path)
    found = base_weights(folder)
    assert found is not None
    if left := [key for key in found.weights.headers if ".lora_A." in key or ".base_layer." in key]:
        raise InspectorError(
            f"{plain(folder)} holds the adapter beside the base ({plain(left[0], 80)}), not merged into it: loaders "
            "leave such tensors out and run the base. Merge it with merge_and_unload() before it is saved."
        )
    return found


@dataclass(frozen=True, slots=True)
class _Search:
    adapters: Sequence[Adapter]
    strangers: Sequence[Adapter]
    base: Model
    merged: Model
    asked: float

    def receipt(self) -> Receipt:
        there = places(self.adapters, self.base, self.merged)
        if there and all(place.fault.startswith("stored as") for place in there):
            raise InspectorError(f"{plain(self.merged.name)}: {there[0].id} is {there[0].fault}. Give it unquantised.")
        fits = self._fits(there)
        each = self._each(there, fits)
        if each:
            fits = self._fits(there, [x / self.asked for x in each])
        changes = self._changes(there)
        found = list(zip(there, fits, strict=True))
        modules = [adapter.modules[id_] for adapter in self.adapters for id_ in adapter.modules]
        scale, rank = Counter((m.scale.known, m.rank) for m in modules).most_common(1)[0][0]
        names = [adapter.info.name for adapter in self.adapters]
        known = Evidence(
            _sum_of(names),
            self.asked, found, changes, dict(zip(names, each, strict=False)), scale, rank,
            spread_inside=lambda indices: self._inside(found, indices),
            spread_outside=lambda keys: self._outside(there, keys),
            nearest=self._nearest,
        )  # fmt: skip
        return decided(known)

    def _fits(self, there: Sequence[Place], weights: Sequence[float] = ()) -> list[Fit | None]:
        tell, fits = Progress(), []
        for n, place in enumerate(there, 1):
            fits.append(self._fit(place, weights))
            tell(f"{n}/{len(there)} modules", n, len(there))
        return fits

    def _fit(self, place: Place, weights: Sequence[float]) -> Fit | None:
        whole = None if place.fault else matrix(place, self.adapters, self.base, self.merged, weights)
        return fitted(whole, self.asked) if whole is not None and whole.updates else None

    def _each(self, there: Sequence[Place], fits: Sequence[Fit | None]) -> list[float]:
        """The strengths of the adapters of a sum, 0 of those that are not in it; empty if they are one."""
        told = [(p, fit) for p, fit in zip(there, fits, strict=True) if fit is not None and fit.size]
        owners = [[n for n, *_ in place.modules] for place, _ in told]
        found = each([fit for _, fit in told], owners, len(self.adapters)) if len(self.adapters) > 1 else []
        found = [0.0 if abs(x) <= SAME * self.asked else x for x in found]
        return found if any(found) and max(found) - min(found) > 2 * SAME * self.asked else []

    def _changes(self, there: Sequence[Place]) -> list[Change]:
        return [
            change(name, self.base.stored(old), self.merged.stored(new))
            for name, old, new in others(there, self.base, self.merged)
        ]

    def _inside(self, found: Sequence[tuple[Place, Fit | None]], indices: Sequence[int]) -> float:
        """The mean participation of what is left over in these matrices."""
        spreads = [
            spread_of(matrix(place, self.adapters, self.base, self.merged), fit.strength)
            for place, fit in (found[n] for n in indices)
            if fit is not None
        ]
        return fmean(spreads) if spreads else nan

    def _outside(self, there: Sequence[Place], keys: Sequence[str]) -> float:
        """That of the changes of matrices without a module."""
        spreads = [
            spread_of(Matrix(self.base.stored(old), self.merged.stored(new), ()), 0.0)
            for name, old, new in others(there, self.base, self.merged)
            if name in keys
        ]
        return fmean(spreads) if spreads else nan

    def _nearest(self) -> str:
        """Which of the other adapters explains most of the change, in words."""
        best, words = _CLOSE, ""
        for other in self.strangers:
            there = [place for place in places([other], self.base, self.merged) if not place.fault]
            step = max(1, len(there) // _LOOKED_AT)
            fits = [fitted(matrix(place, [other], self.base, self.merged), self.asked) for place in there[::step]]
            update = sum((fit.strength * fit.size) ** 2 for fit in fits)
            share = update / (update + sum(fit.unexplained**2 for fit in fits) or 1.0)
            if share > best:
                best, value = share, combined([fit for fit in fits if fit.size]).value
                words = f"{plain(other.info.name)} at strength {value:.2f}"
        return words
