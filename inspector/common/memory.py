"""How much memory this process may still take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def available(root: Path = Path("/")) -> int | None:
    """Bytes: what the system has free, or less by the limits of its cgroup (v2) and of its shell. None if unknown."""
    return min(_free(root), default=None)


def _free(root: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        meminfo = (root / "proc/meminfo").read_text()
        yield int(meminfo.split("MemAvailable:")[1].split()[0]) * 1024
    with suppress(OSError, ValueError):  # "max" is not a number
        group = root / "sys/fs/cgroup"
        yield int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    with suppress(ImportError, OSError, ValueError, IndexError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        size = int((root / "proc/self/status").read_text().split("VmSize:")[1].split()[0]) * 1024
        if limit != resource.RLIM_INFINITY:
            yield limit - size
