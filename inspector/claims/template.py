"""A first set of claims about adapters that were measured: one of each kind, and all hold until they are edited."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from inspector.common.errors import InspectorError
from inspector.study.study import Study

_PLAIN = re.compile(r"[A-Za-z./][\w./@-]*(:[\w./@-]+)?")
_WORDS = {"y", "yes", "n", "no", "true", "false", "on", "off", "null"}


def template(study: Study, folder: Path) -> str:
    """The YAML, for a file in `folder`: sources beneath it or beside it are written from there.

    Raises InspectorError where no adapter has a norm to claim anything of.
    """
    from jinja2 import Environment, StrictUndefined

    moved = [i for i, norm in enumerate(_norms(study)) if norm > 0]
    if not moved:
        raise InspectorError("Nothing can be claimed of these adapters: none has an update of known size.")
    names = _names(study)
    bases = {study.adapters[i].base for i in moved}
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False, keep_trailing_newline=True  # noqa: S701 - YAML, quoted by `yaml`
    )  # fmt: skip
    environment.filters["yaml"] = _yaml
    text = files("inspector.claims").joinpath("template.yaml.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(
        title=f"What {' and '.join(names[i] for i in moved[:2])} do"
        if len(moved) > 1
        else f"What {names[moved[0]]} does",
        base=bases.pop() if len(bases) == 1 else "",
        k=study.settings.k,
        adapters=[(names[i], _source(study.adapters[i].source, folder)) for i in moved],
        names=[names[i] for i in moved],
        norms={"low": _down(min(_norms(study)[i] for i in moved))},
        far=_farthest(study, moved[0]),
        pair=_pair(study, moved, names),
    )


def _norms(study: Study) -> list[float]:
    block = study.block("norm", "global")
    return [math.nan] * len(study.adapters) if block is None else [float(norm) for norm in block[:, 0]]


def _names(study: Study) -> list[str]:
    """As a set of claims may call them: without `=` and `/`, each once."""
    names: list[str] = []
    for name in study.names:
        shown = re.sub("[=/]", "-", name)[:70]
        names.append(shown if shown not in names else f"{shown}-{len(names) + 1}")
    return names


def _source(source: str, folder: Path) -> str:
    """A path near the file from there, another from the root; what is not a path as it is."""
    path = Path(source).expanduser()
    if not path.exists():
        return source
    near = os.path.relpath(path.resolve(), folder.resolve())
    return str(path.resolve()) if near.startswith("../../") else near if near.startswith(".") else f"./{near}"


def _farthest(study: Study, i: int) -> Mapping[str, int] | None:
    """The layer of the largest norm, and its neighbours."""
    block = study.block("norm", "layer")
    if block is None or len(study.layers) < 2 or np.isnan(block[i]).any():
        return None
    at = study.layers[int(np.argmax(block[i]))]
    return {"layer": at, "low": max(at - 1, study.layers[0]), "high": min(at + 1, study.layers[-1])}


def _pair(study: Study, moved: Sequence[int], names: Sequence[str]) -> Mapping[str, Any] | None:
    """The first two that can be compared, and what is measured of them."""
    metrics = ("cosine", "orthogonal_fraction_global", "orthogonal_fraction_module", "principal_angle")
    blocks = [block for metric in metrics if (block := study.block(metric, "global")) is not None]
    if len(blocks) < len(metrics):
        return None
    for i, j in combinations(moved, 2):
        cosine, one, other, angle = (float(np.ravel(block[i, j])[0]) for block in blocks)
        if not np.isfinite([cosine, one, other, angle]).all():
            continue
        small, large = sorted((i, j), key=lambda at: _norms(study)[at])
        ratio = _norms(study)[large] / _norms(study)[small]
        return {
            "a": names[i], "b": names[j], "names": [names[i], names[j]],
            "cosine": f"{cosine:.2f}", "angle": math.ceil(angle),
            "low": f"{math.floor(100 * min(one, other)) / 100:.2f}",
            "high": f"{math.ceil(100 * max(one, other)) / 100:.2f}",
            "small": names[small], "large": names[large],
            "ratio": f"{ratio:.3g}" if ratio > 1 else "", "near": f"{0.02 * ratio:.1g}",
        }  # fmt: skip
    return None


def _down(value: float) -> str:
    """Two significant digits, not above the value; written without an exponent where that is short."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.floor(value / unit) * unit:.2g}"


def _yaml(value: str | list[str]) -> str:
    """Text as YAML reads it back, lists on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    simple = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if simple else json.dumps(value, ensure_ascii=False)
