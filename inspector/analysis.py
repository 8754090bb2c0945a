"""What to measure, in which order, with progress and cancel: adapters -> study."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inspector import __version__
from inspector.adapters.health import with_value_findings
from inspector.adapters.model import Adapter, LoraModule
from inspector.adapters.opening import identity
from inspector.aggregate import aggregate
from inspector.errors import CancelledError, InspectorError
from inspector.geometry import chance, ranks
from inspector.names import ModuleId, in_order
from inspector.study import Floats, Scope, Settings, Study, fill_diagonals

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.geometry.module import ModuleGeometry
    from inspector.geometry.stack import Workspace

_SNAPSHOT_EVERY = 0.25
_LARGEST_RANK = 1024
"""Ranks beyond are taken apart by their product where that is smaller."""
_WORTH_THREADS = 5e7
"""Multiplications of one Gram product from which on several threads pay."""


def analyse(
    adapters: Sequence[Adapter],
    settings: Settings,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    partial: Callable[[Study], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Study:
    """Measure every adapter and every pair, module by module: memory is that of one module.

    `progress(done, total)` counts modules; `partial` receives consistent snapshots, NaN where not yet
    measured. Raises CancelledError as soon as `cancelled()` holds.
    """
    from inspector.geometry.stack import Workspace

    settings = replace(settings, device=device_named(settings.device))
    modules = chosen_modules(adapters, settings.filter)
    table = _Table(adapters, modules, settings)
    workspace = Workspace(settings.device)
    next_snapshot = time.monotonic() + _SNAPSHOT_EVERY
    with threads_for(table.largest_product()):
        for m, module in enumerate(modules):
            if cancelled():
                raise CancelledError("Cancelled before the analysis was complete.")
            table.measure(m, module, workspace)
            progress(m + 1, len(modules))
            if partial is not None and time.monotonic() >= next_snapshot:
                started = time.monotonic()
                partial(table.study())
                next_snapshot = time.monotonic() + max(_SNAPSHOT_EVERY, 4 * (time.monotonic() - started))
    return table.study(finished=True)


@contextmanager
def threads_for(product: float) -> Iterator[None]:
    """One thread where the products are small.

    Threads then gain nothing, and on a busy machine their barriers wait for cores that others hold: twenty
    times the time was measured for 120 small modules.
    """
    import torch

    before = torch.get_num_threads()
    if product < _WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_named(name: str) -> str:
    """The torch device `auto`, `cpu`, `cuda` or `cuda:1` stands for; auto takes CUDA where it is."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, dtype=torch.float64, device=name)
    except (RuntimeError, AssertionError, TypeError) as error:
        why = "" if not name.startswith("cuda") or torch.cuda.is_available() else " (torch sees no CUDA GPU)"
        raise InspectorError(f"No device {name!r} here for float64 work{why}: use --device cpu.") from error
    return name


def chosen_modules(adapters: Sequence[Adapter], pattern: str) -> tuple[ModuleId, ...]:
    """The union of the adapters' modules, in order; `pattern`: comma-separated ends of module paths."""
    wanted = [word.strip() for word in pattern.split(",") if word.strip()]
    union = {module for adapter in adapters for module in adapter.modules}
    return in_order({m for m in union if not wanted or any(matches(m, word) for word in wanted)})


def matches(module: ModuleId, word: str) -> bool:
    """Whether `q_proj`, `self_attn.q_proj` or `3.self_attn.q_proj` names this module."""
    return f".{module}".endswith(f".{word}")


