"""What the views of the base model share: numbers by position, how they were measured, what to do without any."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from textual.strip import Strip

from inspector.common.arrays import Floats
from inspector.common.numbers import fixed
from inspector.study.metrics.probes import FEW_PROMPTS
from inspector.study.study import ProbeInfo, Scope
from inspector.tui.numbers import Pair
from inspector.tui.state import DEFAULT_PAIRS, AppState
from inspector.tui.text import NA, Line, clean, page, plural, wrap
from inspector.tui.views.base import Area

_ROOMY = 14
"""Lines of a view below which its provenance takes one of them; exports and a larger screen have it in full."""


def value(state: AppState, metric: str, *positions: int, scope: Scope = "global", place: int = 0) -> float:
    """One number, of the adapters at these positions."""
    values = state.study.block(metric, scope)
    if values is None:
        return math.nan
    return float(values[(*(state.order[at] for at in positions), place)])


def here(state: AppState, metric: str, *positions: int) -> float:
    """The number at the slider's layer, or the mean over the layers."""
    place = state.layer if state.scope == "layer" else 0
    return value(state, metric, *positions, scope=state.scope, place=place)


def along_layers(state: AppState, metric: str, *positions: int) -> Floats:
    """(layers,)"""
    values = state.study.block(metric, "layer")
    if values is None:
        return np.full(len(state.layers), np.nan)
    return np.asarray(values[tuple(state.order[at] for at in positions)])


def along_path(state: AppState, metric: str, one: int, other: int) -> Floats:
    """(alphas,) where α is the weight of `one`."""
    values = state.study.block(metric, "global")
    if values is None:
        return np.full(len(state.study.alphas), np.nan)
    return np.asarray(values[state.order[one], state.order[other], 0])


def chosen_pairs(state: AppState, metric: str) -> list[Pair]:
    """The plotted pairs; those that were measured, where the user has chosen none and others were."""
    measured, plotted = measured_pairs(state, metric), set(state.plotted)
    others = state.chosen is None and not measured <= plotted and not plotted <= measured
    return sorted(measured)[:DEFAULT_PAIRS] if others else sorted(plotted)


def measured_pairs(state: AppState, metric: str) -> set[tuple[int, int]]:
    """The pairs of positions, smaller first, that have any number of this metric."""
    values = state.study.block(metric, "global")
    if values is None:
        return set()
    order = list(state.order)
    some = np.isfinite(values[np.ix_(order, order)]).any(axis=tuple(range(2, values.ndim)))
    return {(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(some | some.T, 1)), strict=True)}


def probe_words(state: AppState, probe: str, metric: str = "", suffix: str = "") -> list[str]:
    """`--probe lmc --base … --prompts … --limit 64 --pair a:b`, as the numbers of the metric were measured."""
    words = ["--probe", probe, *(["--loss", "rollouts"] if suffix else [])]
    info = state.study.probe(f"{probe}{suffix}")
    if info is not None:
        file = Path(state.probe.prompts)  # a study knows the name of a file, not where it is
        prompts = state.probe.prompts if file.name == info.prompts else info.prompts
        words += ["--base", info.base, "--prompts", prompts, "--limit", str(info.examples)]
    pairs = measured_pairs(state, metric) if metric else set[Pair]()
    if 0 < len(pairs) < len(state.every_pair):
        for a, b in sorted(pairs):
            words += ["--pair", f"{state.infos[a].name}:{state.infos[b].name}"]
    return words


def nats(loss: float) -> str:
    """A loss, or a difference of two, in nats per token: `1.234`, `0.012`, `3e-04`."""
    if math.isnan(loss):
        return NA
    return fixed(loss, 3) if abs(loss) >= 5e-4 or loss == 0 else f"{loss:.0e}".replace("-", "−")


def p_value(p: float) -> str:
    """`0.034`, `3e-05`, `1`; `·` where there is none."""
    if math.isnan(p):
        return NA
    if p >= 0.995:
        return "1"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.3f}" if p >= 1e-3 else f"{p:.0e}"


def provenance(info: ProbeInfo | None, area: Area) -> list[Line]:
    """How the numbers of a view were measured, dim, and what happened on the way."""
    if info is None:
        return []
    where = " ".join(part for part in (clean(info.device), clean(info.dtype)) if part)
    on = f"{clean(info.prompts)}, {plural(info.examples, 'example')}" if info.prompts else ""
    words = " · ".join(part for part in (f"base {clean(info.base)}", where, on, clean(info.detail)) if part)
    scatters = 0 < info.examples < FEW_PROMPTS and info.probe != "accuracy"  # whose intervals show it
    few = f"fewer than {FEW_PROMPTS} scatter more than adapters differ" if scatters else ""
    note = "".join(f" · ! {clean(text)}" for text in (few, info.note) if text)
    lines: list[Line] = []
    shown = 0
    for part in wrap(words + note, area.width - 2):
        known = part[: max(len(words) - shown, 0)]
        lines.append(Line(" " + known, area.ink.dim).add(part[len(known) :], area.ink.warn))
        shown += len(part) + 1
    return lines if area.height >= _ROOMY or len(lines) < 2 else [lines[0].add(" …", area.ink.dim)]


def unmeasured(state: AppState, probe: str, what: str, shows: str, area: Area) -> list[Strip]:
    """Nothing yet: what would stand here, and the key that measures it, or that it is being measured."""
    lines = [Line(), Line("  " + what, area.ink.bold), Line()]
    lines += [Line("  " + part) for part in wrap(shows, area.width - 4)]
    if state.probing == probe:
        hint = (
            Line("  It is being measured: the first numbers appear here. ").add("esc", area.ink.accent).add(" stops it")
        )
    elif state.probing:
        hint = Line("  The base runs for another view: ").add("p", area.ink.accent).add(" stops that and asks anew")
    else:
        hint = (
            Line("  ").add("p", area.ink.accent).add(" runs the base model; it asks first, and says what it will cost")
        )
    return page([*lines, Line(), hint], area.width, area.height)


def facts(state: AppState, position: int) -> list[str]:
    """What the base adds about one adapter, in words; empty where nothing was measured."""
    found = []
    for metric, label in (("norm_relative", "‖ΔW‖/‖W₀‖"), ("intruder_dimensions", "intruders")):
        number = state.own(metric, position)
        if math.isfinite(number):
            found.append(f"{label} {relative(number) if metric == 'norm_relative' else f'{number:.2f} of 10'}")
    outside = state.own("intruder_dimensions_subspace", position)
    if math.isfinite(outside):
        found.append(f"outside the base's subspace {outside:.2f}")
    if math.isfinite(depth := value(state, "lens_depth", position)):
        base = state.study.block("lens_depth_base", "global")
        last = value(state, "lens_depth_last", position)
        at_last = f", {last:.1f} at the last position" if math.isfinite(last) else ""
        found.append(f"lens depth {depth:.1f}" + ("" if base is None else f" (base {float(base[0]):.1f})") + at_last)
    return found


def relative(number: float) -> str:
    """A relative norm in two significant digits, and what a bfloat16 merge would do to it."""
    return f"{number:.2g}" + (" (much of it lost in a bf16 merge)" if number < 4e-3 else "")
