"""How alike the updates are: over all modules, layer by layer, and in their top directions."""

from __future__ import annotations

from itertools import combinations

from inspector.common.text import some
from inspector.insights.lineage import lineage
from inspector.report.context import Context
from inspector.report.document import Beside, Matrix, Note, Part, Section
from inspector.study.metrics import DEFINITIONS, charted

_PAIRS = "Two adapters are needed to compare any."


def matrix(context: Context) -> Section:
    """Global cosines and similarities, and what of each lies outside the other."""
    shown = charted("matrix")
    parts = [part for d in shown for part in context.of_pairs(d)]
    if len(context.adapters) < 2:
        parts = [Note(_PAIRS)]
    elif (outputs := _matrix_of(context, "u1")) is not None and isinstance(first := parts[0], Matrix):
        parts[0] = Beside((first, outputs))
    apart = [at for at, part in enumerate(parts) if isinstance(part, Matrix) and part.apart]
    if len(apart) > 1:
        text = "The two orthogonal fractions are different numbers: compare only like with like."
        parts.insert(apart[0], Note(text))
    metrics = ("cosine", "u1", *(d.metric for d in shown if d.metric != "cosine"))
    about = "1 one direction, 0 orthogonal, −1 opposite. Beside it whether the top output directions agree, up to sign."
    return Section("matrix", "Who is alike", about, tuple(parts), metrics)


def _matrix_of(context: Context, metric: str) -> Matrix | None:
    """The matrix of a metric alone."""
    return next((part for part in context.of_pairs(DEFINITIONS[metric]) if isinstance(part, Matrix)), None)


def layers(context: Context) -> Section:
    """Cosines along the depth."""
    caption = "Cosine by layer: inner products and norms summed over the layer's modules"
    chart = context.layers("cosine", caption)
    parts: tuple[Part, ...] = (chart,) if chart else (Note("Needs two adapters with two layers or more."),)
    about = "Where along the depth two updates are alike or part."
    return Section("layers", "Layer by layer", about, parts, ("cosine",))


def directions(context: Context) -> Section:
    """u₁ and v₁, with who shares a start."""
    shown, parts = charted("directions"), list[Part]()
    for d in shown if len(context.adapters) > 1 else ():
        found = context.of_pairs(d)[d.metric == "u1" :]  # its matrix stands beside the cosines
        if found and d.side == "right":
            found.insert(1, Note(_shared_starts(context), caution=True))
        parts += found
    about = "Whether the strongest direction each update writes to (u₁) and reads from (v₁) is the same, up to sign."
    return Section("directions", "Top directions", about, tuple(parts), tuple(d.metric for d in shown))


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
