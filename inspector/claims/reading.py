"""From a YAML file to a set of claims; every fault is said with file, claim, field."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from inspector.claims.fields import Fields, hint
from inspector.claims.model import RELATIONS, STATISTICS, Claim, ClaimSet, Selector
from inspector.common.errors import InspectorError
from inspector.common.special_files import refuse_special
from inspector.common.text import plain
from inspector.study.metrics import DEFINITIONS

_SET = ("title", "address", "base", "adapters", "claims", "top_k", "reference")
_SELECTOR = ("adapters", "pairs", "layers", "modules", "k", "alphas", "statistic")
_CLAIM = (
    "id", "statement", "location", "metric", *_SELECTOR, "relation", "value", "tolerance", "than", "over", "prompts",
    "top_k", "disagreements",
)  # fmt: skip
_LARGEST = 1_000_000
_PROMPTED = {"lmc", "lmc_rollouts", "cka", "lens", "accuracy"}
"""Probes whose numbers depend on what they ran over."""


def read(path: Path) -> ClaimSet:
    """The claims in a file. Sources that start with `.` are taken from the file's folder.

    Raises InspectorError naming the file, the claim and the field.
    """
    name = plain(path.name)
    fields = Fields(_loaded(path), name, _SET)
    adapters = _adapters(fields, path.parent)
    found = fields.items("claims")
    if not found:
        fields.refuse("claims", "is missing")
    top_k = fields.whole("top_k", 10, 1)
    claims = [_claim(entry, f"{name}: claim {n}", adapters, top_k) for n, entry in enumerate(found, 1)]
    ids = [claim.id for claim in claims]
    for claim_id in ids:
        if ids.count(claim_id) > 1:
            fields.refuse("claims", f"two claims have the id {claim_id!r}")
    return ClaimSet(
        fields.text("title"),
        fields.text("address", path.stem),
        fields.text("base", ""),
        adapters,
        tuple(claims),
        _known(fields, "reference", fields.words("reference"), adapters),
    )


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML without objects, where a key given twice is a fault and not the last one's win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for where, _ in node.value:
            key = self.construct_object(where, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{plain(key)!r} twice", where.start_mark)
            seen.add(key if isinstance(key, Hashable) else None)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return found


def _loaded(path: Path) -> Any:
    """What the YAML says."""
    refuse_special(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise InspectorError(f"{path} has more than {_LARGEST / 1e6:.0f} MB: no set of claims is that long.")
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise InspectorError(f"Cannot read {plain(path)}: {error.strerror or error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise InspectorError(f"{plain(path)}{line}: {plain(getattr(error, 'problem', error))}.") from error
    except (ValueError, RecursionError, TypeError) as error:
        raise InspectorError(f"{plain(path)} is not YAML: {plain(error)}.") from error


def _adapters(fields: Fields, folder: Path) -> dict[str, str]:
    """Name -> source."""
    found = fields.raw("adapters")
    if not isinstance(found, dict) or not found:
        fields.refuse("adapters", "must map names to sources, such as `sft: org/repo:adapters/sft`")
    adapters = {}
    for name, source in found.items():
        shown = fields.word("adapters", name)
        if shown != name or len(name) > 80 or {"=", "/"} & set(name):
            fields.refuse("adapters", f"{plain(name, 60)!r} is not a name: printable, without = and /")
        text = "" if source is None else fields.word(f"adapters, {name}", source)
        adapters[name] = str((folder / text).resolve()) if text.startswith(".") else text
    return adapters


def _claim(entry: Any, where: str, adapters: dict[str, str], top_k: int) -> Claim:
    fields = Fields(entry, where, _CLAIM)
    claim_id = fields.text("id")
    fields.where = f"{where.rpartition(' ')[0]} {plain(claim_id, 60)}"
    metrics = _metrics(fields)
    selector = _selector(fields, adapters, Selector())
    _fits(fields, selector, metrics)
    relation = fields.choice("relation", RELATIONS)
    other, ratio = _other(fields, adapters, selector, metrics)
    if (relation == "less than") != (other is not None and not ratio):
        fields.refuse("than", "goes with the relation less than, and that with it")
    claim = Claim(
        claim_id, fields.text("statement"), fields.text("location", ""), metrics, selector, relation,
        fields.numbers("value"), _tolerance(fields, relation), other, ratio, _prompts(fields, metrics),
        fields.whole("top_k", top_k, 1), fields.words("disagreements"),
    )  # fmt: skip
    _value_fits(fields, claim)
    return claim


def _metrics(fields: Fields) -> tuple[str, ...]:
    """The definitions; all of adapters, or all of pairs."""
    metrics = fields.words("metric")
    if not metrics:
        fields.refuse("metric", "is missing")
    for metric in metrics:
        if metric not in DEFINITIONS:
            fields.refuse("metric", f"no metric {plain(metric, 60)!r}.{hint(metric, DEFINITIONS)}")
    if len({(_of(metric), DEFINITIONS[metric].index) for metric in metrics}) > 1:
        fields.refuse("metric", f"{' and '.join(metrics)} are not numbers of the same things")
    return metrics


def _of(metric: str) -> str:
    """What a metric's numbers are of: adapters, pairs, or none."""
    return {"adapter": "adapters", "none": "none"}.get(DEFINITIONS[metric].subject, "pairs")


