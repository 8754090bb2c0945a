"""What seed and learning rate did to a method, spreads within and between groups, and lineage."""

from __future__ import annotations

from itertools import combinations

from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.labels import labels
from inspector.insights.lineage import RULE, lineage
from inspector.insights.sensitivity import GROUPINGS, Variation, compared_by, spreads, variations
from inspector.insights.short_names import in_short
from inspector.study.study import Study
from inspector.tui.actions import cycled
from inspector.tui.navigation import ENDS, METRIC
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import NA, Line, clean, decimal, left, plural, right, times, wrap
from inspector.tui.views.base import Area, View, scrolled, tidy

_METRICS = ("cosine", "output_similarity", "norm", "u1", "v1", "principal_angle", "row_space_overlap")
_BRIEF = {"seed": "seed", "learning rate": "lr", "seed and learning rate": "seed, lr", "nothing told": ""}


class SensitivityView(View):
    id = "sensitivity"
    tab = "7"
    title = "Seeds & rates"
    scrolls = True
    need = 2
    hint = "what seed and learning rate did, and which adapters share a start"
    about = (
        "Runs of one method, told by run.json or by names such as sft_lr2e-4_s42: same loss under another seed, under "
        "another learning rate; and which adapters share a random start of A or a run. Compared by cosine if all "
        "share a start, by output similarity otherwise. m: by method, seed or rate."
    )
    actions = (*ENDS, *METRIC)
    shows = ("row_space*",)

    def __init__(self) -> None:
        self.grouping = GROUPINGS[0]

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        if (partial := self.waiting(state, area)) is not None:
            return partial
        study, alike = in_short(state.ordered)
        title, *groups = _groups(study, self.grouping, area)
        title.add(f" · {alike}" if alike and title.width + cell_len(alike) + 3 <= area.width else "", area.ink.dim)
        if state.filter:
            title.add(" · all modules, whatever is filtered", area.ink.dim)
        lines = [title, *groups, Line(), *_pairs(study, area), Line(), *_kin(study, area)]
        return scrolled(lines, state, self.id, area)

    def table(self, state: AppState) -> Table:
        """Every pair: what differs where both are of one method, and how related they are."""
        study = state.ordered
        known = {(min(v.a, v.b), max(v.a, v.b)): v for v in variations(study)}
        kin = lineage(study)
        rows = []
        for i, j in combinations(range(len(study.adapters)), 2):
            v = known.get((i, j))
            numbers = (
                [""] * 7
                if v is None
                else [
                    tidy(x) for x in (v.cosine, v.output_similarity, v.norm_ratio, v.u1, v.v1, v.angle, v.worst_angle)
                ]
            )
            who = (study.names[v.a], study.names[v.b]) if v else (study.names[i], study.names[j])
            related = ["", ""] if kin is None else [tidy(float(kin.overlap[i, j])), kin.kinship(i, j) or ""]
            rows.append((*map(clean, who), v.differs if v else "", v.start if v else "", *numbers, *related))
        columns = (
            "a", "b", "differ in", "start", "cosine", "output similarity", "norm ratio", "u1", "v1", "smallest angle",
            "largest angle", "row-space overlap", "lineage",
        )  # fmt: skip
        return Table("seeds, rates and lineage", columns, tuple(rows))

    def cycle(self, state: AppState, step: int) -> None:  # noqa: ARG002 - a choice of its own
        self.grouping = cycled(GROUPINGS, self.grouping, step)

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        return _METRICS


def _groups(study: Study, by: str, area: Area) -> list[Line]:
    """Similarities within and between groups."""
    ink, found = area.ink, spreads(study, by)
    width = min(max([cell_len(clean(s.group)) for s in found] + [6]), max(area.width - 56, 8))
    head = Line(f" {compared_by(study).replace('_', ' ').capitalize()} within and between groups, by {by}", ink.bold)
    lines = [head, Line("   ").add(left(by, width) + "  runs       within            to the others", ink.dim)]
    for spread, name in zip(found, labels([s.group for s in found]).at(width), strict=True):
        line = Line("   ").add(left(name, width)).add(right(str(len(spread.members)), 6) + "   ")
        lines.append(line.add(left(_range(spread.within), 19)).add(_range(spread.between)))
    return lines


