"""What the probes found, as readable tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.common.arrays import Floats
from inspector.common.labels import labels
from inspector.common.numbers import fixed, level
from inspector.common.text import count
from inspector.study.metrics.probes import FEW_PROMPTS, LOSSES
from inspector.study.study import ProbeInfo, Study
from inspector.study.table import subjects
from inspector.tables.numbers import along_layers, by_layer_tables
from inspector.tables.pairs import NAME
from inspector.tables.tables import p_value, titled

_KINDS = {"mean": "above the endpoints' mean", "chord": "above the chord", "strict": "above both endpoints"}
_NONE = 1e-9
"""What rounding leaves of no barrier."""


def probe_tables(study: Study, width: int = 80) -> Iterator[Table | str]:
    """Tables and lines of text, in the order of the probes; nothing for a study without any."""
    if study.block("norm_relative", "global") is not None:
        yield from _of_adapters(study)
    for suffix in LOSSES:
        if study.block(f"lmc_loss{suffix}", "global") is not None:
            yield from _connectivity(study, suffix)
    if study.block("cka_debiased", "layer") is not None:
        yield from _cka(study, width)
    if study.block("accuracy", "global") is not None:
        yield from _accuracy(study)


def measured_on(info: ProbeInfo | None) -> str:
    """`32 prompts of gsm8k on Qwen/Qwen3-4B (cuda:0, bfloat16), loss: boxed`."""
    if info is None:
        return ""
    prompts = f"{info.examples} prompts of {info.prompts} on " if info.prompts else ""
    detail = f"; {info.detail}" if info.detail else ""
    note = f"; {info.note}" if info.note else ""
    return f"{prompts}{info.base} ({info.device}, {info.dtype}){detail}{note}"


def _of_adapters(study: Study) -> Iterator[Table | str]:
    """Per adapter: relative norm, lens depth, intruders."""
    columns = (
        ("norm_relative", "‖ΔW‖/‖W₀‖", 5),
        ("lens_depth", "lens depth", 2),
        ("lens_depth_last", "at the last\nposition", 2),
        ("intruder_dimensions", "intruders\nof 10", 2),
        ("intruder_dimensions_subspace", "outside the\nsubspace", 2),
    )
    shown = [(metric, title, digits) for metric, title, digits in columns if (metric, "global") in study.blocks]
    table = titled("", ("adapter",), [title for _, title, _ in shown])
    base = [study.block(f"{metric}_base", "global") for metric, _, _ in shown]
    if any(block is not None for block in base):
        digits = [digits for _, _, digits in shown]
        cells = ["" if block is None else fixed(float(block[0]), n) for block, n in zip(base, digits, strict=True)]
        table.add_row("(base)", *cells)
    for i, name in enumerate(study.names):
        cells = [fixed(float(study.blocks[metric, "global"][i, 0]), digits) for metric, _, digits in shown]
        table.add_row(Text(name), *cells)
    yield f"against the base: {measured_on(study.probe('weights'))}"
    yield table


def _connectivity(study: Study, suffix: str) -> Iterator[Table | str]:
    """Curves, one row a pair, and the barriers with their intervals."""
    curves = study.blocks[f"lmc_loss{suffix}", "global"][:, :, 0]
    base = study.block(f"lmc_loss_base{suffix}", "global")
    known = np.isfinite(curves).any(axis=(0, 1))
    yield f"connectivity: {measured_on(study.probe(f'lmc{suffix}'))}"
    along = [f"α={alpha:g}" for alpha in np.array(study.alphas)[known]]
    table = titled("loss along α·a + (1−α)·b", ("a", "b"), along)
    for a, b, (i, j) in subjects(study, "pair"):
        if np.isfinite(curves[i, j]).any():
            table.add_row(Text(a), Text(b), *(fixed(value, 3) for value in curves[i, j][known].tolist()))
    yield table
    if base is not None:
        yield f"the base alone (ΔW = 0): {fixed(float(base[0]), 3)}"
    info = study.probe(f"lmc{suffix}")
    if info is not None and 0 < info.examples < FEW_PROMPTS:
        few = f"{count(info.examples, 'prompt')}, below {FEW_PROMPTS}"
        yield f"caution: {few}: so few scatter more than adapters differ, and the intervals cannot show it."
    yield from _barriers(study, suffix)


def _barriers(study: Study, suffix: str) -> Iterator[Table]:
    """A table for each definition, the difference of the ends beside the height above their mean."""
    names = labels(study.names).at(NAME)
    for kind, title in _KINDS.items():
        heights = ("height", "at α", *["L(1) − L(0)"] * (kind == "mean"))
        table = titled(f"barrier {title}, with 95 % bootstrap intervals over examples", ("a", "b"), heights)
        for _, _, (i, j) in subjects(study, "pair"):
            value, low, high, at = (
                float(study.blocks[f"barrier_{kind}{bound}{suffix}", "global"][i, j, 0])
                for bound in ("", "_low", "_high", "_at")
            )
            if not np.isnan(value):
                ends = [_ends(study, suffix, i, j)] if kind == "mean" else []
                where = f"{at:g}" if value > _NONE else "–"
                table.add_row(Text(names[i]), Text(names[j]), _bounded(value, low, high), where, *ends)
        yield table


def _ends(study: Study, suffix: str, i: int, j: int) -> str:
    """`−0.312 [−0.400, −0.221]`, without an interval in studies of older versions."""
    blocks = (study.block(f"lmc_ends{bound}{suffix}", "global") for bound in ("", "_low", "_high"))
    value, low, high = (float("nan") if block is None else float(block[i, j, 0]) for block in blocks)
    return fixed(value, 3) if np.isnan(low) else _bounded(value, low, high)


def _bounded(value: float, low: float, high: float) -> str:
    """A loss with its interval."""
    return f"{fixed(value, 3)} [{fixed(low, 3)}, {fixed(high, 3)}]"


def _cka(study: Study, width: int) -> Iterator[Table | str]:
    """Debiased CKA by layer, a column a pair, then to the base."""
    values = study.blocks["cka_debiased", "layer"]
    yield f"CKA: {measured_on(study.probe('cka'))}"
    yield from by_layer_tables(study, "cka_debiased", values, width)
    if (to_base := study.block("cka_debiased_base", "layer")) is not None:
        names = labels(study.names).at(NAME)
        columns = list(zip(names, to_base, strict=True))
        yield from along_layers(study, "cka_debiased_base", " by layer", columns, width)
    null, sd = (study.block(f"cka_debiased_null{part}", "layer") for part in ("", "_sd"))
    if null is not None and np.isfinite(null).any():
        shuffled, most = "with the prompts of one side shuffled", np.nanmax(np.abs(null))
        if sd is None:
            yield f"{shuffled} once: at most {level(float(most))}"
        else:
            found = f"{level(float(most))} ± {level(float(np.nanmax(sd)))}"
            yield f"{shuffled}: {found} (mean ± sd over all orders, the largest of any pair)"


def _accuracy(study: Study) -> Iterator[Table | str]:
    """Shares with Wilson intervals; every comparison with its p-values."""
    yield f"accuracy: {measured_on(study.probe('accuracy'))}"
    numbers = ("accuracy", "95 % interval", "p against the base", "Holm")
    table = titled("share of right answers, greedy", ("",), numbers)
    low, high, p, holm = (
        study.block(metric, "global")
        for metric in ("accuracy_low", "accuracy_high", "mcnemar_base_p", "mcnemar_base_p_holm")
    )
    base = [study.block(f"accuracy_base{bound}", "global") for bound in ("", "_low", "_high")]
    if all(block is not None and np.isfinite(block).all() for block in base):
        value, bottom, top = (float(block[0]) for block in base if block is not None)
        table.add_row("(base)", f"{value:.1%}", f"{bottom:.1%} to {top:.1%}", "", "")
    for i, name in enumerate(study.names):
        value = float(study.blocks["accuracy", "global"][i, 0])
        if not np.isnan(value) and low is not None and high is not None:
            cells = [_p(block, (i, 0)) for block in (p, holm)]
            table.add_row(Text(name), f"{value:.1%}", f"{low[i, 0]:.1%} to {high[i, 0]:.1%}", *cells)
    yield table
    yield _mcnemar(study)


def _mcnemar(study: Study) -> Table:
    table = titled("McNemar, exact, two-sided", ("a", "b"), ("only a", "only b", "p", "Holm"))
    wins, p, holm = (study.block(m, "global") for m in ("mcnemar_wins", "mcnemar_p", "mcnemar_p_holm"))
    for a, b, (i, j) in subjects(study, "pair"):
        if wins is not None and not np.isnan(wins[i, j, 0]):
            only = (f"{wins[i, j, 0]:.0f}", f"{wins[j, i, 0]:.0f}")
            table.add_row(Text(a), Text(b), *only, _p(p, (i, j, 0)), _p(holm, (i, j, 0)))
    return table


def _p(block: Floats | None, at: tuple[int, ...]) -> str:
    return p_value(float("nan") if block is None else float(block[at]))
