"""What every probe is given: the attached adapters, who they are by content, and how to report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspector._version import __version__
from inspector.base_model.attach import Attached
from inspector.base_model.batches import Batches
from inspector.base_model.encode import Encoded
from inspector.common.cache import Cache
from inspector.probes.pace import Course
from inspector.probes.request import Request
from inspector.study.probe_results import Blocks
from inspector.study.study import ProbeInfo
from inspector.tasks.problems import Problems

Deliver = Callable[[ProbeInfo, Blocks, tuple[float, ...]], None]
"""Puts blocks into the study: (how measured, blocks, alphas)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request on one loaded base."""

    request: Request
    attached: Attached
    names: tuple[str, ...]
    """The study's adapters in its order."""
    digests: Mapping[str, str]
    """Name -> sha256 of the adapter's files, of those that are loaded."""
    batches: Batches
    deliver: Deliver
    course: Course
    notes: list[str]
    cache: Cache

    def info(self, probe: str, problems: Problems | None = None, detail: str = "") -> ProbeInfo:
        base = self.attached.base
        return ProbeInfo(
            probe,
            base.name,
            base.digest,
            base.device,
            base.dtype,
            problems.name if problems else "",
            problems.digest if problems else "",
            len(problems.problems) if problems else 0,
            detail,
            "; ".join(dict.fromkeys(self.notes)),
            __version__,
        )

    def key(self, examples: Sequence[Encoded] = (), **more: Any) -> dict[str, Any]:
        """The cache key of a number: everything it depends on, and `more`. Prompts are known by their tokens."""
        base = self.attached.base
        where = {"base": base.digest, "dtype": base.dtype, "device": base.device.split(":")[0]}
        tokens = hashlib.sha256(json.dumps([[e.ids, e.start] for e in examples]).encode()).hexdigest()
        return where | {"tokens": tokens, **more}
