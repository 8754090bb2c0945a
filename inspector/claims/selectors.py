"""Which numbers a claim is about, read from its fields."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from inspector.claims.facts import DEFINED, FACTS
from inspector.claims.fields import Fields, hint
from inspector.claims.model import BOUNDS, STATISTICS, Condition, Selector, Side
from inspector.common.text import plain

SELECTOR = (
    "adapters", "pairs", "where", "same", "differ", "at", "layers", "modules", "k", "alphas", "statistic", "q", "that",
)  # fmt: skip
_OTHER = ("metric", "prompts", *SELECTOR)


def metrics(fields: Fields) -> tuple[str, ...]:
    """The definitions; all of adapters, or all of pairs."""
    found = fields.words("metric")
    if not found:
        fields.refuse("metric", "is missing")
    for metric in found:
        if metric not in DEFINED:
            fields.refuse("metric", f"no metric {plain(metric, 60)!r}.{hint(metric, DEFINED)}")
    if len({(_of(metric), DEFINED[metric].index) for metric in found}) > 1:
        fields.refuse("metric", f"{' and '.join(found)} are not numbers of the same things")
    return found


def _of(metric: str) -> str:
    """What a metric's numbers are of: adapters, pairs, or none."""
    return {"adapter": "adapters", "none": "none"}.get(DEFINED[metric].subject, "pairs")


def selector(fields: Fields, adapters: Mapping[str, str], default: Selector) -> Selector:
    """The selector among a claim's fields; what is not said is `default`'s."""
    own = "adapters" in fields or "pairs" in fields
    if "at" in fields and not own:
        fields.refuse("at", "says at which steps of adapters or pairs: name them beside it")
    steps = fields.wholes("at", 0)
    return Selector(
        _adapters(fields, adapters, steps) if own else default.adapters,
        _pairs(fields, adapters, steps) if own else default.pairs,
        _where(fields) if "where" in fields else default.where,
        _facts(fields, "same") if "same" in fields else default.same,
        _facts(fields, "differ") if "differ" in fields else default.differ,
        _layers(fields) if "layers" in fields else default.layers,
        _modules(fields) if "modules" in fields else default.modules,
        fields.wholes("k", 1) or default.k,
        fields.numbers("alphas") or default.alphas,
        fields.choice("statistic", STATISTICS, default.statistic),
        _q(fields) if "q" in fields else default.q,
        _that(fields) if "that" in fields else default.that,
    )


def known(fields: Fields, field: str, names: tuple[str, ...], adapters: Mapping[str, str]) -> tuple[str, ...]:
    """These names, if each is an adapter of the set, or `NAME@STEP` of one."""
    for name in names:
        run, at, step = name.rpartition("@")
        if name not in adapters and not (at and run in adapters and step.isascii() and step.isdecimal()):
            fields.refuse(field, f"no adapter {plain(name, 60)!r} is among the set's.{hint(name, adapters)}")
    return names


def _adapters(fields: Fields, adapters: Mapping[str, str], steps: tuple[int, ...]) -> tuple[str, ...]:
    """Names, or `all`; each at every step of `at`."""
    given = fields.words("adapters")
    found = tuple(adapters) if given == ("all",) else known(fields, "adapters", given, adapters)
    return tuple(_at(name, step) for name in found for step in steps or (None,))


