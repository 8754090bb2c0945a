"""`import inspector` in a notebook: open, compare, probe; a study turns into a pandas or polars table.

import inspector
adapters = inspector.load("runs/sft", "org/repo@main:dpo")
study = inspector.compare(adapters)
study.to_pandas(["cosine", "norm"])
inspector.summary(study)
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.adapters.options import ReadOptions, same_bases
from inspector.api.notebook import NotebookStudy
from inspector.common.errors import InspectorError
from inspector.insights.findings import findings_of
from inspector.study.export import load as _load
from inspector.study.export import save as _save
from inspector.study.study import Study

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


def load(
    *sources: str | Path,
    base: str = "",
    allow_pickle: bool = False,
    svd_rank: int = 64,
    checkpoints: bool = False,
    alpha: float | None = None,
    same_base: Sequence[str] = (),
) -> list[Adapter]:
    """The adapters at these sources, from their headers; no weights are read yet.

    A source is what the command line takes: a folder (the adapter at its root, else those below it), a file, a
    pattern, `org/repo[@revision][:sub]`, `NAME=SOURCE`; `checkpoints` opens what lies below a folder that is an
    adapter too. `base` (Hub id, folder, `smollm2`) is needed by full fine-tunes and DoRA, of which the best part of
    rank `svd_rank` is kept. `alpha` scales those whose files do not say how, α/r; else their norms are n/a.
    `same_base`: two names of one base, each as `"NAME=OTHER"`. Warns of a source that cannot be opened; raises
    InspectorError where none can.
    """
    from inspector.adapters.opening import open_sources
    from inspector.base_model.base import base_weights

    read_options = ReadOptions(base_weights(base), allow_pickle, svd_rank, checkpoints, alpha, same_bases(same_base))
    adapters, failures = open_sources([str(source) for source in sources], read_options=read_options)
    reasons = [str(failure) for failure in failures if not failure.skipped]
    if not adapters:
        raise InspectorError(" ".join(reasons) or "No source was named.")
    for text in reasons:
        warnings.warn(text, stacklevel=2)
    return adapters


def compare(
    adapters: Sequence[Adapter | str | Path], *, k: int = 10, modules: str = "union", **more: str
) -> NotebookStudy:
    """Every number of every adapter and pair, exact in float64: what `inspector analyze` measures.

    Takes adapters or sources. `modules`: union or common, and path ends such as `q_proj,v_proj`; `sides`: left, right
    or both; `device`: auto, cpu, cuda. Raises InspectorError where nothing can be measured.
    """
    from inspector.adapters.alignment import aligned
    from inspector.analysis.analyse import analyse
    from inspector.workflows import asked

    study = analyse(aligned(_opened(adapters)), asked.settings(k=k, modules=modules, **more))
    if not study.modules:
        raise InspectorError("None of the adapters has a module that can be analysed.")
    return NotebookStudy.of(study)


def probe(adapters: Sequence[Adapter], study: Study, *probes: str, base: str = "", **options: Any) -> NotebookStudy:
    """The study with what running the base shows: lmc, cka, lens, intruders, accuracy.

    `base`: what the adapters name unless given. `options` are the fields of `inspector.probes.Request`: prompts,
    limit, pairs, alphas, loss, pooling, device, dtype, batch. Warns of what limits the numbers; raises InspectorError
    with what to do.
    """
    from inspector.adapters.alignment import aligned
    from inspector.probes.request import Request
    from inspector.probes.runner import Prober

    request = Request(probes, base=base, **options)
    found = Prober().run(aligned(adapters), study, request, note=lambda text: warnings.warn(text, stacklevel=4))
    return NotebookStudy.of(found)


def sketch(source: str | Path, *, base: str = "", allow_pickle: bool = False) -> dict[str, Any]:
    """A row of `inspector sketch` for the one adapter at a source: plain values and float32 arrays.

    It can be pickled, for workers of Ray, Dask or Spark. The product of two `update` is the cosine of both ΔW, ± about
    .03; assets/guide/atlas.md has all columns. Raises InspectorError if the source is not one adapter or cannot be
    sketched.

        rows = [inspector.sketch(source) for source in ("runs/sft", "runs/dpo")]
        cosine = float(rows[0]["update"] @ rows[1]["update"])
    """
    from inspector.analysis.sketching import sketch_of

    adapters = load(source, base=base, allow_pickle=allow_pickle)
    if len(adapters) > 1:
        raise InspectorError(f"{source} holds {len(adapters)} adapters: name one of them.")
    return sketch_of(adapters[0]).as_row()


def open_study(path: str | Path) -> NotebookStudy:
    """A study that was saved as JSON or Parquet. Raises InspectorError."""
    return NotebookStudy.of(_load(path))


def save_study(study: Study, path: str | Path) -> None:
    """Write a study as .json, .csv or .parquet: complete or not at all. Raises InspectorError."""
    _save(study, path)


def summary(study: Study) -> list[str]:
    """The findings in plain sentences, by fixed rules; cautions begin with `Caution:`."""
    return [f"Caution: {found.text}" if found.caution else found.text for found in findings_of(study)]


def _opened(adapters: Sequence[Adapter | str | Path]) -> list[Adapter]:
    """Adapters as they are, sources opened, in their order."""
    from inspector.adapters.model import Adapter

    opened: list[Adapter] = []
    for adapter in adapters:
        opened += [adapter] if isinstance(adapter, Adapter) else load(adapter)
    return opened
