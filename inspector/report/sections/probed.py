"""What running the base model with the adapters showed."""

from __future__ import annotations

import numpy as np

from inspector.common.arrays import Floats
from inspector.common.numbers import fixed
from inspector.common.text import plain
from inspector.insights.findings.probed import KINDS
from inspector.report.chart_subjects import label
from inspector.report.context import Context
from inspector.report.document import Level, Lines, Note, Part, Section, Table
from inspector.study.metrics.probes import LOSSES
from inspector.study.table import subjects
from inspector.tables.probes import measured_on


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
            Lines(
                f"lmc{suffix}", caption, ("α", "loss, nats per token"), context.study.alphas, series, levels, digits=3
            )
        )
        if (barriers := _barriers(context, suffix)) is not None:
            parts.append(barriers)
        metrics += [f"lmc_loss{suffix}", f"lmc_loss_base{suffix}", *(f"barrier_{kind}{suffix}" for kind in KINDS)]
        metrics += [f"barrier_mean_low{suffix}", f"barrier_mean_high{suffix}", f"lmc_ends{suffix}"]
    if parts:
        text = (
            "The barriers differ where the ends' losses do: an end alone gives ½|L(0) − L(1)| above the mean. "
            "Intervals are of the signed height at the α of the maximum, the highest of noisy points: a lower end "
            "above 0 is not a test."
        )
        parts.append(Note(text, caution=True))
    about = "Whether the loss stays low on the straight way from one adapter to the other, or rises to a barrier."
    return Section("lmc", "Basins: loss between adapters", about, tuple(parts), tuple(metrics), "lmc")


def _barriers(context: Context, suffix: str) -> Table | None:
    """All three definitions with their intervals, and where along the path."""
    columns = ["a", "b"]
    for kind, title in KINDS.items():
        columns += [title, "95 % interval", "at α"]
        columns += ["L(1) − L(0)", "95 % interval"] if kind == "mean" else []
    rows = []
    for a, b, (i, j) in subjects(context.study, "pair"):
        cells: list[str] = []
        for kind in KINDS:
            value, low, high = _with_interval(context, f"barrier_{kind}", suffix, i, j)
            at = context.values(f"barrier_{kind}_at{suffix}")
            place = "–" if at is None or not value > 1e-9 else f"{float(at[i, j, 0]):g}"
            cells += [fixed(value, 3), f"{fixed(low, 3)} to {fixed(high, 3)}", place]
            if kind == "mean":
                value, low, high = _with_interval(context, "lmc_ends", suffix, i, j)
                cells += [fixed(value, 3), f"{fixed(low, 3)} to {fixed(high, 3)}"]
        if cells[0] != "n/a":
            rows.append((label(a), label(b), *cells))
    if not rows:
        return None
    caption = "Barriers by three definitions, bootstrap intervals over prompts"
    return Table(f"barriers{suffix.replace('_', '-')}", caption, tuple(columns), tuple(rows))


def _with_interval(context: Context, metric: str, suffix: str, i: int, j: int) -> tuple[float, float, float]:
    """A number of a pair and both ends of its interval; NaN for what is not known."""
    blocks = (context.values(f"{metric}{bound}{suffix}") for bound in ("", "_low", "_high"))
    value, low, high = (float("nan") if block is None else float(block[i, j, 0]) for block in blocks)
    return value, low, high


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
        text = (
            "With few prompts plain CKA is biased upwards: read it against the shuffled prompts, whose mean and "
            "standard deviation are over all orders."
        )
        parts.append(Note(text, caution=True))
    about = "Whether two adapters still represent the same prompts alike, layer by layer."
    metrics = tuple(f"{kind}{part}" for kind in ("cka_debiased", "cka") for part in ("", "_null", "_null_sd", "_base"))
    return Section("cka", "Hidden states: CKA", about, tuple(parts), metrics if parts else (), "cka")


def _shuffled(context: Context, metric: str) -> tuple[Level, ...]:
    """What chance gives, per layer: the band of mean ± sd that holds those of all pairs."""
    null, sd = context.values(metric, "layer"), context.values(f"{metric}_sd", "layer")
    if null is None:
        return ()
    if sd is None:
        return (Level("prompts shuffled once, largest of any pair", _extreme(null, np.fmax)),)
    return (
        Level("prompts shuffled, mean + sd, largest of any pair", _extreme(null + sd, np.fmax)),
        Level("prompts shuffled, mean − sd, smallest of any pair", _extreme(null - sd, np.fmin)),
    )


def _extreme(of_pairs: Floats, extreme: np.ufunc) -> tuple[float, ...]:
    """(layers,) of (N, N, layers): NaN is left out."""
    return tuple(extreme.reduce(extreme.reduce(of_pairs)).tolist())


def depth(context: Context) -> Section:
    """Logit lens."""
    shown = [metric for metric in ("lens_depth", "lens_depth_last") if context.values(metric) is not None]
    parts: tuple[Part, ...] = ()
    if shown:
        base = [context.level(f"{metric}_base") for metric in shown]
        cells = [cell for level in base for cell in (fixed(level), "")]
        rows = [("(base)", *cells)] if np.isfinite(base[0]) else []
        for adapter in context.adapters:
            values = [float(context.study.blocks[metric, "global"][adapter.at][0]) for metric in shown]
            if np.isfinite(values[0]):
                depths = zip(values, base, strict=True)
                rows.append((adapter.label, *(cell for value, level in depths for cell in _against(value, level))))
        caption = f"Mean logit-lens depth of {context.study.depth or len(context.study.layers)} layers"
        where = Note(plain(measured_on(context.study.probe("lens")), 600))
        columns = [column for title in ("depth", "at the last position") for column in (title, "against the base")]
        parts = (where, Table("lens", caption, ("", *columns[: 2 * len(shown)]), tuple(rows)))
    about = "The first layer from which on the model's own top token is already there."
    metrics = tuple(metric for name in shown for metric in (name, f"{name}_base"))
    return Section("lens", "Logit lens", about, parts, metrics, "lens")


def _against(value: float, base: float) -> tuple[str, str]:
    """A depth, and how far it is from the base's."""
    return fixed(value), f"{value - base:+.2f}".replace("-", "−") if np.isfinite(value - base) else ""


def intruders(context: Context) -> Section:
    """Top singular vectors of W₀+ΔW that resemble none of the base's."""
    plainly, outside = (context.values(f"intruder_dimensions{suffix}") for suffix in ("", "_subspace"))
    parts: tuple[Part, ...] = ()
    if plainly is not None:
        rows = []
        for adapter in context.adapters:
            cells = [float("nan") if block is None else float(block[adapter.at][0]) for block in (plainly, outside)]
            rows.append((adapter.label, *(fixed(cell) for cell in cells)))
        columns = ("adapter", "intruders of 10", "of these outside the base's top-10 subspace")
        parts = (Table("intruders", "Intruder dimensions, mean over modules", columns, tuple(rows)),)
    about = "New strong directions that the base did not have."
    metrics = ("intruder_dimensions", "intruder_dimensions_subspace") if plainly is not None else ()
    return Section("intruders", "Intruder dimensions", about, parts, metrics, "intruders")