def _pairs(fields: Fields, adapters: Mapping[str, str], steps: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    """Pairs, or `all`; each at every step of `at`."""
    given = fields.items("pairs")
    pairs = list(itertools.combinations(adapters, 2)) if given == ["all"] else []
    for found in given if not pairs else ():
        if not isinstance(found, list) or len(found) != 2:
            fields.refuse("pairs", "must be all, or a list of pairs, such as [[sft, rft], [sft, dpo]]")
        a, b = known(fields, "pairs", tuple(fields.word("pairs", name) for name in found), adapters)
        if a == b:
            fields.refuse("pairs", f"{a} stands beside itself")
        pairs.append((a, b))
    return tuple((_at(a, step), _at(b, step)) for a, b in pairs for step in steps or (None,))


def _at(name: str, step: int | None) -> str:
    return name if step is None else f"{name}@{step}"


def _where(fields: Fields) -> tuple[tuple[str, tuple[str | float, ...]], ...]:
    """`{method: sft, rank: [8, 16]}`: facts of runs, and their values."""
    inner = Fields(fields.raw("where"), f"{fields.where}, where", FACTS, fields.faults)
    return tuple((name, _values(inner, name)) for name in FACTS if name in inner)


def _values(fields: Fields, name: str) -> tuple[str | float, ...]:
    return fields.words(name) if name == "method" else fields.numbers(name)


def _facts(fields: Fields, field: str) -> tuple[str, ...]:
    found = fields.words(field)
    for name in found:
        if name not in FACTS:
            fields.refuse(field, f"no fact {plain(name, 60)!r} of a run: one of {', '.join(FACTS)}.{hint(name, FACTS)}")
    return found


def _layers(fields: Fields) -> tuple[int, int]:
    """`all`, one layer, or [first, last]."""
    found = fields.items("layers")
    if found == ["all"]:
        return 0, -1
    if len(found) > 2 or any(isinstance(at, bool) or not isinstance(at, int) for at in found):
        fields.refuse("layers", "must be all, one layer, or [first, last], counted from 0, or from the end with -1")
    return found[0], found[-1]


def _modules(fields: Fields) -> tuple[str, ...]:
    """`all`, or ends of module paths."""
    found = fields.words("modules")
    return () if found == ("all",) else found


def _q(fields: Fields) -> float:
    q = fields.number("q", fields.raw("q"))
    if not 0 <= q <= 1:
        fields.refuse("q", f"must lie between 0 and 1, such as 0.25 for the lower quartile, not {q:g}")
    return q


def _that(fields: Fields) -> Condition:
    """`{above: 0.9}`, `{between: [0, 1]}`."""
    inner = Fields(fields.raw("that"), f"{fields.where}, that", BOUNDS, fields.faults)
    given = [bound for bound in BOUNDS if bound in inner]
    if len(given) != 1:
        fields.refuse("that", f"must be one bound, such as {{above: 0.9}}: {', '.join(BOUNDS)}")
    value = inner.numbers(given[0])
    if len(value) != (2 if given[0] == "between" else 1) or value[0] > value[-1]:
        inner.refuse(given[0], "must be [low, high]" if given[0] == "between" else "must be one number")
    return Condition(given[0], value)


def fits(fields: Fields, chosen: Selector, named: Sequence[str]) -> None:
    """Refuse a selector that does not say what these metrics need, or says something else."""
    subject, index = _of(named[0]), DEFINED[named[0]].index
    given = "pairs" if chosen.pairs else "adapters" if chosen.adapters else "none"
    if given != subject or (chosen.pairs and chosen.adapters):
        what = {"none": "of no adapter: leave out adapters and pairs"}.get(subject, f"of {subject}: name them")
        fields.refuse("adapters" if subject == "none" else subject, f"{named[0]} is a number {what} (and only them)")
    if (chosen.same or chosen.differ) and subject != "pairs":
        fields.refuse("same" if chosen.same else "differ", f"tells pairs apart, and {named[0]} is of {subject}")
    for name, wanted in (("k", index == "k"), ("alphas", index == "alpha")):
        if bool(getattr(chosen, name)) != wanted:
            complaint = f"says which numbers of {named[0]}: add it" if wanted else f"{named[0]} has no such index"
            fields.refuse(name, complaint)
    statistic = chosen.statistic
    if statistic.startswith("arg") and (chosen.layers is None or chosen.modules is not None):
        fields.refuse("statistic", f"{statistic} is asked over layers: say which")
    if (chosen.q is not None) != (statistic == "quantile"):
        fields.refuse("q", "goes with the statistic quantile, and that with it")
    if (chosen.that is not None) != (statistic in {"fraction", "count"}):
        fields.refuse("that", "says which numbers fraction and count count: it goes with one of them")


def other_side(
    fields: Fields, side: Side, adapters: Mapping[str, str], chosen: Selector, named: tuple[str, ...]
) -> Selector:
    """The second selector: what it does not say is the claim's, as far as its metric has such a thing."""
    inner = Fields(fields.raw(side), f"{fields.where}, {side}", _OTHER, fields.faults)
    own = metrics(inner) if "metric" in inner else ()
    if own and len(own) not in {1, len(named)}:
        inner.refuse("metric", f"must be one, or one for each of the claim's {len(named)}")
    found = selector(inner, adapters, _inherited(chosen, side, own or named, named))
    fits(inner, found, own or named)
    prompts = inner.text("prompts", "")
    if prompts and not any(DEFINED[metric].probe for metric in own or named):
        inner.refuse("prompts", f"{(own or named)[0]} is measured on none: leave it out")
    return replace(found, metrics=own, prompts=prompts)


def _inherited(chosen: Selector, side: Side, own: Sequence[str], named: Sequence[str]) -> Selector:
    """What of a claim's selector also goes with these metrics."""
    found = chosen if side != "with" else replace(chosen, statistic="each", q=None, that=None)
    if _of(own[0]) != _of(named[0]):
        found = replace(found, adapters=(), pairs=(), where=(), same=(), differ=())
    if DEFINED[own[0]].index != DEFINED[named[0]].index:
        found = replace(found, k=(), alphas=())
    return found
