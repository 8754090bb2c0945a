"""`inspector resize`: an adapter and a rank, a share of its energy or a size -> an adapter of smaller ranks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inspector._version import __version__
from inspector.adapters.model import Adapter
from inspector.adapters.options import ReadOptions
from inspector.adapters.peft.writer import refuse_destination
from inspector.common.console import Progress, say
from inspector.common.errors import InspectorError
from inspector.common.text import count, in_bytes, plain
from inspector.merging import resizing
from inspector.tables.resize import Loaded, Resized, text
from inspector.workflows.convert import apart, one_adapter, write_adapter
from inspector.workflows.failures import tell_findings

_TEXTS = 32
"""Problems whose answers the loss is of."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One of the three: a rank for every module, a share of every module's energy, or megabytes of all."""

    rank: int | None = None
    energy: float | None = None
    budget: float | None = None

    def ranks(self, adapter: Adapter, spectra: resizing.Spectra) -> resizing.Ranks:
        if self.rank is not None:
            return resizing.of_rank(spectra, self.rank)
        if self.energy is not None:
            return resizing.of_energy(spectra, self.energy)
        assert self.budget is not None
        return resizing.of_budget(adapter, spectra, self.budget * 1e6)


def resize(
    source: str, wanted: Wanted, dest: Path | None, read_options: ReadOptions, *, task: str, device: str = "auto"
) -> int:
    """Print which ranks that takes and what they keep; write the adapter of these ranks if there is a `dest`.

    If the base is given it is run: what the adapter and the smaller one make of answers' loss. 3 if something of the
    update is not in what was written. Raises InspectorError for what is not one adapter, and if `dest` exists.
    """
    if dest is not None:
        refuse_destination(dest)
    adapter, beside = apart(one_adapter(source, read_options, "resized"))
    tell = Progress()
    spectra = resizing.spectra_of(adapter, device=device, progress=_counted(tell, "modules measured"))
    ranks = wanted.ranks(adapter, spectra)
    if all(ranks[id_] >= module.rank for id_, module in adapter.modules.items()):
        say(f"No rank of {adapter.info.name} is above what that asks for: nothing becomes smaller.")
    smaller = resizing.resized(adapter, ranks, f"{adapter.info.name} resized", device)
    loaded = _losses(adapter, smaller, read_options, task, device) if read_options.base is not None else None
    missing = False
    if dest is None:
        tell_findings([adapter.info])
    else:
        share = resizing.kept(spectra, ranks)
        made = f"{plain(adapter.info.source, 300)} at smaller ranks, by adapter-inspector {__version__}: the best "
        made += f"approximation of these ranks in every module, {100 * share:.4g} % of Σ‖ΔW‖²."
        missing = write_adapter(dest, smaller, beside, read_options, made)
        size = sum(path.stat().st_size for path in dest.iterdir())
        say(f"Wrote {plain(dest, 300)}: {count(len(ranks), 'module')} of rank {smaller.info.rank}, {in_bytes(size)}.")
    sys.stdout.write(text(Resized(adapter, spectra, ranks, loaded)))
    return 3 if missing else 0


def _losses(adapter: Adapter, smaller: Adapter, read_options: ReadOptions, task: str, device: str) -> Loaded:
    """The loss of answers under the base, the adapter and the smaller one."""
    from inspector.base_model.answer_loss import answer_loss
    from inspector.base_model.attach import attach
    from inspector.base_model.base import load_base
    from inspector.base_model.encode import answers
    from inspector.tasks.problems import load_problems

    tell = Progress()
    problems = load_problems(task).first(_TEXTS)
    if not problems.problems:
        raise InspectorError(f"{plain(task)} has no problem: name another --task.")
    base = load_base(read_options.base_name, device, note=say, progress=tell)
    attached = attach(base, [adapter, smaller])
    texts, read, found = answers(base.tokenizer, problems, "boxed"), [0], []
    total = 3 * sum(len(text.ids) for text in texts)

    def step(tokens: int) -> None:
        read[0] += tokens
        tell(f"{read[0]}/{total} tokens read", read[0], total)

    for name in (None, adapter.info.name, smaller.info.name):
        attached.use(name)
        found.append(answer_loss(attached, texts, step))
    return Loaded(problems.name, len(texts), *found)


def _counted(tell: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(f"{done}/{total} {what}", done, total)
