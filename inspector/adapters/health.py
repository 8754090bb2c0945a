"""What only the values of the factors tell about an adapter's health."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.names import ModuleId
from inspector.study import Finding


def value_findings(zero: Sequence[ModuleId], nonfinite: Sequence[ModuleId], total: int) -> tuple[Finding, ...]:
    """Findings about modules whose ΔW is exactly zero, or holds NaN or Inf, out of `total`."""
    findings = []
    if zero:
        where = (
            "every module: it was never trained" if len(zero) == total else f"{_some(zero, total)}: not trained there"
        )
        findings.append(Finding("warning", f"ΔW is exactly zero in {where}"))
    if nonfinite:
        left_out = "left out of every number; the training diverged or the file is damaged"
        findings.append(Finding("error", f"NaN or Inf in {_some(nonfinite, total)}: {left_out}"))
    return tuple(findings)


def _some(modules: Sequence[ModuleId], total: int) -> str:
    more = ", …" if len(modules) > 3 else ""
    return f"{len(modules)} of {total} modules ({', '.join(map(str, modules[:3]))}{more})"
