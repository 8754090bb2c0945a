"""Studies of numbers for the first page, and what it says of them."""

from dataclasses import replace
from itertools import combinations

from inspector.insights.overview import overview
from inspector.study.provenance import Origin
from inspector.study.study import ProbeInfo
from tests.insights.findings.published import study

PAIR = ("a", "b")


def made(names="ab", *, cosine=0.9, probes=(), pairs=None, **more):
    """All pairs with one cosine but for those given."""
    cosines = dict.fromkeys(combinations(names, 2), cosine) | {
        tuple(pair): value for pair, value in (pairs or {}).items()
    }
    found = study(tuple(names), cosine=cosines, **more)
    return replace(found, probes=tuple(ProbeInfo(probe, "b", examples=100) for probe in probes))


def said(found):
    return [sentence.text for sentence in overview(found).so_what]


def one_with(words, found):
    return next((sentence for sentence in overview(found).so_what if words in sentence.text), None)


def origins(*runs):
    return [Origin("sft", *run) for run in runs]