def _range(values: tuple[float, float, float]) -> str:
    mean, low, high = values
    return NA if mean != mean else f"{decimal(mean)} ({decimal(low)}…{decimal(high)})"  # noqa: PLR0124 - NaN


def _pairs(study: Study, area: Area) -> list[Line]:
    """Pairs of one method."""
    ink, found = area.ink, variations(study)
    head = Line(" One method, another seed or rate", ink.bold)
    if not found:
        text = "No two adapters are known to be of one method: run.json, or names such as sft_lr2e-4_s42, would tell."
        return [head, *(Line("   " + part, ink.dim) for part in wrap(text, area.width - 5))]
    room = max(area.width - 58, 12)
    short = labels(study.names).at((room - 3) // 2)
    names = [f"{short[v.a]} → {short[v.b]}" for v in found]
    width = max(map(cell_len, names))
    title = left("", width) + " differ    A₀      cos   out  ×‖b‖    u₁    v₁  angles"
    return [
        head,
        Line("   ").add(title, ink.dim),
        *(_pair(n, v, width, area) for n, v in zip(names, found, strict=True)),
    ]


def _pair(name: str, v: Variation, width: int, area: Area) -> Line:
    brief = ", ".join([*filter(None, [_BRIEF[v.change]]), *(f"{_BRIEF[what]}?" for what in v.unknown)])
    brief = brief if brief != "seed?, lr?" else "?"
    line = Line("   ").add(left(name, width) + " ").add(left(brief or "–", 9) + " ")
    line.add(left({"same": "same", "different": "other", "unknown": "?"}[v.start], 5))
    for text in (decimal(v.cosine), decimal(v.output_similarity), times(v.norm_ratio), decimal(v.u1)):
        line.add(right(text, 6))
    comparable = area.ink.plain if v.start == "same" else area.ink.dim
    line.add(right(decimal(v.v1), 6) + (" " if v.start == "same" else "!"), comparable)
    return line.add(f" {_whole(v.angle)}…{_whole(v.worst_angle)}")


def _whole(angle: float) -> str:
    """Whole degrees: medians over modules are known no better."""
    return NA if angle != angle else f"{angle:.0f}°"  # noqa: PLR0124 - NaN


def _kin(study: Study, area: Area) -> list[Line]:
    """Groups by start, and the matrix where it fits."""
    ink, found = area.ink, lineage(study)
    if found is None:
        return [Line(" Lineage was not measured in this study.", ink.dim)]
    lines = [Line(" Lineage", ink.bold).add(f" · row-space overlap, {found.by_chance} by chance", ink.dim)]
    for at, group in enumerate(found.groups):
        names = ", ".join(clean(study.names[i]) for i in group)
        rest = [i for i in range(len(study.adapters)) if i not in group]
        how = "share a start or a run" if len(group) > 1 else "alone" if found.apart(group, rest) else "unclear"
        for n, part in enumerate(wrap(f"{names}: {how}", area.width - 8)):
            lines.append(Line("   ").add(str(at + 1) if not n else "", ink.accent).to(6).add(part))
    order = [i for group in found.groups for i in group]
    width = min(max(cell_len(clean(study.names[i])) for i in order), 20)
    if 3 + width + 6 * len(order) > area.width:
        return [
            *lines,
            Line(f"   The matrix of {plural(len(order), 'adapter')} needs a wider screen: e exports it.", ink.dim),
        ]
    for i in order:
        line = Line("   ").add(left(clean(study.names[i]), width))
        for j in order:
            value = float(found.overlap[i, j])
            line.add(right(decimal(value), 6), ink.plain if found.kinship(i, j) != "different" else ink.dim)
        lines.append(line)
    return [*lines, *(Line("   " + part, ink.dim) for part in wrap(RULE, area.width - 5))]
