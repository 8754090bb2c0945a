"""The cores that this process may use, set for torch's threads before torch is loaded.

Threads of OpenMP spin while they wait for each other. Where other processes hold the cores, or a container's quota
pauses this one, most of the time goes there: an analysis beside two busy processes took ten times its CPU time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def settle() -> None:
    """Let waiting threads sleep, and have no more of them than the quota allows; what the user has set stays.

    Does nothing once torch is loaded: OpenMP reads these settings when it starts. Without a quota the number is left to
    torch, which takes one thread for each core that is not the other half of one.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if (quota := allowed()) < affinity():
            os.environ.setdefault("OMP_NUM_THREADS", str(quota))


def affinity() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allowed(root: Path = Path("/")) -> int:
    """Those, or fewer where the CPU quota of its cgroup is below; 1 at least."""
    return max(1, min([affinity(), *map(int, _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas, in cores, of this process's cgroup and of all above it; v1 and v2."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                top = root / "sys/fs/cgroup" / controllers
                # In a container the path may be the host's, and the group its own root.
                for depth in range(len(parts := Path(path).parts[1:]) + 1):
                    yield from _quota(top.joinpath(*parts[:depth]))


def _quota(group: Path) -> Iterator[float]:
    """Microseconds of CPU time a period over the period's; nothing where the group has no limit."""
    with suppress(OSError, ValueError):  # "max" is not a number
        if (v2 := group / "cpu.max").exists():
            quota, period = v2.read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if int(quota) > 0:
            yield int(quota) / int(period)
