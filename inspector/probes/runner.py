"""Running probes: one base kept in memory, adapters switched on it; results into the study as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from inspector.adapters.model import Adapter
from inspector.adapters.opening import identity
from inspector.base_model.coverage import not_run
from inspector.base_model.loading import Loading, Waiting
from inspector.common.errors import InspectorError
from inspector.common.text import plain
from inspector.probes.pace import Course
from inspector.probes.request import PROBES, Estimate, Request, estimate, few_prompts, seconds_each
from inspector.study.probe_results import Blocks, merged
from inspector.study.study import ProbeInfo, Study

if TYPE_CHECKING:
    from inspector.base_model.attach import Attached


class Prober:
    """Keeps one base in memory from one request to the next."""

    def __init__(self) -> None:
        self._loaded: tuple[tuple[str, str, str], Attached] | None = None
        self._loading = Loading()
        self._digests: dict[str, str] = {}
        """Of the adapters on it, by name."""

    def estimate(self, adapters: Sequence[Adapter], _study: Study, request: Request) -> Estimate:
        """The cost before anything is loaded; no torch."""
        return estimate(adapters, request)

    def run(
        self,
        adapters: Sequence[Adapter],
        study: Study,
        request: Request,
        *,
        progress: Callable[[str, int, int], None] = lambda _text, _done, _total: None,
        partial: Callable[[Study], None] = lambda _study: None,
        note: Callable[[str], None] = lambda _text: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Study:
        """Measure, and return the study with the results; `partial` receives it as points appear.

        `progress(text, done, total)`; `note` tells what happened on the way (a halved batch, a base from
        the cache). Raises CancelledError after `partial` got what is finished, InspectorError with what to do.
        """
        from inspector.base_model.batches import Batches
        from inspector.base_model.generation import AUTO_BATCH
        from inspector.common.cache import Cache
        from inspector.probes import base_norms, hidden_states, lmc
        from inspector.probes.accuracy import run
        from inspector.probes.job import Job

        request = request.checked(adapters)
        for probe in (probe for probe in request.probes if probe != "intruders"):
            request.problems(probe)  # a prompt file that cannot be read is said before the base is loaded
        by_name = {adapter.info.name: adapter for adapter in adapters}
        _refuse_lost(study, by_name)
        if few := few_prompts(request):
            note(f"{few}.")
        digests = {name: identity(adapter) for name, adapter in by_name.items()}
        notes = [text for a in adapters if (text := not_run(a, _energy_left_out(study, a.info.name)))]
        for text in notes:
            note(text)

        def noted(text: str) -> None:
            notes.append(text)
            note(text)

        attached = self._attach(adapters, digests, request, progress, note, cancelled)
        notes += [attached.base.caution] if attached.base.caution else []
        for text in (attached.other_bases[name] for name in by_name if name in attached.other_bases):
            noted(text)
        current = [study]

        def deliver(info: ProbeInfo, blocks: Blocks, alphas: tuple[float, ...]) -> None:
            current[0] = merged(current[0], info, blocks, alphas=alphas, depth=attached.base.depth)
            partial(current[0])

        size = request.batch or AUTO_BATCH["cuda" if attached.base.device.startswith("cuda") else "cpu"]
        parts = _parts(request)
        course = Course(parts, seconds_each(adapters, request), progress)
        batches, cache = Batches(size, noted, cancelled), Cache(note)
        job = Job(request, attached, study.names, digests, batches, deliver, course, notes, cache)
        runs: dict[str, Callable[[], None]] = {
            "lmc": lambda: lmc.run(job),
            "cka": lambda: hidden_states.run(job),
            "lens": lambda: hidden_states.run(job),
            "intruders": lambda: base_norms.run_intruders(job, study.modules, by_name, cancelled),
            "accuracy": lambda: run.run(job, adapters, noted, cancelled),
        }
        base_norms.run_norms(job, study.modules, by_name)
        for part in parts:
            course.begin(part)
            runs[part]()
        attached.use(None)
        return current[0]

    def _attach(
        self,
        adapters: Sequence[Adapter],
        digests: dict[str, str],
        request: Request,
        progress: Callable[[str, int, int], None],
        note: Callable[[str], None],
        cancelled: Callable[[], bool],
    ) -> Attached:
        """The base with these adapters on it: what is there already stays."""
        from inspector.base_model.attach import attach
        from inspector.base_model.base import load_base

        def load(
            note: Callable[[str], None], progress: Callable[[str, int, int], None], cancelled: Callable[[], bool]
        ) -> Attached:
            base = load_base(*wanted, note=note, progress=progress, cancelled=cancelled)
            progress("attaching the adapters", 0, 0)
            return attach(base, adapters, cancelled=cancelled)

        wanted = (request.base, request.device, request.dtype)
        changed = any(self._digests.get(name, digest) != digest for name, digest in digests.items())
        if self._loaded is None or self._loaded[0] != wanted or changed:
            self._loaded, self._digests = None, {}  # the old base leaves memory before the new one comes
            key = (wanted, tuple(digests.items()))
            self._loaded = wanted, self._loading.attached(key, load, Waiting(note, progress, cancelled))
        attached = self._loaded[1]
        for adapter in adapters:
            attached.add(adapter)
        self._digests |= digests
        return attached


def _parts(request: Request) -> tuple[str, ...]:
    """The probes in the order they run; CKA and lens are one part."""
    both = {"cka", "lens"} <= set(request.probes)
    return tuple(probe for probe in PROBES if probe in request.probes and not (both and probe == "lens"))


def _refuse_lost(study: Study, by_name: dict[str, Adapter]) -> None:
    if lost := [name for name in by_name if name not in study.names]:
        raise InspectorError(f"{plain(lost[0])} was not measured yet: wait for its numbers, then probe.")


def _energy_left_out(study: Study, name: str) -> float:
    """The share of ‖ΔW‖² that the factors of an adapter leave out, as it was measured."""
    block = study.block("energy_left_out", "global")
    return 0.0 if block is None else float(block[study.index(name), 0])
