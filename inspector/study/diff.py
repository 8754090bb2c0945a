"""What changed from one study to another: who, how it was measured, and every number that moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from inspector.study.adapter_info import AdapterInfo
from inspector.study.diff_numbers import Moved, moved_numbers
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import SCOPES, Scope, Study


@dataclass(frozen=True, slots=True)
class Change:
    """A field that differs: of the settings, of an adapter, of a probe."""

    what: str
    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Differences:
    """`moved`: the largest first, what only goes with others last; `counts`: in each scope, moved and compared."""

    common: int
    """How many adapters both have: without any, no number is compared, for chance levels alone say nothing."""
    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    changed: tuple[Change, ...]
    """Adapters of one name and another content."""
    settings: tuple[Change, ...]
    probes: tuple[Change, ...]
    metrics_added: tuple[str, ...]
    metrics_removed: tuple[str, ...]
    moved: tuple[Moved, ...]
    counts: tuple[tuple[Scope, int, int], ...]

    @property
    def nothing(self) -> bool:
        """Whether the two say the same."""
        return not any(
            (self.added, self.removed, self.renamed, self.changed, self.settings, self.probes, self.metrics_added,
             self.metrics_removed, self.moved)
        )  # fmt: skip


def differences(old: Study, new: Study, *, threshold: float = 1e-3) -> Differences:
    """Adapters are matched by name, then by content; numbers are told where they moved by more than the threshold."""
    renamed = _renamed(old, new)
    for before, after in renamed:
        old = old.renamed(before, after)
    kept = [name for name in old.names if name in new.names]
    moved: list[Moved] = []
    counts: list[tuple[Scope, int, int]] = []
    for scope in SCOPES if kept else ():
        found, compared = moved_numbers(old, new, kept, scope, threshold)
        moved += found
        counts.append((scope, len(found), compared))
    before_metrics, after_metrics = ({metric for metric, _ in study.blocks} for study in (old, new))
    return Differences(
        len(kept),
        tuple(name for name in new.names if name not in kept),
        tuple(name for name in old.names if name not in kept),
        renamed,
        tuple(_changed(old, new, kept)),
        tuple(_fields("", asdict(replace(old.settings, version="")), asdict(replace(new.settings, version="")))),
        tuple(_probes(old, new)),
        tuple(metric for metric in DEFINITIONS if metric in after_metrics - before_metrics),
        tuple(metric for metric in DEFINITIONS if metric in before_metrics - after_metrics),
        tuple(sorted(moved, key=lambda m: (m.beside, -m.size))),
        tuple(counts),
    )


def _renamed(old: Study, new: Study) -> tuple[tuple[str, str], ...]:
    """Adapters of one content under another name."""
    at = {a.digest: a.name for a in new.adapters if a.digest and a.name not in old.names}
    gone = (a for a in old.adapters if a.digest and a.name not in new.names)
    pairs: dict[str, str] = {}
    for adapter in gone:
        if adapter.digest in at:
            pairs[adapter.name] = at.pop(adapter.digest)
    return tuple(pairs.items())


def _changed(old: Study, new: Study, kept: list[str]) -> Iterator[Change]:
    for name in kept:
        before, after = (study.adapters[study.index(name)] for study in (old, new))
        yield from _fields(name, _facts(before), _facts(after))


def _facts(adapter: AdapterInfo) -> dict[str, object]:
    """What a reader would call another adapter."""
    fields = ("digest", "base", "rank", "alpha", "scale", "modules", "dtype", "health")
    return {field: getattr(adapter, field) for field in fields}


def _fields(what: str, before: dict[str, object], after: dict[str, object]) -> Iterator[Change]:
    for field, old in before.items():
        if old != after[field]:
            yield Change(what, field, _text(old), _text(after[field]))


def _text(value: object) -> str:
    """A value as it stands on a command line: the parts of a list with a blank between them."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _probes(old: Study, new: Study) -> Iterator[Change]:
    """Probes that came, went, or ran otherwise."""
    known = dict.fromkeys([p.probe for p in (*old.probes, *new.probes)])
    for name in known:
        before, after = old.probe(name), new.probe(name)
        if before is None or after is None:
            words = ("not measured", "measured")
            yield Change(name, "", words[before is not None], words[after is not None])
        else:
            yield from _fields(name, asdict(replace(before, version="")), asdict(replace(after, version="")))
