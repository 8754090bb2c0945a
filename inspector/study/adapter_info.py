"""Who was measured: what the headers and the config of an adapter say, and what was found in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inspector.study.module_id import ModuleId
from inspector.study.provenance import UNKNOWN, Origin

ACTIVATED = "PEFT aLoRA"
"""The format of activated LoRAs, whose ΔW holds from their invocation tokens on alone."""

UNSCALED = "unknown"
"""What the scale of an adapter begins with where nothing says it."""


@dataclass(frozen=True, slots=True)
class HealthIssue:
    """One fact about an adapter's health. Severity: `info`, `warning` or `error` (not analysed)."""

    severity: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """Who was measured: what the headers and the config say, plus findings."""

    name: str
    source: str
    format: str
    base: str = ""
    ranks: tuple[int, ...] = ()
    alpha: str = ""
    scale: str = ""
    targets: tuple[str, ...] = ()
    dtype: str = ""
    parameters: int = 0
    modules: int = 0
    tensors: int = 0
    ignored: int = 0
    """Of the tensors, those left out for a known reason; the findings say which and why."""
    unknown: int = 0
    """Of the tensors, those not understood."""
    scales: tuple[str, ...] = ()
    """Where the scales come from: `2 (α/r = 16/8): 24 modules`, the most frequent first."""
    findings: tuple[HealthIssue, ...] = ()
    excluded: tuple[ModuleId, ...] = ()
    digest: str = ""
    origin: Origin = UNKNOWN

    @property
    def rank(self) -> str:
        """`8`, or `4-16` where modules differ."""
        if not self.ranks:
            return "-"
        return "-".join(dict.fromkeys((str(min(self.ranks)), str(max(self.ranks)))))

    @property
    def scaled(self) -> bool:
        """Whether the scale of ΔW is known; else every number that depends on it is n/a."""
        return not self.scale.startswith(UNSCALED)

    @property
    def everywhere(self) -> bool:
        """Whether ΔW holds for every token, as that of a merge does."""
        return self.format != ACTIVATED

    @property
    def health(self) -> Literal["ok", "warning", "error"]:
        """The worst severity among the findings; `ok` when nothing needs attention."""
        severities = {finding.severity for finding in self.findings}
        return "error" if "error" in severities else "warning" if "warning" in severities else "ok"
