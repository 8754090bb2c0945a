"""`inspector eval`: sources and a task -> accuracy on stdout or a study in a file, narration on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.common.console import StatusLine, clear, say, wrote
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import count, duration, plain, some
from inspector.study.adapter_info import AdapterInfo
from inspector.study.export import refuse_unwritable, save
from inspector.study.study import Settings
from inspector.workflows.failures import opened, tell_findings

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.adapters.options import ReadOptions
    from inspector.probes.accuracy.engines import Engine
    from inspector.probes.accuracy.solved import Results

METRICS = (
    "accuracy", "accuracy_low", "accuracy_high", "accuracy_base", "accuracy_base_low", "accuracy_base_high",
    "accuracy_answered", "accuracy_base_answered",
    "mcnemar_wins", "mcnemar_p", "mcnemar_p_holm", "mcnemar_base_p", "mcnemar_base_p_holm",
)  # fmt: skip
"""What a CSV of an evaluation holds."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. Empty and 0 mean the default."""

    task: str
    limit: int = 0
    device: str = "auto"
    dtype: str = "auto"
    batch: int = 0
    max_new_tokens: int = 0
    server: tuple[str, ...] = ()
    concurrency: int = 16
    records: Path | None = None
    no_base: bool = False
    out: Path | None = None


def evaluate(sources: Sequence[str], options: Options, read_options: ReadOptions) -> int:
    """Answer the task with the base and every source, then print or write; 3 when something has no answer."""
    from inspector.probes.accuracy import measure
    from inspector.probes.accuracy.records import folder_of
    from inspector.tasks.problems import load_problems

    if options.out is not None:
        refuse_unwritable(options.out)
    problems = load_problems(options.task).first(options.limit)
    adapters, failures = opened(sources, read_options)
    whole = all(failure.skipped for failure in failures)
    tell_findings([adapter.info if options.server else _with_values(adapter) for adapter in adapters])
    folder = folder_of(options.records)
    try:
        engine, able = _engine(adapters, options, read_options.base_name)
        models = count(len(able) + (not options.no_base), "model")
        say(f"{count(len(problems.problems), 'problem')} of {problems.name}, {models}; kept in {folder}.")
        watch = measure.Watch(progress=_Answers(), note=say)
        results = measure.evaluate(engine, able, problems, folder, watch, with_base=not options.no_base)
    except (KeyboardInterrupt, CancelledError):
        clear()
        say(f"What was answered is kept in {folder}: the same command goes on from there.")
        raise
    clear()
    for failure in results.failures.values():
        say(failure)
    _deliver(able, results, options, read_options)
    return 0 if whole and len(able) == len(adapters) and results.complete else 3


def _deliver(adapters: Sequence[Adapter], results: Results, options: Options, read_options: ReadOptions) -> None:
    """The tables, or the file."""
    if options.out is None:
        from inspector.tables.accuracy import print_results

        print_results(results)
        return
    from inspector.analysis.analyse import analyse
    from inspector.study.probe_results import merged

    # With the weights' numbers beside the answers', the file opens in the app as a whole study.
    measured = analyse(adapters, Settings(device="cpu", reading=read_options.words))
    if options.server:
        known = {adapter.info.name: adapter.info.findings for adapter in adapters}
        fresh = (tuple(f for f in info.findings if f not in known[info.name]) for info in measured.adapters)
        tell_findings([replace(info, findings=found) for info, found in zip(measured.adapters, fresh, strict=True)])
    study = merged(measured, results.info, results.blocks())
    wrote(*save(study, options.out, METRICS if options.out.suffix.lower() == ".csv" else ()))


def _with_values(adapter: Adapter) -> AdapterInfo:
    """With what its values show too, which takes torch: a server needs none."""
    from inspector.checking.checks import checked

    return replace(adapter.info, findings=checked(adapter, None).findings)


def _engine(adapters: Sequence[Adapter], options: Options, named: str) -> tuple[Engine, list[Adapter]]:
    """What answers, and the adapters it can answer with; the others are named on stderr."""
    from inspector.tasks.problems import token_limit

    limit = options.max_new_tokens or token_limit(options.task)
    if not options.server:
        return _local(adapters, limit, options, named)
    from inspector.base_model.served import served_base
    from inspector.base_model.servers import at
    from inspector.probes.accuracy.engines import Remote

    server = at(options.server, limit, options.concurrency)
    served, trained_on = server.served(), {adapter.info.name: adapter.info.base for adapter in adapters}
    base, caution = served_base(served, trained_on, named, needed=not options.no_base)
    if not options.no_base:
        server.refuse_unknown(base)
    if caution:
        say(f"{caution}: --base says that they are one.")
    at_once = count(options.concurrency, "problem")
    each = " each" if len(options.server) > 1 else ""
    say(f"Asking {plain(server.root)}, {at_once} at a time{each}, at most {limit} tokens an answer.")
    able = _able(adapters, lambda adapter: server.refuse_unknown(adapter.info.name))
    if activated := [adapter.info.name for adapter in able if adapter.invocation]:
        unknown = f"whether the server runs {some(activated)} from the invocation tokens on alone is not known here"
        say(f"{unknown[0].upper()}{unknown[1:]}: a server without activated LoRAs runs them on every token.")
        caution = "; ".join(filter(None, (caution, unknown)))
    return Remote(server, base, served, trained_on, caution), able


def _local(adapters: Sequence[Adapter], limit: int, options: Options, named: str) -> tuple[Engine, list[Adapter]]:
    from inspector.base_model.attach import Attached
    from inspector.base_model.base import load_base
    from inspector.base_model.coverage import largest_left_out, not_run
    from inspector.probes.accuracy.engines import Local

    base = load_base(named or _named_base(adapters), options.device, options.dtype, note=say, progress=_Answers())
    clear()
    say(f"Running {base.name} on {base.device} in {base.dtype}, adapters unmerged, at most {limit} tokens a problem.")
    attached = Attached(base)
    able = _able(adapters, attached.add)
    for adapter in able:
        for text in (not_run(adapter, largest_left_out(adapter)), attached.other_bases.get(adapter.info.name)):
            if text:
                say(f"{text}.")
    return Local(attached, limit, options.batch), able


def _able(adapters: Sequence[Adapter], check: Callable[[Adapter], object]) -> list[Adapter]:
    """The adapters that pass; raises the first error when none does."""
    able, refused = [], []
    for adapter in adapters:
        try:
            check(adapter)
            able.append(adapter)
        except InspectorError as error:
            refused.append(error)
    if not able:
        raise refused[0]
    for reason in refused:
        say(str(reason))
    return able


def _named_base(adapters: Sequence[Adapter]) -> str:
    """The base the adapters name."""
    names = sorted({adapter.base for adapter in adapters if adapter.base})
    if len(names) > 1:
        raise InspectorError(f"The adapters name different bases ({some(names)}): choose one with --base.")
    return names[0] if names else ""


class _Answers(StatusLine):
    """The state with the share and the time left, by the answers of this run alone."""

    def __init__(self) -> None:
        super().__init__()
        self._start: tuple[float, int] | None = None

    def __call__(self, text: str, done: int, total: int) -> None:
        now = time.monotonic()
        left = ""
        if total:
            started, before = self._start = self._start or (now, done)
            made = done - before
            left = f", {duration((total - done) * (now - started) / made)} left" if made else ""
            left = f" ({100 * done // total} % of all{left})"
        self.show(f"{text}{left}")
