"""One adapter checked: its headers, its values, and how it meets the base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.health.rules import Values, values
from inspector.adapters.model import Adapter
from inspector.adapters.readers.full import FORMAT
from inspector.analysis.analyse import analyse
from inspector.checking.absent import gaps
from inspector.checking.fit import Fit, fit
from inspector.checking.precision import Precision, precision
from inspector.study.adapter_info import HealthIssue
from inspector.study.study import Settings, Study


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of one adapter. Without usable modules there are no values; without a base neither of the rest."""

    adapter: Adapter
    study: Study | None
    values: Values | None
    fit: Fit | None
    precision: Precision | None
    findings: tuple[HealthIssue, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong: warnings are not."""
        return all(finding.severity != "error" for finding in self.findings)

    def number(self, metric: str) -> float:
        """A number of the whole adapter, NaN where it was not measured."""
        block = None if self.study is None else self.study.block(metric, "global")
        return float("nan") if block is None else float(block[0, 0])


def checked(
    adapter: Adapter, base: BaseWeights | None, *, progress: Callable[[str, int, int], None] = lambda _t, _d, _n: None
) -> Checked:
    """Check one adapter, module by module. Raises InspectorError where a file changes or the base cannot be had."""
    if not adapter.modules:
        return Checked(adapter, None, None, None, None, adapter.info.findings)
    name = adapter.info.name
    study = analyse([adapter], Settings(k=1), progress=lambda done, total: progress(f"{name}: values", done, total))
    place = bits = None
    if base is not None:
        place = fit(adapter, base)
        # A full fine-tune is there as trained; an update of unknown scale, or of some tokens alone, is not merged.
        if adapter.info.format != FORMAT and adapter.info.everywhere and adapter.info.scaled:
            report = lambda done, total: progress(f"{name}: merge in bfloat16", done, total)  # noqa: E731
            bits = precision(adapter, base, place, progress=report)
    meets = place.findings() if place else gaps(adapter)
    findings = [*study.adapters[0].findings, *meets, *(bits.findings() if bits else ())]
    return Checked(adapter, study, values(study, 0, adapter), place, bits, tuple(findings))
