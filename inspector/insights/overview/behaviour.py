"""Whether the differences matter: what was measured on the base, a sentence a probe. Nothing where nothing was run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from inspector.common.numbers import fixed
from inspector.common.text import count
from inspector.insights.evidence import ALIKE, SIGNIFICANT, path, states
from inspector.insights.findings.finding import Finding, Number, listed, of_adapter, of_pair, own_values, pair_values
from inspector.insights.overview.model import Group
from inspector.study.metrics.probes import LOSSES
from inspector.study.study import Study

Names = Sequence[str]


@dataclass(frozen=True, slots=True)
class _Best:
    """Which member of a group is best by accuracy or loss, in words; `clear`: beyond what chance gives."""

    by: Literal["accuracy", "loss"]
    i: int
    clear: bool
    text: str
    level: str
    """What is said beside another measure where this one is not clear."""
    numbers: tuple[Number, ...]


def behaviour(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Loss along the paths, hidden states, accuracy."""
    yield from _loss(study, who, names)
    yield from _states(study, who, names)
    yield from _accuracy(study, who, names)


def best_of(study: Study, group: Group, names: Names) -> Finding | None:
    """Which member of a group to keep by accuracy and loss, in one sentence; None if neither is measured of all."""
    solved, loss = _most_solved(study, group, names), _lowest_loss(study, group, names)
    found = [one for one in (solved, loss) if one is not None]
    if not found:
        return None
    first, *rest = sorted(found, key=lambda one: not one.clear)
    clear = [one for one in found if one.clear]
    text = ", ".join([first.text, *((one.text if one.clear else one.level) for one in rest if clear)])
    if len(clear) == len(found) and len({one.i for one in clear}) == 1:
        text += ": keep it"
    elif clear:
        text += f": keep {' or '.join(f'{names[one.i]} by {one.by}' for one in clear)}"
    numbers = [number for one in (clear or [first]) for number in one.numbers]
    return Finding(first.by, f"Of {group.letter}'s {len(group.members)} variants {text}.", tuple(numbers))


def _most_solved(study: Study, group: Group, names: Names) -> _Best | None:
    accuracy = own_values(study, "accuracy")
    if not np.isfinite(accuracy[list(group.members)]).all():
        return None
    members = sorted(group.members, key=lambda i: -float(accuracy[i]))
    p = pair_values(study, "mcnemar_p_holm")
    pairs = [pair for pair in combinations(members, 2) if p[pair] < SIGNIFICANT]
    spread = f"{100 * accuracy[members[-1]]:.0f} to {100 * accuracy[members[0]]:.0f} %"
    beaten = [names[j] for i, j in pairs if i == members[0]]
    text = f"none solves the most beyond chance (accuracy {spread})"
    if beaten:
        text = f"{names[members[0]]} solves the most ({spread}), beyond chance more than {listed(beaten)}"
    numbers = [of_adapter(study, "accuracy", i) for i in members]
    numbers += [of_pair(study, "mcnemar_p_holm", *pair) for pair in pairs]
    return _Best("accuracy", members[0], bool(beaten), text, "accuracy tells none apart", tuple(numbers))


def _lowest_loss(study: Study, group: Group, names: Names) -> _Best | None:
    """The member with the lowest loss; clear if every interval of a difference to the others excludes 0."""
    paths = {pair: found for pair in combinations(group.members, 2) if (found := path(study, *pair)) is not None}
    losses = {i: loss for (a, b), found in paths.items() for i, loss in ((a, found.a), (b, found.b))}
    if len(losses) < len(group.members) or len({found.suffix for found in paths.values()}) != 1:
        return None
    best, *others = sorted(losses, key=lambda i: losses[i])
    metric, suffix = "lmc_ends", next(iter(paths.values())).suffix
    low, high = (pair_values(study, f"{metric}_{bound}{suffix}")[best] for bound in ("low", "high"))
    close = [names[other] for other in others if not high[other] < 0]
    near = others[0]
    known = np.isfinite(low[near] + high[near])
    by = f"95 % interval {-high[near]:.2f} to {-low[near]:.2f} below the next" if known else f"next {losses[near]:.2f}"
    text = f"{names[best]} has the lowest loss ({losses[best]:.2f}, {by})"
    if close:
        text += f"; no difference shown to {listed(close)}"
    numbers = [of_pair(study, f"{metric}{suffix}", best, other) for other in others]
    numbers += [of_pair(study, f"{metric}_{bound}{suffix}", best, near) for bound in ("low", "high") if known]
    return _Best("loss", best, not close, text, "the lowest loss is not clear", tuple(numbers))