def _selector(fields: Fields, adapters: dict[str, str], default: Selector) -> Selector:
    """The selector among a claim's fields; what is not said is `default`'s."""
    subjects = "adapters" in fields or "pairs" in fields
    return Selector(
        _known(fields, "adapters", fields.words("adapters"), adapters) if subjects else default.adapters,
        _pairs(fields, adapters) if subjects else default.pairs,
        _layers(fields) if "layers" in fields else default.layers,
        _modules(fields) if "modules" in fields else default.modules,
        fields.wholes("k", 1) or default.k,
        fields.numbers("alphas") or default.alphas,
        fields.choice("statistic", STATISTICS, default.statistic),
    )


def _known(fields: Fields, field: str, names: tuple[str, ...], adapters: dict[str, str]) -> tuple[str, ...]:
    for name in names:
        if name not in adapters:
            fields.refuse(field, f"no adapter {plain(name, 60)!r} is among the set's.{hint(name, adapters)}")
    return names


def _pairs(fields: Fields, adapters: dict[str, str]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for found in fields.items("pairs"):
        if not isinstance(found, list) or len(found) != 2:
            fields.refuse("pairs", "must be a list of pairs, such as [[sft, rft], [sft, dpo]]")
        a, b = _known(fields, "pairs", tuple(fields.word("pairs", name) for name in found), adapters)
        if a == b:
            fields.refuse("pairs", f"{a} stands beside itself")
        pairs.append((a, b))
    return tuple(pairs)


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


def _fits(fields: Fields, selector: Selector, metrics: tuple[str, ...]) -> None:
    """Whether the selector says what these metrics need, and nothing else."""
    subject, index = _of(metrics[0]), DEFINITIONS[metrics[0]].index
    given = "pairs" if selector.pairs else "adapters" if selector.adapters else "none"
    if given != subject or (selector.pairs and selector.adapters):
        what = {"none": "of no adapter: leave out adapters and pairs"}.get(subject, f"of {subject}: name them")
        fields.refuse("adapters" if subject == "none" else subject, f"{metrics[0]} is a number {what} (and only them)")
    for name, wanted in (("k", index == "k"), ("alphas", index == "alpha")):
        if bool(getattr(selector, name)) != wanted:
            complaint = f"says which numbers of {metrics[0]}: add it" if wanted else f"{metrics[0]} has no such index"
            fields.refuse(name, complaint)
    if selector.statistic.startswith("arg") and (selector.layers is None or selector.modules is not None):
        fields.refuse("statistic", f"{selector.statistic} is asked over layers: say which")


def _other(
    fields: Fields, adapters: dict[str, str], selector: Selector, metrics: tuple[str, ...]
) -> tuple[Selector | None, bool]:
    """The other side: of `less than`, or what is divided by (then True)."""
    if "than" in fields and "over" in fields:
        fields.refuse("over", "stands beside than: a ratio is compared with a value")
    for name in ("than", "over"):
        if name in fields:
            inner = Fields(fields.raw(name), f"{fields.where}, {name}", _SELECTOR)
            other = _selector(inner, adapters, selector)
            _fits(inner, other, metrics)
            return other, name == "over"
    return None, False


def _tolerance(fields: Fields, relation: str) -> float:
    if "tolerance" not in fields:
        if relation == "about":
            fields.refuse("tolerance", "is missing: about needs to know how near")
        return 0.0
    tolerance = fields.number("tolerance", fields.raw("tolerance"))
    if tolerance < 0:
        fields.refuse("tolerance", "must not be negative")
    return tolerance


def _prompts(fields: Fields, metrics: tuple[str, ...]) -> str:
    """What the base ran over, where the numbers depend on it."""
    probes = {DEFINITIONS[metric].probe for metric in metrics}
    if not probes & _PROMPTED and "prompts" in fields:
        fields.refuse("prompts", f"{metrics[0]} is measured on none: leave it out")
    return fields.text("prompts", None if probes & _PROMPTED else "")


def _value_fits(fields: Fields, claim: Claim) -> None:
    """As many published numbers as the relation compares."""
    given, relation = len(claim.value), claim.relation
    if relation == "between" and (given != 2 or claim.value[0] > claim.value[1]):
        fields.refuse("value", "must be [low, high] for between")
    if relation in {"about", "at least", "at most"}:
        whole = claim.selector.layers is None and claim.selector.modules is None
        several = claim.selector.statistic == "each" and whole
        chosen = claim.selector
        count = len(chosen.pairs or chosen.adapters or (1,)) * len(chosen.alphas or chosen.k or (1,))
        if given != 1 and not (several and given == count):
            fields.refuse("value", f"must be one number, or one for each of {count}" if several else "must be one")
