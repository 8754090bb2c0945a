"""What the first page about a study says, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.common.labels import Labels
from inspector.insights.findings.finding import Finding


@dataclass(frozen=True, slots=True)
class Entry:
    """One adapter: how far it moved, over how many directions, and which other adapter is nearest to it."""

    index: int
    """In the study, as that of `nearest`."""
    norm: float
    rank: float
    """Effective rank."""
    nearest: int | None
    cosine: float
    """To the nearest."""
    near: bool = True
    """Whether the nearest is near at all: by its cosine, or by what both write to from other starts of A."""
    why: tuple[str, ...] = ()
    """Why it stands where it does, the most telling first: `other seed`, `u₁ 0.81`; empty if nothing tells."""


@dataclass(frozen=True, slots=True)
class Group:
    """Adapters that hold one update: every cosine between two of them is at least 0.7."""

    letter: str
    entries: tuple[Entry, ...]
    """Those that moved farthest first."""
    partly: tuple[Entry, ...]
    """Adapters that go part of the way: cosines of at least 0.4 to every member."""
    low: float
    high: float
    tight: bool
    """Whether all cosines are at least 0.9: one direction, not mostly."""

    @property
    def members(self) -> tuple[int, ...]:
        return tuple(entry.index for entry in self.entries)

    @property
    def title(self) -> str:
        return "one direction" if self.tight else "mostly one direction"


@dataclass(frozen=True, slots=True)
class Overview:
    """Groups, what stands alone, what limits the reading, and what follows from it."""

    who: tuple[int, ...]
    """The adapters it is about: one's own, where published ones are beside them."""
    labels: Labels
    """Their names side by side, in the same order."""
    facts: tuple[str, ...]
    """What all adapters have in common: `11 adapters of SmolLM2-135M-Instruct`, `rank 8`, …"""
    groups: tuple[Group, ...]
    alone: tuple[Entry, ...]
    so_what: tuple[Finding, ...]
    """Three to five sentences; the first number of each names the evidence. Cautions are what limits the reading."""
    known: int
    """Modules measured so far, of `total`."""
    total: int

    @property
    def whole(self) -> bool:
        """Whether every module is measured."""
        return self.known == self.total

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every adapter in the order of this page: group by group, then those alone."""
        grouped = (entry for group in self.groups for entry in (*group.entries, *group.partly))
        return (*grouped, *self.alone)

    def names(self, width: int) -> dict[int, str]:
        """The name of each adapter in at most so many cells, by its index in the study."""
        return dict(zip(self.who, self.labels.at(width), strict=True))

    @property
    def order(self) -> tuple[int, ...]:
        """The adapters in blocks: the order for maps and tables."""
        return tuple(entry.index for entry in self.entries)
