"""What was minimised, what every number means, and how to make them again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from importlib.resources import files

import numpy as np

from inspector.common.text import plain
from inspector.report.context import Context
from inspector.report.document import Code, Definitions, Fold, Heading, Note, Part, Section, Table
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import ProbeInfo, Study

_PLACEHOLDER = "<path of "
_FILL_IN = "Put a path of yours where a command has <path of …>: the digests below tell whether it is the same adapter."


def objectives() -> Section:
    """The losses of the training methods, written out."""
    text = files("inspector.study.metrics").joinpath("objectives.md").read_text(encoding="utf-8")
    parts = tuple(_written_out(text))
    return Section("objectives", "The objectives written out", "", (Fold("All of them, with their traps", parts),))


def _written_out(text: str) -> Iterator[Part]:
    """`# ` headings, indented formulas, `! ` traps, paragraphs."""
    formula: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("    "):
            formula.append(line[4:])
            continue
        if formula:
            yield Code("\n".join(formula))
            formula = []
        if line.startswith("# "):
            yield Heading(line[2:])
        elif line:
            yield Note(line.removeprefix("! "), caution=line.startswith("! "))


def definitions(sections: Sequence[Section]) -> Section:
    """Of every metric that a section shows."""
    metrics = dict.fromkeys(metric for section in sections for metric in section.metrics)
    about = "Every number above, as it is computed."
    parts = (Definitions(tuple(DEFINITIONS[metric] for metric in DEFINITIONS if metric in metrics)),)
    return Section("definitions", "Definitions", about, parts)


def reproduce(context: Context, version: str) -> Section:
    """Commands, versions, digests, settings."""
    study = context.study
    settings = study.settings
    rows = [
        ("measured by", f"adapter-inspector {settings.version or '?'}"),
        ("report written by", f"adapter-inspector {version}"),
        ("k of the subspaces", str(settings.k)),
        ("sides", ", ".join(settings.sides)),
        ("modules", f"{settings.modules}{f', only {plain(settings.filter)}' if settings.filter else ''}"),
        ("device", plain(settings.device)),
    ]
    text = "\n".join(commands(study))
    parts: list[Part] = [
        Note("The same adapters by the same commands give the same numbers, on other hardware up to rounding."),
        Code(text),
        *([Note(_FILL_IN)] if _PLACEHOLDER in text else []),
        Table("settings", "Settings", ("", "value"), tuple(rows)),
        Table(
            "digests", "The adapters, by content", ("adapter", "source", "digest", "start A₀"), tuple(_digests(study))
        ),
    ]
    if study.probes:
        columns = (
            "probe",
            "base",
            "digest of the base",
            "device",
            "dtype",
            "prompts",
            "how many",
            "their digest",
            "how",
            "version",
        )
        parts.append(Table("probes", "The base model's part", columns, tuple(_probe(info) for info in study.probes)))
    return Section("reproduce", "How to reproduce it", "", tuple(parts))


def _digests(study: Study) -> Iterator[tuple[str, ...]]:
    for a in study.adapters:
        yield plain(a.name, 120), plain(a.source, 400), a.digest or "?", a.origin.a0 or "?"


def _probe(info: ProbeInfo) -> tuple[str, ...]:
    how = "; ".join(part for part in (info.detail, info.note) if part)
    cells = (
        info.probe, info.base, info.base_digest or "?", info.device, info.dtype, info.prompts, str(info.examples or ""),
        info.prompts_digest, how, info.version,
    )  # fmt: skip
    return tuple(plain(cell, 400) for cell in cells)


def commands(study: Study) -> Iterator[str]:
    """The command that measures the weights, then one for each run of the base."""
    settings = study.settings
    sources = " \\\n    ".join(shlex.quote(plain(f"{a.name}={a.source}", 600)) for a in study.adapters)
    words = ["--k", str(settings.k), "--sides", "both" if len(settings.sides) > 1 else settings.sides[0]]
    scope = ",".join(
        word for word in (settings.modules if settings.modules == "common" else "", settings.filter) if word
    )
    words += ["--modules", shlex.quote(plain(scope))] if scope else []
    words += [shlex.quote(plain(word, 400)) for word in settings.reading]
    runs = _runs(study)
    head = f"inspector analyze \\\n    {sources} \\\n    {' '.join(words)}"
    for n, run in enumerate(runs or [""], 1):
        yield f"{head}{run} \\\n    --out study{n if len(runs) > 1 else ''}.json"
    yield "inspector report study.json --out report.html"


def _runs(study: Study) -> list[str]:
    """The probes, those on the same base and prompts together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for info in study.probes:
        if info.probe != "weights":
            loss = " --loss rollouts" if info.probe == "lmc_rollouts" else ""
            pooling = re.match(r"pooling: (mean|all)\b", info.detail)
            how = loss + (f" --pooling {pooling[1]}" if pooling else "")
            key = (info.base, info.prompts, str(info.examples), info.device, info.dtype, how)
            alike.setdefault(key, []).append(info.probe.removesuffix("_rollouts"))
    runs = []
    for (base, prompts, examples, device, dtype, how), probes in alike.items():
        words = ["--probe", ",".join(probes), *([] if "--base" in study.settings.reading else ["--base", base])]
        words += ["--prompts", prompts, "--limit", examples] if prompts else []
        words += ["--device", device, "--dtype", dtype]
        words += _paths(study) if "lmc" in probes else []
        runs.append(" \\\n    " + " ".join(shlex.quote(plain(word)) for word in words) + how)
    return runs


def _paths(study: Study) -> list[str]:
    """The pairs whose paths were measured, where that is not all, and the points."""
    words = ["--alphas", ",".join(f"{alpha:g}" for alpha in study.alphas)]
    curves = next((b for m in ("lmc_loss", "lmc_loss_rollouts") if (b := study.block(m, "global")) is not None), None)
    if curves is None:
        return words
    known = np.triu(np.isfinite(curves[:, :, 0]).any(-1), 1)
    n = len(study.adapters)
    if 0 < known.sum() < n * (n - 1) // 2:
        for i, j in np.argwhere(known):
            words += ["--pair", f"{study.names[i]}:{study.names[j]}"]
    return words
