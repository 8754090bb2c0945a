"""From a YAML file to a set of claims; every fault is said with file, claim, field."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from inspector.claims.facts import DEFINED
from inspector.claims.fields import Faults, Fields
from inspector.claims.model import EPSILON, RELATIONS, Citation, Claim, ClaimSet, Selector, Side
from inspector.claims.selectors import SELECTOR, fits, known, metrics, other_side, selector
from inspector.claims.yaml_file import loaded
from inspector.common.text import plain

_SET = ("title", "address", "base", "adapters", "claims", "top_k", "reference", "sources", "left_out", "unpublished")
_SIDES: tuple[Side, ...] = ("than", "over", "minus", "with")
_CLAIM = (
    "id", "statement", "source", "section", "page", "location", "metric", *SELECTOR, "relation", "value", "tolerance",
    *_SIDES, "prompts", "top_k", "epsilon", "unpublished", "contradicts", "disagreements", "limits",
)  # fmt: skip
_PROMPTED = {"lmc", "lmc_rollouts", "cka", "lens", "accuracy"}
"""Probes whose numbers depend on what they ran over."""


def read(path: Path) -> ClaimSet:
    """The claims in a file. Sources that start with `.` are taken from the file's folder.

    Raises InspectorError naming the file, the claim and the field of everything that is wrong.
    """
    name, faults = plain(path.name), Faults()
    content = loaded(path)
    found = faults.tried(lambda: _set(Fields(content, name, _SET, faults), path))
    faults.refuse(name)
    assert found is not None  # else there was a fault
    return found


def _set(fields: Fields, path: Path) -> ClaimSet | None:
    """The set, or None where anything is at fault."""
    tried, name = fields.faults.tried, fields.where
    adapters = tried(lambda: _adapters(fields, path.parent))
    sources = tried(lambda: _sources(fields))
    entries = tried(lambda: _entries(fields))
    defaults = tried(lambda: (fields.whole("top_k", 10, 1), fields.yes("unpublished"))) or (10, False)
    title, address = tried(lambda: fields.text("title")), tried(lambda: fields.text("address", path.stem))
    base, left_out = tried(lambda: fields.text("base", "")), tried(lambda: fields.words("left_out"))
    if adapters is None or entries is None or sources is None:
        return None
    reference = tried(lambda: known(fields, "reference", fields.words("reference"), adapters))
    claims = [
        tried(partial(_claim, entry, f"{name}: claim {n}", adapters, sources, fields.faults, defaults))
        for n, entry in enumerate(entries, 1)
    ]
    whole = tuple(claim for claim in claims if claim is not None)
    if len(whole) == len(claims):
        _refuse_ids(fields, whole)
    if fields.faults or title is None or address is None or base is None or reference is None:
        return None
    return ClaimSet(title, address, base, adapters, whole, reference, left_out or ())


def _entries(fields: Fields) -> list[Any]:
    found = fields.items("claims")
    if not found:
        fields.refuse("claims", "is missing")
    return found


def _adapters(fields: Fields, folder: Path) -> dict[str, str]:
    """Name -> source."""
    found = fields.raw("adapters")
    if not isinstance(found, dict) or not found:
        fields.refuse("adapters", "must map names to sources, such as `sft: org/repo:adapters/sft`")
    adapters: dict[str, str] = {}
    for name, source in found.items():
        adapters |= fields.faults.tried(partial(_adapter, fields, folder, name, source)) or {str(name): ""}
    return adapters


def _adapter(fields: Fields, folder: Path, name: Any, source: Any) -> dict[str, str]:
    shown = fields.word("adapters", name)
    if shown != name or len(name) > 80 or {"=", "/"} & set(name):
        fields.refuse("adapters", f"{plain(name, 60)!r} is not a name: printable, without = and /")
    text = "" if source is None else fields.word(f"adapters, {name}", source)
    return {name: str((folder / text).resolve()) if text.startswith(".") else text}


def _sources(fields: Fields) -> dict[str, str]:
    """The publications that claims are from, by a short name: `paper: arxiv:2606.23740`."""
    found = fields.raw("sources")
    if found is None:
        return {}
    if not isinstance(found, dict) or not found:
        fields.refuse("sources", "must map short names to addresses, such as `paper: arxiv:2606.23740`")
    return {fields.word("sources", name): fields.word(f"sources, {name}", text) for name, text in found.items()}


def _refuse_ids(fields: Fields, claims: tuple[Claim, ...]) -> None:
    """Note ids that are there twice, and contradictions of claims that are not there."""
    ids = [claim.id for claim in claims]
    for claim_id in dict.fromkeys(i for i in ids if ids.count(i) > 1):
        fields.note("claims", f"two claims have the id {claim_id!r}")
    for claim in claims:
        for other in claim.contradicts:
            if other not in ids or other == claim.id:
                fields.note(f"claim {plain(claim.id, 60)}, contradicts", f"{plain(other, 60)!r} is no other claim's id")


def _claim(
    entry: Any,
    where: str,
    adapters: dict[str, str],
    sources: dict[str, str],
    faults: Faults,
    defaults: tuple[int, bool],
) -> Claim | None:
    return _Reader(entry, where, adapters, sources, faults).claim(*defaults)


class _Reader:
    """One claim. Each field is read for itself, so that the fault of one does not hide another's."""

    def __init__(
        self, entry: Any, where: str, adapters: dict[str, str], sources: dict[str, str], faults: Faults
    ) -> None:
        claim_id = entry.get("id") if isinstance(entry, dict) else None
        named = f"{where.rpartition(' ')[0]} {plain(claim_id, 60)}" if isinstance(claim_id, str) and claim_id else where
        self.fields, self.adapters, self.sources = Fields(entry, named, _CLAIM, faults), adapters, sources
        self.tried = faults.tried
        self.id = self.tried(lambda: self.fields.text("id"))

    def claim(self, top_k: int, apart: bool) -> Claim | None:
        """None where anything is at fault, which is noted."""
        fields, tried = self.fields, self.tried
        before = len(fields.faults)
        statement, cited = tried(lambda: fields.text("statement")), tried(self._cited)
        relation = tried(lambda: fields.choice("relation", RELATIONS))
        value = tried(lambda: fields.numbers("value"))
        tolerance = tried(lambda: self._tolerance(relation))
        unpublished = tried(lambda: fields.yes("unpublished", default=apart))
        contradicts = tried(lambda: fields.words("contradicts"))
        doubts, limits = tried(lambda: fields.words("disagreements")), tried(lambda: fields.words("limits"))
        own_k = tried(lambda: fields.whole("top_k", top_k, 1))
        named = tried(lambda: metrics(fields))
        if named is None:
            return None
        epsilon = tried(lambda: self._epsilon(named))
        prompts = tried(lambda: self._prompts(named))
        chosen = tried(lambda: selector(fields, self.adapters, Selector()))
        if chosen is None:
            return None
        tried(lambda: fits(fields, chosen, named))
        side = tried(self._side)
        other = tried(lambda: other_side(fields, side, self.adapters, chosen, named) if side else None)
        if relation is None or side is None or value is None:
            return None
        tried(lambda: self._refuse_side(relation, side, chosen))
        tried(lambda: self._value_fits(value, relation, chosen))
        if len(fields.faults) > before or None in (self.id, statement, cited, tolerance, unpublished, prompts):
            return None
        return Claim(
            self.id or "", statement or "", cited or Citation(), named, chosen, relation, value, tolerance or 0.0,
            other, side, prompts or "", own_k or 10, epsilon or EPSILON, bool(unpublished), contradicts or (),
            doubts or (), limits or (),
        )  # fmt: skip

    def _cited(self) -> Citation:
        fields = self.fields
        source = fields.text("source", "")
        if source and source not in self.sources:
            return Citation(fields.choice("source", tuple(self.sources) or ("none, for the set has no sources",)))
        return Citation(
            self.sources.get(source, ""), fields.text("section", ""), fields.whole("page", 0, 1),
            fields.text("location", ""),
        )  # fmt: skip

    def _tolerance(self, relation: str | None) -> float:
        if "tolerance" not in self.fields:
            if relation == "about":
                self.fields.refuse("tolerance", "is missing: about needs to know how near")
            return 0.0
        tolerance = self.fields.number("tolerance", self.fields.raw("tolerance"))
        if tolerance < 0:
            self.fields.refuse("tolerance", "must not be negative")
        return tolerance

    def _prompts(self, named: tuple[str, ...]) -> str:
        """What the base ran over, where the numbers depend on it."""
        probes = {DEFINED[metric].probe for metric in named}
        if not probes & _PROMPTED and "prompts" in self.fields:
            self.fields.refuse("prompts", f"{named[0]} is measured on none: leave it out")
        return self.fields.text("prompts", None if probes & _PROMPTED else "")

    def _epsilon(self, named: tuple[str, ...]) -> float:
        if "epsilon" not in self.fields:
            return EPSILON
        if any(DEFINED[metric].probe != "intruders" for metric in named):
            self.fields.refuse("epsilon", f"{named[0]} has none: it is of intruder dimensions")
        epsilon = self.fields.number("epsilon", self.fields.raw("epsilon"))
        if not 0 < epsilon <= 1:
            self.fields.refuse("epsilon", f"must be above 0 and at most 1, not {epsilon:g}")
        return epsilon

    def _side(self) -> Side:
        """The field of the second selector."""
        given: list[Side] = [side for side in _SIDES if side in self.fields]
        if len(given) > 1:
            self.fields.refuse(given[1], f"stands beside {given[0]}: a claim has one second selector")
        return given[0] if given else ""

    def _refuse_side(self, relation: str, side: Side, chosen: Selector) -> None:
        if (relation == "less than") != (side == "than"):
            self.fields.refuse("than", "goes with the relation less than, and that with it")
        if chosen.statistic.endswith("correlation") != (side == "with"):
            self.fields.refuse("with", "goes with the statistic correlation, and that with it")

    def _value_fits(self, value: tuple[float, ...], relation: str, chosen: Selector) -> None:
        """As many published numbers as the relation compares."""
        given = len(value)
        if relation == "between" and (given != 2 or value[0] > value[1]):
            self.fields.refuse("value", "must be [low, high] for between")
        if relation in {"about", "at least", "at most"}:
            whole = chosen.layers is None and chosen.modules is None and not chosen.filtered
            several = chosen.statistic == "each" and whole
            count = len(chosen.pairs or chosen.adapters or (1,)) * len(chosen.alphas or chosen.k or (1,))
            if given != 1 and not (several and given == count):
                one = f"must be one number, or one for each of {count}" if several else "must be one"
                self.fields.refuse("value", one)
