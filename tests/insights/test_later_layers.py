"""Adapters whose first layer is not 0: sentences and numbers name layers as the modules do."""

import re
from dataclasses import replace

import pytest

from inspector.insights.nearest import answer, nearest
from inspector.study.module_id import ModuleId
from tests.insights.findings.published import study, takeaways_of, with_layers

AB = ("a", "b")


def later(found, by=10):
    return replace(found, modules=tuple(ModuleId(m.layer + by, m.path) for m in found.modules))


def shifted(text, by=10):
    """The sentence with its layers as far on: whole numbers after `layer`, `layers` and their `and`."""
    return re.sub(r"(?<=\blayer )\d+|(?<=\blayers )\d+|(?<=\d and )\d+(?!\.)", lambda n: str(int(n[0]) + by), text)


@pytest.mark.parametrize(
    ("cosine", "by_layer"),
    [
        (0.93, [0.95] * 4 + [0.8, 0.7]),
        (0.1, [0.1, 0.05, 0.45, 0.1, 0.0, 0.1]),
        (-0.1, [-0.1, -0.05, -0.5, -0.1, 0.0, -0.1]),
    ],
)
def test_findings_of_directions(cosine, by_layer):
    found = with_layers(study(AB, layers=6, cosine={AB: cosine}), "cosine", {AB: by_layer})
    here, there = (takeaways_of(one, "direction") for one in (found, later(found)))
    assert any("layer" in one.text for one in here)
    assert [one.text for one in there] == [shifted(one.text) for one in here]
    layers = [[n.layer for n in one.numbers] for one in here]
    assert [[n.layer for n in one.numbers] for one in there] == [
        [None if layer is None else layer + 10 for layer in of] for of in layers
    ]


def test_the_layers_in_which_published_adapters_are_nearest():
    pair = ("mine", "ref.sft")
    found = study(pair, layers=5, cosine={pair: 0.7}, u1={pair: 0.7}, norm=dict.fromkeys(pair, 1.0))
    found = later(with_layers(found, "cosine", {pair: [0.5, 0.9, 0.6, 0.8, 0.4]}))
    (one,) = nearest(found, "mine")
    assert one.layers == ((11, 0.9), (13, 0.8), (12, 0.6))
    assert "most alike in layers 11, 12 and 13" in answer(found, "mine")
