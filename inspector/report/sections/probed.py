"""What running the base model with the adapters showed."""

from __future__ import annotations

import numpy as np

from inspector.definitions.probes import LOSSES
from inspector.printing.probes import measured_on
from inspector.printing.tables import number
from inspector.report.context import Context, measured_by
from inspector.report.document import Level, Lines, Note, Part, Section, Table
from inspector.report.subjects import label
from inspector.table import subjects
from inspector.takeaways.probed import KINDS
from inspector.text import plain


def connectivity(context: Context) -> Section:
    """Loss along the straight path between two adapters, and its barriers."""
    parts: list[Part] = []
    metrics: list[str] = []
    for suffix in LOSSES:
        curves = context.values(f"lmc_loss{suffix}")
        if curves is None:
            continue
        base = context.level(f"lmc_loss_base{suffix}")
        levels = (Level("the base", (base,)),) if np.isfinite(base) else ()
        name = "gold answer" if not suffix else "rollouts"
        parts.append(Note(plain(measured_on(context.study.probe(f"lmc{suffix}")), 600)))
        series = context.series(context.pairs, curves[:, :, 0])
        caption = f"Loss of the {name} along α·a + (1−α)·b, from b (α = 0) to a (α = 1)"
        parts.append(
            Lines(f"lmc{suffix}", caption, ("α", "loss, nats per token"), context.study.alphas, series, levels)
        )
        if (barriers := _barriers(context, suffix)) is not None:
            parts.append(barriers)
        metrics += [f"lmc_loss{suffix}", f"lmc_loss_base{suffix}", *(f"barrier_{kind}{suffix}" for kind in KINDS)]
    if parts:
        text = "The barriers differ where the ends' losses do: an end alone gives ½|L(0) − L(1)| above the mean."
        parts.append(Note(text, caution=True))
    about = "Whether the loss stays low on the straight way from one adapter to the other, or rises to a barrier."
    missing = measured_by("--probe lmc --base BASE")
    return Section("lmc", "Basins: loss between adapters", about, tuple(parts or missing), tuple(metrics))


def _barriers(context: Context, suffix: str) -> Table | None:
    """All three definitions with their intervals, and where along the path."""
    columns = ["a", "b"]
    for title in KINDS.values():
        columns += [title, "95 % interval", "at α"]
    rows = []
    for a, b, (i, j) in subjects(context.study, "pair"):
        cells: list[str] = []
        for kind in KINDS:
            blocks = (context.values(f"barrier_{kind}{bound}{suffix}") for bound in ("", "_low", "_high", "_at"))
            value, low, high, at = (float("nan") if block is None else float(block[i, j, 0]) for block in blocks)
            cells += [number(value), f"{number(low)} to {number(high)}", "–" if not value > 1e-9 else f"{at:g}"]
        if cells[0] != "n/a":
            rows.append((label(a), label(b), *cells))
    if not rows:
        return None
    caption = "Barriers by three definitions, bootstrap intervals over prompts"
    return Table(f"barriers{suffix.replace('_', '-')}", caption, tuple(columns), tuple(rows))


def states(context: Context) -> Section:
    """CKA of the residual stream, debiased and plain, against shuffled prompts and to the base."""
    parts: list[Part] = []
    for metric, name in (("cka_debiased", "Debiased CKA"), ("cka", "Plain CKA")):
        pairs = context.layers(
            metric, f"{name} of the hidden states by layer", levels=_shuffled(context, f"{metric}_null")
        )
        base = context.layers(f"{metric}_base", f"{name} to the base's own hidden states, by layer")
        parts += [chart for chart in (pairs, base) if chart]
    if parts:
        parts.insert(0, Note(plain(measured_on(context.study.probe("cka")), 600)))
        text = "With few prompts plain CKA is biased upwards: read it against the shuffled prompts."
        parts.append(Note(text, caution=True))
    about = "Whether two adapters still represent the same prompts alike, layer by layer."
    metrics = ("cka_debiased", "cka_debiased_null", "cka_debiased_base", "cka", "cka_null", "cka_base")
    missing = measured_by("--probe cka --base BASE")
    return Section("cka", "Hidden states: CKA", about, tuple(parts or missing), metrics if parts else ())


def _shuffled(context: Context, metric: str) -> tuple[Level, ...]:
    """What chance gives: the largest of any pair, per layer."""
    null = context.values(metric, "layer")
    if null is None:
        return ()
    largest = np.where(np.isfinite(null), null, -np.inf).max(axis=(0, 1))
    return (
        Level("prompts shuffled, largest of any pair", tuple(np.where(np.isfinite(largest), largest, np.nan).tolist())),
    )


def depth(context: Context) -> Section:
    """Logit lens."""
    block = context.values("lens_depth")
    parts: tuple[Part, ...] = measured_by("--probe lens --base BASE")
    if block is not None:
        base = context.level("lens_depth_base")
        rows = [("(base)", number(base, 2), "")] if np.isfinite(base) else []
        for adapter in context.adapters:
            value = float(block[adapter.at][0])
            if np.isfinite(value):
                rows.append((adapter.label, number(value, 2), f"{value - base:+.2f}" if np.isfinite(base) else ""))
        caption = f"Mean logit-lens depth of {context.study.depth or len(context.study.layers)} layers"
        where = Note(plain(measured_on(context.study.probe("lens")), 600))
        parts = (where, Table("lens", caption, ("", "depth", "against the base"), tuple(rows)))
    about = "The first layer from which on the model's own top token is already there."
    return Section("lens", "Logit lens", about, parts, ("lens_depth", "lens_depth_base") if block is not None else ())


def intruders(context: Context) -> Section:
    """Top singular vectors of W₀+ΔW that resemble none of the base's."""
    plainly, outside = (context.values(f"intruder_dimensions{suffix}") for suffix in ("", "_subspace"))
    parts: tuple[Part, ...] = measured_by("--probe intruders --base BASE")
    if plainly is not None:
        rows = []
        for adapter in context.adapters:
            cells = [float("nan") if block is None else float(block[adapter.at][0]) for block in (plainly, outside)]
            rows.append((adapter.label, *(number(cell, 2) for cell in cells)))
        columns = ("adapter", "intruders of 10", "of these outside the base's top-10 subspace")
        parts = (Table("intruders", "Intruder dimensions, mean over modules", columns, tuple(rows)),)
    about = "New strong directions that the base did not have."
    metrics = ("intruder_dimensions", "intruder_dimensions_subspace") if plainly is not None else ()
    return Section("intruders", "Intruder dimensions", about, parts, metrics)
