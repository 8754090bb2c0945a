"""How alike the updates are: over all modules, layer by layer, and in their top directions."""

from __future__ import annotations

from itertools import combinations

from inspector.lineage import lineage
from inspector.report.context import Context, measured_by
from inspector.report.document import Note, Part, Section
from inspector.text import some

_PAIRS = "Two adapters are needed to compare any."


def matrix(context: Context) -> Section:
    """Global cosines, and what of each lies outside the other."""
    found = [
        context.matrix("cosine", "Cosine of the updates, over all modules"),
        context.matrix(
            "orthogonal_fraction_global", "Orthogonal fraction, one coefficient for the whole: √(1 − cos²)", apart=True
        ),
        context.matrix(
            "orthogonal_fraction_module",
            "Orthogonal fraction, a projection per module: of the row's adapter off the column's",
            apart=True,
        ),
    ]
    parts: list[Part] = [part for part in found if part is not None]
    if len(context.adapters) < 2:
        parts = [Note(_PAIRS)]
    elif len(parts) == 3:
        parts.insert(1, Note("The two orthogonal fractions are different numbers: compare only like with like."))
    metrics = ("cosine", "orthogonal_fraction_global", "orthogonal_fraction_module")
    return Section("matrix", "Who is alike", "1 one direction, 0 orthogonal, −1 opposite.", tuple(parts), metrics)


def layers(context: Context) -> Section:
    """Cosines along the depth."""
    caption = "Cosine by layer: inner products and norms summed over the layer's modules"
    chart = context.layers("cosine", caption)
    parts: tuple[Part, ...] = (chart,) if chart else (Note("Needs two adapters with two layers or more."),)
    about = "Where along the depth two updates are alike or part."
    return Section("layers", "Layer by layer", about, parts, ("cosine",))


def directions(context: Context) -> Section:
    """u₁ and v₁, with who shares a start."""
    parts: list[Part] = []
    for metric, side in (("u1", "output direction u₁"), ("v1", "input direction v₁")):
        found = context.matrix(metric, f"|⟨{side}⟩|, mean over modules; {context.chance(metric)}")
        if found is not None and len(context.adapters) > 1:
            parts.append(found)
            if metric == "v1":
                parts.append(Note(_shared_starts(context), caution=True))
            chance = context.chance_along_layers(metric)
            chart = context.layers(metric, f"Agreement of the top {side} by layer", levels=chance, limits=(0, 1))
            parts += [chart] if chart else []
    about = "Whether the strongest direction each update writes to (u₁) and reads from (v₁) is the same, up to sign."
    return Section("directions", "Top directions", about, tuple(parts or measured_by("")), ("u1", "v1"))


def _shared_starts(context: Context) -> str:
    """Why v₁ may not be compared: by the digests of A₀ and by row spaces."""
    found = lineage(context.study)
    groups = _by_digest(context) if found is None else found.groups
    shared = [some([context.study.names[i] for i in group], 12) for group in groups if len(group) > 1]
    trap = "Runs that share the random start A₀ agree in v₁ by construction"
    if not shared:
        return f"{trap}; no two of these are known to."
    apart = found is not None and all(found.apart(one, other) for one, other in combinations(groups, 2))
    how = "compares" if apart else "may compare"
    return f"{trap}: {'; '.join(shared)}. Elsewhere v₁ {how} two random starts, not what was learned."


def _by_digest(context: Context) -> list[list[int]]:
    """The adapters of each start A₀ that is known."""
    groups: dict[str, list[int]] = {}
    for i, adapter in enumerate(context.study.adapters):
        if adapter.origin.a0:
            groups.setdefault(adapter.origin.a0, []).append(i)
    return list(groups.values())
