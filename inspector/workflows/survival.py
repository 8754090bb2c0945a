"""`inspector survival`: adapters and their base -> what is left of them merged and rounded, or beside the base."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from math import isfinite
from typing import Any

from inspector.adapters.model import Adapter
from inspector.adapters.options import ReadOptions
from inspector.adapters.readers.full import FORMAT
from inspector.checking.fit import fit
from inspector.checking.precision import Merged, Precision, beside, served
from inspector.checking.rounding import BY_NAME, RULES
from inspector.checking.served_loss import Losses
from inspector.common.console import Progress, say
from inspector.common.errors import InspectorError
from inspector.common.text import plain, some
from inspector.tables.survival import Survived, text
from inspector.workflows.failures import opened, tell_findings

_TEXTS = 32
"""Problems whose answers losses are of."""


def survival(
    sources: Sequence[str],
    read_options: ReadOptions,
    *,
    loss: Sequence[str] = (),
    task: str = "arithmetic",
    as_text: bool = True,
) -> int:
    """Print the cosine to ΔW of what each way of serving does; with `loss` the loss of answers by these rules as well.

    3 if a source could not be opened. Raises InspectorError without a base, and for an adapter that does not fit it.
    """
    if read_options.base is None:
        raise InspectorError("What rounding leaves depends on the base: name it with --base (Hub id, folder, smollm2).")
    adapters, failures = opened(sources, read_options)
    tell_findings([adapter.info for adapter in adapters])
    found = [_survived(adapter, read_options) for adapter in adapters]
    losses = _losses(adapters, loss, task, read_options) if loss else None
    if as_text:
        sys.stdout.write(text(found, losses))
    else:
        report = as_json(found, losses, read_options.base_name)
        sys.stdout.write(json.dumps(report, ensure_ascii=False, allow_nan=False, indent=2) + "\n")
    return 0 if all(failure.skipped for failure in failures) else 3


def _survived(adapter: Adapter, read_options: ReadOptions) -> Survived:
    import torch

    assert read_options.base is not None
    _refuse(adapter)
    place = fit(adapter, read_options.base)
    if wrong := [f.text for f in place.findings() if f.severity == "error"]:
        raise InspectorError(
            f"{adapter.info.name} does not fit the base: {wrong[0]}. Name the base it was tuned on with --base."
        )
    if not place.weights:
        what = f"{plain(read_options.base.name)} stores {some(place.quantised)} in codes that are not read"
        raise InspectorError(f"{what}: give the base unquantised.")
    tell, name = Progress(), adapter.info.name
    merges = served(
        adapter, read_options.base, place, RULES, progress=lambda n, of: tell(f"{name}: {n}/{of} modules", n, of)
    )
    unmerged = {kind: beside(adapter, getattr(torch, long)) for kind, long in _KINDS.items()}
    return Survived(name, merges, unmerged)


_KINDS = {"bf16": "bfloat16", "fp16": "float16"}


def _refuse(adapter: Adapter) -> None:
    name = adapter.info.name
    if adapter.info.format == FORMAT:
        raise InspectorError(f"{name} is a whole model, no adapter: there is nothing to merge.")
    if not adapter.info.everywhere:
        raise InspectorError(f"{name} is an activated LoRA, which no merge can hold: leave it out.")
    adapter.refuse_unscaled("merged")
    if not adapter.modules:
        errors = [f.text for f in adapter.info.findings if f.severity == "error"]
        raise InspectorError(f"{name} has no module to merge: {(errors or ['it is empty'])[0]}.")


def _losses(adapters: Sequence[Adapter], names: Sequence[str], task: str, read_options: ReadOptions) -> Losses:
    from inspector.base_model.attach import attach
    from inspector.base_model.base import load_base
    from inspector.base_model.encode import answers
    from inspector.checking.served_loss import losses
    from inspector.tasks.problems import load_problems

    problems, tell = load_problems(task).first(_TEXTS), Progress()
    base = load_base(read_options.base_name, note=say, progress=tell)
    texts = answers(base.tokenizer, problems, "boxed")
    rules = [BY_NAME[name] for name in dict.fromkeys(names)]
    return losses(
        attach(base, adapters),
        adapters,
        rules,
        texts,
        problems.name,
        progress=lambda done, total: tell(f"{done}/{total} tokens read", done, total),
    )


def as_json(found: Sequence[Survived], losses: Losses | None, base: str) -> dict[str, Any]:
    """For scripts; assets/guide/checking.md lists the keys."""
    return {"version": 1, "base": base, "adapters": [_adapter(one, losses) for one in found]}


def _adapter(one: Survived, losses: Losses | None) -> dict[str, Any]:
    of_loss: dict[str, Any] = {}
    if losses is not None:
        mine = {rule: loss for (name, rule), loss in losses.served.items() if name == one.name}
        of_loss["loss"] = {
            "problems": losses.problems,
            "texts": losses.texts,
            "base": losses.base.mean,
            "adapter": losses.adapters[one.name].mean,
            "served": {
                rule: {"base": loss.base.mean, "merged": loss.merged.mean, "beside": loss.beside.mean}
                for rule, loss in mine.items()
            },
        }
    return {
        "name": one.name,
        "merged": {rule: _precision(found) for rule, found in one.merged.items()},
        "beside": {kind: _precision(found) for kind, found in one.beside.items()},
        **of_loss,
    }


def _precision(found: Precision) -> dict[str, Any]:
    modules = [{"path": str(id_)} | _sums(sums) for id_, sums in found.modules.items()]
    return _sums(found.whole) | {"modules": modules}


def _sums(sums: Merged) -> dict[str, float | None]:
    values = {"cosine": sums.cosine, "strength": sums.strength, "energy_lost": sums.energy_lost}
    return {name: value if isfinite(value) else None for name, value in values.items()}