class _Table:
    """The study while it grows: module blocks filled in place, one module at a time."""

    def __init__(self, adapters: Sequence[Adapter], modules: tuple[ModuleId, ...], settings: Settings) -> None:
        self.adapters, self.modules = adapters, modules
        self.settings = replace(settings, version=__version__)
        self.excluded: list[list[ModuleId]] = [list(a.info.excluded) for a in adapters]
        n, count, k = len(adapters), len(modules), settings.k
        self.shapes = np.zeros((n, count, 2), dtype=np.int64)
        for i, adapter in enumerate(adapters):
            for m, module in enumerate(modules):
                if (spec := adapter.modules.get(module)) is not None:
                    self.shapes[i, m] = spec.d_out, spec.d_in
        r = max((_values(spec) for a in adapters for spec in a.modules.values()), default=1)
        self.blocks: dict[tuple[str, Scope], Floats] = {}
        self._add((n, count), "norm", "energy_left_out")
        self._add((n, count, r), "singular_value")
        self._add((n, count, k), "spectral_gap")
        self._add(
            (n, n, count), "cosine", "u1", "v1", "subspace_overlap", "subspace_overlap_right", "row_space_overlap"
        )
        self._add((count,), "u1_chance", "v1_chance", "subspace_overlap_chance", "subspace_overlap_right_chance")
        self._add((count,), "row_space_overlap_chance")
        for side in settings.sides:
            self._add((n, n, count, k), angle_metric(side))
            self._add((count, k), f"{angle_metric(side)}_chance")

    def largest_product(self) -> float:
        """Multiplications of the largest Gram product: d·(N·r)²."""
        stacked = sum(max((s.rank for s in a.modules.values()), default=0) for a in self.adapters)
        return float(self.shapes.max(initial=0)) * stacked**2

    def _add(self, shape: tuple[int, ...], *metrics: str) -> None:
        for metric in metrics:
            self.blocks[metric, "module"] = np.full(shape, np.nan)

    def _at(self, metric: str) -> Floats:
        return self.blocks[metric, "module"]

    def measure(self, m: int, module: ModuleId, workspace: Workspace) -> None:
        """Measure all adapters that have this module, shape by shape."""
        shapes = {(int(o), int(i)) for o, i in self.shapes[:, m] if o}
        for shape in sorted(shapes):
            here = [i for i in range(len(self.adapters)) if tuple(self.shapes[i, m]) == shape]
            self._measure_shape(m, module, here, workspace)
        if shapes:
            self._chance(m, *max(shapes, key=lambda s: (self.shapes[:, m] == s).all(-1).sum()))

    def _measure_shape(self, m: int, module: ModuleId, here: list[int], workspace: Workspace) -> None:
        """Measure the adapters `here`; those with NaN or Inf are set aside, and the rest measured."""
        from inspector.geometry.factorise import NonFiniteError
        from inspector.geometry.module import measure

        factors = [(*_bounded(*self.adapters[i].load(module)), self._scale(i, module)) for i in here]
        try:
            found = measure(factors, self.settings.k, self.settings.sides, workspace)
        except NonFiniteError as error:
            for at in error.which:
                self.excluded[here[at]].append(module)
            if finite := [i for at, i in enumerate(here) if at not in error.which]:
                self._measure_shape(m, module, finite, workspace)
            return
        self._enter(m, here, found)
        self._at("energy_left_out")[here, m] = [self.adapters[i].left_out(module) for i in here]

    def _scale(self, i: int, module: ModuleId) -> float:
        return self.adapters[i].modules[module].scale.value

    def _enter(self, m: int, here: list[int], found: ModuleGeometry) -> None:
        """Write one module's numbers into the blocks."""
        inner = np.triu(found.inner.cpu().numpy())
        inner += np.triu(inner, 1).T  # symmetric to the last bit
        norms = np.sqrt(np.diagonal(inner).clip(min=0))
        self._at("norm")[here, m] = norms
        sigma = found.sigma.cpu().numpy()
        for i, values in zip(here, sigma, strict=True):
            rank = _values(self.adapters[i].modules[self.modules[m]])
            self._at("singular_value")[i, m, :rank] = values[:rank]
        gaps = sigma - np.pad(sigma, ((0, 0), (0, 1)))[:, 1:]
        width = min(self.settings.k, gaps.shape[1])
        self._at("spectral_gap")[here, m, :width] = gaps[:, :width]
        one, other = np.array(here)[found.i.cpu().numpy()], np.array(here)[found.j.cpu().numpy()]
        self._at("cosine")[np.ix_(here, here, [m])] = _cosines(inner, norms)[:, :, None]
        pairs = {
            "u1": found.u1,
            "v1": found.v1,
            "subspace_overlap": found.overlap_left,
            "subspace_overlap_right": found.overlap_right,
            "row_space_overlap": found.rows,
        } | {angle_metric(side): angles for side, angles in found.angles.items()}
        for metric, values in pairs.items():
            block, numbers = self._at(metric), values.cpu().numpy()
            block[one, other, m] = block[other, one, m] = numbers

    def _chance(self, m: int, d_out: int, d_in: int) -> None:
        """Chance levels at the shape most adapters have here, at the k their ranks allow."""
        widest = max(a.modules[self.modules[m]].rank for a in self.adapters if self.modules[m] in a.modules)
        k = min(self.settings.k, widest, d_out, d_in)
        self._at("u1_chance")[m], self._at("v1_chance")[m] = map(chance.direction_chance, (d_out, d_in))
        self._at("subspace_overlap_chance")[m] = chance.overlap_chance(d_out, k)
        self._at("subspace_overlap_right_chance")[m] = chance.overlap_chance(d_in, k)
        self._at("row_space_overlap_chance")[m] = chance.overlap_chance(d_in, min(widest, d_out, d_in))
        for side in self.settings.sides:
            angles = chance.angle_chance(d_out if side == "left" else d_in, k)
            self._at(f"{angle_metric(side)}_chance")[m, :k] = angles

    def study(self, *, finished: bool = False) -> Study:
        """What is measured so far, with layers and globals."""
        blocks = {key: values.copy() for key, values in self.blocks.items()}
        if not np.nansum(blocks["energy_left_out", "module"]):
            del blocks["energy_left_out", "module"]
        sigma = blocks["singular_value", "module"]
        for rank in (
            ranks.effective_rank,
            ranks.effective_rank_energy,
            ranks.participation_ratio,
            ranks.stable_rank,
            ranks.rank_90,
        ):
            blocks[rank.__name__, "module"] = rank(sigma)
        fill_diagonals(blocks)
        infos = tuple(
            replace(
                adapter.info,
                excluded=tuple(self.excluded[i]),
                digest=identity(adapter) if finished else "",
            )
            for i, adapter in enumerate(self.adapters)
        )
        study = aggregate(Study(infos, self.modules, self.shapes, self.settings, blocks))
        return with_value_findings(study) if finished else study


def _values(module: LoraModule) -> int:
    """How many singular values an update can have: its rank may be above its shape's."""
    return min(module.rank, module.d_out, module.d_in)


def _bounded(B: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    """The factors, multiplied out where their r×r Gram matrices would be far larger than they themselves."""
    from inspector.adapters.factors import whole

    r, shorter = A.shape[0], min(B.shape[0], A.shape[1])
    return whole(B.double() @ A.double()) if r > max(shorter, _LARGEST_RANK) else (B, A)


def angle_metric(side: str) -> str:
    """The metric name of the principal angles of one side."""
    return "principal_angle" if side == "left" else "principal_angle_right"


def _cosines(inner: Floats, norms: Floats) -> Floats:
    """Module cosines from inner products; NaN where a norm is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = inner / (norms[:, None] * norms[None, :])
    return np.where((norms[:, None] > 0) & (norms[None, :] > 0), cosines.clip(-1.0, 1.0), np.nan)
