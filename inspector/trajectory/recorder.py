"""Records of a training's weights, from the model itself: what WeightsCallback writes. Needs no transformers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.text import plain
from inspector.geometry.cosine import cosine
from inspector.geometry.live import Reading, Update, read
from inspector.geometry.ranks import effective_rank
from inspector.study.module_id import module_ids
from inspector.trajectory.live_modules import LiveModules, live_modules
from inspector.trajectory.weights_log import FILE, Header, Record, WeightsLog, line_of, parse

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


class Recorder:
    """Writes `weights.jsonl` in a folder; that of a training which resumes is continued from its step."""

    def __init__(
        self, model: Any, folder: Path, header: Header, *, step: int = 0, adapter: str = "",
        reference: Adapter | None = None,
    ) -> None:  # fmt: skip
        """Raises InspectorError if the reference has none of the modules, or the file cannot be written."""
        self.live = live_modules(model, adapter)
        self._path = folder / FILE
        self._before: Reading | None = None
        self._reference = _Reference(reference, self.live) if reference is not None and self.live.updates else None
        self.header = replace(
            header,
            adapter=self.live.adapter,
            modules=tuple(self.live.updates),
            base_norm=self.live.base_norm,
            left_out=self.live.left_out,
            reference=reference.info.source if reference is not None else "",
        )
        self._last: tuple[int, list[Update], float] | None = None
        known = self._begun(step).records
        self.step, self._square = known[-1].step if known else -1, math.nan
        """Of the newest record, and ‖ΔW‖² there."""
        if self.live.updates and step:
            self._square = _square(list(self.live.updates.values()))
            self.keep(step)

    def _begun(self, step: int) -> WeightsLog:
        """The file with nothing after this step; anew if it is of other modules."""
        try:
            found = parse(self._path.read_text(encoding="utf-8")) if step and self._path.is_file() else None
        except (OSError, UnicodeDecodeError):
            found = None
        same = found is not None and found.header.modules == self.header.modules
        log = replace(found.until(step), header=self.header) if found and same else WeightsLog(self.header)
        with replacing(self._path) as temporary:
            temporary.write_text(log.text(), encoding="utf-8")
        return log

    def record(self, step: int, learning_rate: float = math.nan) -> Record | None:
        """Measure and write what is now after this step; None if no module is trained, or the step is written."""
        if not self.live.updates or step == self.step:
            return None
        begun = time.perf_counter()
        updates = list(self.live.updates.values())
        last, reference = self._last, self._reference
        others: list[Sequence[Update | None]] = [
            *([last[1]] if last else []),
            *([reference.updates] if reference else []),
        ]
        found = read(updates, others)
        norms = found.norms
        square = float((norms**2).sum())
        ends = iter(found.inner.sum(1).tolist())
        cosine_last = _cosine(next(ends), square, last[2]) if last else math.nan
        cosine_reference = _cosine(next(ends), square, reference.square) if reference else math.nan
        whole = [sigma for sigma, broken in zip(found.sigma, found.broken, strict=True) if not broken]
        ranks = [float(effective_rank(sigma)) for sigma in whole if sigma.size]
        made = Record(
            step,
            math.nan if all(found.broken) else math.sqrt(square),
            float(np.nanmean(ranks)) if np.isfinite(ranks).any() else math.nan,
            cosine_last,
            last[0] if last else 0,
            cosine_reference,
            learning_rate,
            tuple(norms.tolist()),
            tuple(float(sigma[0]) for sigma in found.sigma),
            found.still(self._before) if self._before else (),
            tuple(m for m, broken in enumerate(found.broken) if broken),
            round(time.perf_counter() - begun, 4),
        )
        self._before, self.step, self._square = found, step, square
        self._append(asdict(made))
        return made

    def keep(self, step: int) -> None:
        """From here on `cosine_last` is with the factors of now: the checkpoint just recorded."""
        self._last = step, [update.copy() for update in self.live.updates.values()], self._square

    def loss(self, step: int, value: float) -> None:
        """Write a loss that was logged."""
        self._append({"step": step, "loss": float(value)})

    def _append(self, values: Mapping[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line_of(values))
        except OSError as error:
            raise InspectorError(f"Cannot write {plain(self._path)}: {error.strerror or error}.") from error


class _Reference:
    """The factors of an adapter at the modules that train, on their devices; `square`: ‖ΔW‖² of all its modules."""

    def __init__(self, adapter: Adapter, live: LiveModules) -> None:
        sizes = {path: update.B.shape[0] * update.A.shape[1] for path, update in live.updates.items()}
        ids = module_ids(sizes)
        loaded = {id_: Update(*adapter.load(id_), adapter.modules[id_].scale.known) for id_ in adapter.modules}
        self.square = _square(list(loaded.values()))
        self.updates: list[Update | None] = [
            _fitting(loaded.get(ids[path]), update) for path, update in live.updates.items()
        ]
        if not any(self.updates):
            name = plain(adapter.info.name)
            raise InspectorError(f"The reference {name} has none of the modules that train: was it for another base?")


def _fitting(other: Update | None, own: Update) -> Update | None:
    if other is None or (other.B.shape[0], other.A.shape[1]) != (own.B.shape[0], own.A.shape[1]):
        return None
    return Update(other.B.to(own.B.device), other.A.to(own.A.device), other.scale)


def _square(updates: Sequence[Update]) -> float:
    """‖ΔW‖² over all modules."""
    return float((read(updates).norms ** 2).sum())


def _cosine(inner: float, square: float, other: float) -> float:
    return float(cosine(np.array(inner), np.array(square), np.array(other)))
