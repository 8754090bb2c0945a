"""What seed and learning rate did, and who shares a start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from math import isfinite

from inspector.insights.findings.finding import Finding, Number, listed, of_adapter, of_pair, span
from inspector.insights.lineage import lineage, start
from inspector.insights.pairwise import ONE
from inspector.insights.sensitivity import Variation, variations
from inspector.study.provenance import run_of
from inspector.study.study import Study

AGREE = 0.5
"""Output directions agree from this mean |⟨u₁,u₁'⟩| on."""


def runs(study: Study) -> Iterator[Finding]:
    """Pairs of one method that are known to differ in one thing, those alike in one sentence; then lineage."""
    seeds: dict[tuple[object, ...], list[Variation]] = {}
    rates: dict[tuple[object, ...], list[Variation]] = {}
    for v in variations(study):
        known = (v.unknown, *map(isfinite, (v.u1, v.v1, v.norm_ratio)))
        if isfinite(v.cosine) and v.change == "seed":
            seeds.setdefault((v.u1 >= AGREE and v.cosine < ONE, v.start, *known), []).append(v)
        elif isfinite(v.cosine) and v.change == "learning rate":
            rates.setdefault((v.cosine >= ONE, _times(study, v), *known), []).append(v)
    yield from (_seed(study, alike) for alike in seeds.values())
    yield from (_rate(study, alike) for alike in rates.values())
    yield from _starts(study)


def _seed(study: Study, alike: list[Variation]) -> Finding:
    u1, v1, cosine = (span([getattr(v, metric) for v in alike]) for metric in ("u1", "v1", "cosine"))
    first = alike[0]
    outputs = [v.output_similarity for v in alike]
    if first.u1 >= AGREE and first.cosine < ONE:
        text = f"the same top output directions (u₁ {u1}) though the cosine is {cosine}"
    else:
        text = f"cosine {cosine}" + (f", u₁ {u1}" if isfinite(first.u1) else "")
    text += f", output similarity {span(outputs)}" if all(map(isfinite, outputs)) else ""
    start = {
        "same": f", v₁ {v1} from one start A₀",
        "different": f"; v₁ {v1} compares two random starts, not what was learned",
        "unknown": f"; v₁ {v1} may only be read if both share A₀, which nothing tells",
    }[first.start]
    text += start if isfinite(first.v1) else ""
    numbers = [
        of_pair(study, metric, v.a, v.b) for v in alike for metric in ("cosine", "u1", "output_similarity", "v1")
    ]
    return Finding("runs", f"Another seed of {_whose(study, alike)}: {text}{_open(first)}.", _known(numbers))


def _rate(study: Study, alike: list[Variation]) -> Finding:
    first = alike[0]
    how = " rescales the update" if first.cosine >= ONE else " turns the update, it does not only rescale it"
    norm = f", norm {span([v.norm_ratio for v in alike], 1)} times" if isfinite(first.norm_ratio) else ""
    what = f"{_times(study, first)} times the learning rate of {_whose(study, alike)}{'' if first.unknown else how}"
    text = f"{what}: cosine {span([v.cosine for v in alike])}{norm}{_open(first)}."
    norms = [of_adapter(study, "norm", i) for i in dict.fromkeys(i for v in alike for i in (v.a, v.b))]
    return Finding("runs", text, _known([*(of_pair(study, "cosine", v.a, v.b) for v in alike), *norms]))


def _open(v: Variation) -> str:
    """What else may differ."""
    return f"; their {v.unknown[0]}s are not both known, and may differ too" if v.unknown else ""


def _known(numbers: Iterable[Number]) -> tuple[Number, ...]:
    return tuple(number for number in numbers if isfinite(number.value))


def _times(study: Study, v: Variation) -> str:
    """How many times as large the learning rate of b is."""
    a, b = (study.adapters[i].origin.lr or 0.0 for i in (v.a, v.b))  # known of both, and above 0
    return f"{b / a:.3g}"


def _whose(study: Study, alike: list[Variation]) -> str:
    """`sft (s42, s123)`, or `sft, dpo and rift (5 pairs)`."""
    methods = listed(dict.fromkeys(v.method for v in alike))
    if len(alike) > 1:
        return f"{methods} ({len(alike)} pairs)"
    return f"{methods} ({study.names[alike[0].a]}, {study.names[alike[0].b]})"


def _starts(study: Study) -> Iterator[Finding]:
    """Groups by start; a folder whose checkpoints come from several runs is pointed out."""
    found = lineage(study)
    if found is None or len(study.adapters) < 2:
        return
    shared = [group for group in found.groups if len(group) > 1]
    if len(shared) == 1 and len(shared[0]) == len(study.adapters):
        text = (
            f"{listed(study.names)} share one random start of A or come from one run, so that input directions (v₁) "
            "agree in part anyway."
        )
        yield Finding("runs", text, _overlaps(study, shared[0]), caution=True)
    elif shared:
        groups = "; ".join(listed(study.names[i] for i in group) for group in shared)
        text = f"These share a start of A or a run: {groups}. Compare input directions (v₁) within them only."
        yield Finding("runs", text, tuple(n for group in shared for n in _overlaps(study, group)), caution=True)
    between = list(combinations(found.groups, 2))
    if (
        _checkpoints(study)
        and between
        and all(start(study, i, j) == "different" for a, b in between for i in a for j in b)
    ):
        apart = all(found.apart(one, other) for one, other in between)
        whence = "so more than one run wrote there" if apart else (
            "yet write to like outputs: more than one run wrote there, or one was merged or factored anew between them"
        )  # fmt: skip
        text = (
            f"The checkpoints of one folder come from {len(found.groups)} different starts, {whence}: "
            f"{'; '.join(listed(study.names[i] for i in group) for group in found.groups[:4])}."
        )
        yield Finding("runs", text, _overlaps(study, tuple(group[0] for group in found.groups)), caution=True)


def _overlaps(study: Study, group: tuple[int, ...]) -> tuple[Number, ...]:
    return _known(of_pair(study, "row_space_overlap", group[0], i) for i in group[1:])


def _checkpoints(study: Study) -> bool:
    """Whether all adapters are checkpoint-N of one folder."""
    sources = {adapter.source for adapter in study.adapters}
    runs = {run_of(source) for source in sources}
    return len(runs) == 1 and not runs & sources
