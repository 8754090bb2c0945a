"""The checks as text."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from math import isnan

from inspector.adapters.health.summary import account
from inspector.adapters.model import Adapter
from inspector.checking.checks import Checked
from inspector.checking.precision import Precision
from inspector.checking.together import Together
from inspector.common.text import count, plain
from inspector.study.adapter_info import HealthIssue

_INDENT = 12
_SIGNS = {"info": "i", "warning": "!", "error": "✗"}


def text(found: Sequence[Checked], side_by_side: Together | None, *, unopened: int = 0, tensors: bool) -> str:
    """A paragraph an adapter, what they are side by side, and a last line that counts, the `unopened` too."""
    blocks = ["\n".join(_adapter(one, tensors=tensors)) for one in found]
    if side_by_side is not None:
        blocks.append("\n".join(_together(side_by_side)))
    return "\n\n".join([*blocks, _verdict(found, side_by_side, unopened)]) + "\n"


def _adapter(one: Checked, *, tensors: bool) -> Iterator[str]:
    info = one.adapter.info
    yield info.name
    yield from _rows("source", plain(info.source, 400))
    for label, words in account(info):
        yield from _rows(label, words)
    if one.study is not None:
        yield from _rows("measured", _measured(one))
    if one.precision is not None and one.precision.modules:
        yield from _rows("in bf16", _merge(one.precision))
    for finding in sorted(one.findings, key=lambda f: ("error", "warning", "info").index(f.severity)):
        yield from _finding(finding)
    if not any(finding.severity != "info" for finding in one.findings):
        yield from _rows("ok", "nothing wrong was found")
    if tensors:
        yield from _tensors(one.adapter)


def _measured(one: Checked) -> str:
    # NaN of a zero update, and of an unknown scale
    norm, rank = (f"{n:.4g}" if not isnan(n := one.number(m)) else "n/a" for m in ("norm", "effective_rank"))
    said = f"‖ΔW‖ {norm} · effective rank {rank}"
    left_out = one.number("energy_left_out")
    return said if isnan(left_out) or left_out == 0 else f"{said} · {left_out:.2%} of the energy left out"


def _merge(found: Precision) -> str:
    """Cosine and lost energy of the whole, the worst module, and the span of ‖ΔW‖/‖W₀‖."""
    whole, known = found.whole, {id_: m for id_, m in found.modules.items() if not isnan(m.cosine)}
    if not known:
        return "ΔW is zero: nothing to lose"
    worst = min(known, key=lambda id_: known[id_].cosine)
    ratios = [m.norm_ratio for m in known.values()]
    kept = f"cosine {whole.cosine:.3f} to ΔW, rounding error {whole.energy_lost:.2%} of its energy"
    size = f"‖ΔW‖/‖W₀‖ {whole.norm_ratio:.1e}, {min(ratios):.1e} to {max(ratios):.1e} by module"
    return f"{kept} (worst: {worst}, {known[worst].cosine:.3f}) · {size}"


def _tensors(adapter: Adapter) -> Iterator[str]:
    """One line a tensor, never wrapped: class, type, shape, key, and why it is not used."""
    for t in adapter.tensors:
        why = f"  ({t.reason})" if t.reason else ""
        yield f"  {t.role:<{_INDENT - 4}}  {t.dtype:<5} {'×'.join(map(str, t.shape)):<12} {t.key}{why}"


def _together(found: Together) -> Iterator[str]:
    yield "side by side"
    bases = "; ".join(f"{base or 'not named'} ({len(names)})" for base, names in found.bases.items())
    yield from _rows("bases", bases or "given")
    yield from _rows("modules", f"{found.common} in all adapters of {found.modules} in any")
    for finding in found.findings():
        yield from _finding(finding)


def _verdict(found: Sequence[Checked], side_by_side: Together | None, unopened: int) -> str:
    wrong = [one.adapter.info.name for one in found if not one.holds]
    warned = sum(one.holds and any(f.severity == "warning" for f in one.findings) for one in found)
    fine = len(found) - len(wrong) - warned
    parts = [f"{fine} ok", *([f"{warned} with warnings"] if warned else [])]
    parts += [f"{len(wrong)} with errors ({', '.join(wrong)})"] if wrong else []
    apart = [] if side_by_side is None else [f for f in side_by_side.findings() if f.severity == "warning"]
    more = f"; side by side {count(len(apart), 'warning')}" if apart else ""
    lost = f"; {unopened} could not be opened" if unopened else ""
    return f"{count(len(found), 'adapter')}: {', '.join(parts)}{more}{lost}."


def _finding(finding: HealthIssue) -> list[str]:
    return _rows(f"{_SIGNS[finding.severity]} {finding.severity}", finding.text)


def _rows(label: str, words: str) -> list[str]:
    """A label and its text, wrapped beside it. Long names are left whole, so that they can be copied."""
    width = max(shutil.get_terminal_size().columns, 40)
    first, rest = f"  {label:<{_INDENT - 2}}", " " * _INDENT
    return textwrap.wrap(
        words or "-",
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
