"""Which adapters of a study a claim is about: by their names in the set, and by facts of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.claims.facts import alike, fact
from inspector.claims.model import Selector
from inspector.study.adapter_info import AdapterInfo
from inspector.study.provenance import run_of, step_of
from inspector.study.study import Study


class NotMeasuredError(Exception):
    """Why a selected number is not there, in words."""


@dataclass(frozen=True, slots=True)
class Where:
    """The names of a set -> the adapters of a study."""

    study: Study
    at: Mapping[str, int]

    @classmethod
    def of(cls, study: Study, aliases: Mapping[str, str]) -> Where:
        """By name, else by the last part of a published source: a downloaded folder goes by that.

        A checkpoint of a step, or a run that ended at it, is also its run's `NAME@STEP`.
        """
        return cls(study, cls.named(study.adapters, aliases))

    @staticmethod
    def named(infos: Sequence[AdapterInfo], aliases: Mapping[str, str]) -> dict[str, int]:
        """The names that adapters go by in a set -> their positions."""
        by_alias = {aliases[info.name]: i for i, info in enumerate(infos) if info.name in aliases}
        own = {info.name: i for i, info in enumerate(infos) if info.name in aliases.values()}
        steps = {at: i for i, info in enumerate(infos) if (at := _at_step(info, aliases))}
        return steps | by_alias | own

    def missing(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name not in self.at]


def _at_step(info: AdapterInfo, aliases: Mapping[str, str]) -> str:
    """`sft@100`, or nothing of an adapter without a step."""
    runs = (info.name, run_of(info.name), run_of(info.source).rpartition("/")[2])
    name = next((aliases[run] for run in runs if run in aliases), "")
    step = info.origin.step if info.origin.step is not None else step_of(info.source)
    return f"{name}@{step}" if name and step is not None else ""


def subjects(where: Where, selector: Selector) -> Sequence[tuple[str, ...]]:
    """The adapters or pairs that are meant; by facts of their runs, those of the open ones. Raises NotMeasuredError."""
    given: Sequence[tuple[str, ...]] = selector.pairs or [(name,) for name in selector.adapters] or [()]
    if not selector.filtered:
        return given
    there = [names for names in given if not where.missing(names)]
    found = [names for names in there if _meant([where.study.adapters[where.at[n]] for n in names], selector)]
    if not found:
        what = "pair of open adapters" if selector.pairs else "open adapter"
        raise NotMeasuredError(f"no {what} is one of {_wanted(selector)}")
    return found


def _meant(infos: Sequence[AdapterInfo], selector: Selector) -> bool:
    known = all(any(alike(fact(n, info), one) for one in values) for n, values in selector.where for info in infos)
    facts = {name: [fact(name, info) for info in infos] for name in (*selector.same, *selector.differ)}
    told = all(None not in found for found in facts.values())
    return (
        known
        and told
        and all(alike(*facts[name]) for name in selector.same)
        and not any(alike(*facts[name]) for name in selector.differ)
    )


def _wanted(selector: Selector) -> str:
    """`method sft, rank 8 or 16, same rate, other seed`: what a filter asks for, where the files tell it."""
    said = [
        f"{name} {' or '.join(f'{one:g}' if isinstance(one, float) else one for one in values)}"
        for name, values in selector.where
    ]
    said += [f"same {name}" for name in selector.same] + [f"other {name}" for name in selector.differ]
    return ", ".join(said)