def _loss(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """On how many paths the loss rises above both ends, by more than what counts as flat."""
    if not any(study.block(f"lmc_loss{suffix}", "global") is not None for suffix in LOSSES):
        return
    paths = {pair: found for pair in combinations(who, 2) if (found := path(study, *pair)) is not None}
    if not paths:
        return
    steep = [pair for pair, found in paths.items() if found.barrier]
    i, j = worst = max(steep or paths, key=lambda pair: paths[pair].strict[0])
    height = f"(+{paths[worst].strict[0]:.2f})"
    if len(paths) == 1:
        rises = f"rises above both ends {height}" if steep else "does not rise above both ends"
        text = f"Averaging {names[i]} and {names[j]}: the loss {rises}."
    elif steep:
        most = f"most between {names[i]} and {names[j]} {height}"
        text = f"On {len(steep)} of {len(paths)} paths the loss rises above both ends, {most}."
    else:
        text = f"On none of {len(paths)} measured paths does the loss rise above both ends."
    numbers = [of_pair(study, f"barrier_strict{paths[pair].suffix}", *pair) for pair in dict.fromkeys((worst, *paths))]
    yield Finding("loss", text, tuple(numbers))


def _states(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Which pair's hidden states are farthest apart, and how many pairs stay alike in every layer."""
    if all(study.block(metric, "layer") is None for metric in ("cka", "cka_debiased")):
        return
    found = {pair: one for pair in combinations(who, 2) if (one := states(study, *pair)) is not None}
    if not found:
        return
    i, j = far = min(found, key=lambda pair: found[pair].least)
    alike = sum(one.alike for one in found.values())
    if len(found) == 1:
        text = f"{names[i]} and {names[j]}: {found[far]}."
    else:
        which = f"all {len(found)}" if alike == len(found) else f"{alike or 'none'} of {len(found)}"
        least = f"the least is {fixed(found[far].least)}"
        text = f"Hidden states are alike in {which} pairs (CKA ≥ {ALIKE:.2f}); {least}."
    yield Finding("states", text, (of_pair(study, found[far].metric, i, j, found[far].layer),))


def _accuracy(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Who solves the most, and how many pairs differ beyond chance."""
    accuracy, p = own_values(study, "accuracy"), pair_values(study, "mcnemar_p_holm")
    known = [i for i in who if np.isfinite(accuracy[i])]
    if len(known) < 2:
        return
    best, worst = (pick(known, key=lambda i: float(accuracy[i])) for pick in (max, min))
    spread = f"{100 * accuracy[worst]:.0f} to {100 * accuracy[best]:.0f} %"
    differ = [pair for pair in combinations(known, 2) if p[pair] < SIGNIFICANT]
    numbers: list[Number] = [of_adapter(study, "accuracy", i) for i in (best, worst)]
    if differ:
        pairs = f"{count(len(differ), 'pair')} differ{'s' * (len(differ) == 1)}"
        text = f"Accuracy {spread}: {names[best]} solves the most; {pairs} beyond chance."
        numbers += [of_pair(study, "mcnemar_p_holm", *pair) for pair in differ]
    else:
        text = f"Accuracy {spread}: no two differ beyond chance."
    yield Finding("accuracy", text, tuple(numbers), caution=not differ)
