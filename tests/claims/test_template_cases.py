"""What a first set of claims is made of: the numbers as measured, rounded to where they hold."""

from dataclasses import replace

import numpy as np
import pytest

from inspector.claims.reading import read
from inspector.claims.template import template
from inspector.claims.verdicts import evaluate
from inspector.study.module_id import ModuleId
from tests.claims.studies import Numbers


def first_set(tmp_path, numbers):
    """The claims of a first set by id, as (value, layers or adapters, tolerance); all hold."""
    study = numbers.study()
    (tmp_path / "made.yaml").write_text(template(study, tmp_path))
    found = read(tmp_path / "made.yaml")
    assert {outcome.verdict for outcome in evaluate(found, [study])} == {"holds"}
    return {one.id: one for one in found.claims}


def pair_of(cosine, angle, one, other, norms, **more):
    numbers = (
        Numbers(names=("a", "b"), k=2, **more)
        .put("cosine", cosine, "a", "b")
        .put("principal_angle", [angle, 80], "a", "b")
    )
    numbers.put("orthogonal_fraction_global", one, "a", "b").put("orthogonal_fraction_module", other, "a", "b")
    return numbers.put("norm", norms[0], "a").put("norm", norms[1], "b")


def test_a_first_set_claims_what_was_measured(tmp_path):
    numbers = pair_of(0.5049, 12.01, 0.861, 0.729, (0.0347, 0.5)).put("norm", [1, 2, 4, 3], "a", scope="layer")
    found = first_set(tmp_path, numbers)
    assert list(found) == [
        "moved",
        "where-farthest",
        "cosine",
        "orthogonal-part",
        "nearest-directions",
        "norm-ratio",
        "less-far",
    ]
    assert [one.value for one in found.values()] == [(0.034,), (1, 3), (0.5,), (0.72, 0.87), (13,), (14.4,), ()]
    assert (found["cosine"].tolerance, found["norm-ratio"].tolerance) == (0.01, 0.3)
    assert (found["norm-ratio"].selector.adapters, found["norm-ratio"].other.adapters) == (("b",), ("a",))
    assert (found["less-far"].selector.adapters, found["less-far"].other.adapters) == (("a",), ("b",))


@pytest.mark.parametrize(
    ("layers", "value"),
    [([4, 2, 1, 3], (0, 1)), ([1, 2, 3, 4], (2, 3)), ([1, 2, np.nan, 4], None), ([1], None), ([1, 2], (0, 1))],
)
def test_where_a_first_set_says_the_norm_is_largest(tmp_path, layers, value):
    numbers = Numbers(layers=len(layers)).put("norm", 3.0, "a").put("norm", layers, "a", scope="layer")
    found = first_set(tmp_path, numbers)
    assert (found["where-farthest"].value if "where-farthest" in found else None) == value


@pytest.mark.parametrize(("norms", "value"), [([4, 2, 1, 3], (4, 5)), ([1, 2, 4, 3], (5, 7)), ([1, 2, 3, 4], (6, 7))])
def test_the_first_layer_need_not_be_0(tmp_path, norms, value):
    study = Numbers(layers=4).put("norm", 3.0, "a").put("norm", norms, "a", scope="layer").study()
    study = replace(study, modules=tuple(ModuleId(m.layer + 4, m.path) for m in study.modules))
    (tmp_path / "made.yaml").write_text(template(study, tmp_path))
    found = {one.id: one.value for one in read(tmp_path / "made.yaml").claims}
    assert found["where-farthest"] == value


@pytest.mark.parametrize(("norm", "least"), [(123.4, 120), (99.9, 99), (1.0, 1.0), (0.0999, 0.099), (4567, 4500)])
def test_a_first_set_rounds_down(tmp_path, norm, least):
    assert first_set(tmp_path, Numbers(layers=1).put("norm", norm, "a"))["moved"].value == (least,)


@pytest.mark.parametrize(
    "metric", ["cosine", "orthogonal_fraction_global", "orthogonal_fraction_module", "principal_angle"]
)
def test_a_first_set_of_what_was_measured_in_part(tmp_path, metric):
    numbers = pair_of(0.5, 10, 0.5, 0.5, (1, 2), layers=1)
    del numbers.blocks[metric, "global"]
    assert list(first_set(tmp_path, numbers)) == ["moved"]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("org/repo", "org/repo"), ("{0}/sets/a", "./a"), ("{0}/a", "../a"), ("{0}", ".."), ("/usr", "/usr"),
        ("{0}/gone", "{0}/gone"),
    ],
)  # fmt: skip
def test_where_a_first_set_finds_its_adapters(tmp_path, source, shown):
    """By a path from the file if they are near it, from the root if not; what is not here as it was given."""
    for folder in (tmp_path / "sets" / "a", tmp_path / "a"):
        folder.mkdir(parents=True)
    study = Numbers(names=("a",), layers=1).put("norm", 1, "a").study()
    study = replace(study, adapters=(replace(study.adapters[0], source=source.format(tmp_path)),))
    assert f"  a: {shown.format(tmp_path)}" in template(study, tmp_path / "sets")


def test_a_first_set_of_equal_norms_has_no_ratio(tmp_path):
    assert list(first_set(tmp_path, pair_of(0.5, 10, 0.5, 0.5, (2, 2), layers=1))) == [
        "moved",
        "cosine",
        "orthogonal-part",
        "nearest-directions",
    ]


def test_a_first_set_is_of_what_moved_and_can_be_compared(tmp_path):
    """a did not move; b and c were not compared; names that a set cannot hold are made ones, each once."""
    names_ = ("a", "b/x", "b-x", "d=e" + "f" * 80)
    numbers = (
        Numbers(names=names_, layers=1, k=1)
        .put("norm", 0, "a")
        .put("norm", 1, "b/x")
        .put("norm", 2, "b-x")
        .put("norm", 3, names_[3])
    )
    for metric, value in (
        ("cosine", 0.25),
        ("orthogonal_fraction_global", 0.75),
        ("orthogonal_fraction_module", 0.5),
        ("principal_angle", 30),
    ):
        numbers.put(metric, value, "b-x", names_[3])
    text = template(numbers.study(), tmp_path)
    (tmp_path / "made.yaml").write_text(text)
    found = read(tmp_path / "made.yaml")
    assert list(found.adapters) == ["b-x", "b-x-3", "d-e" + "f" * 67]
    assert found.title == "What b-x and b-x-3 do"
    assert [one.selector.pairs for one in found.claims if one.id == "cosine"] == [(("b-x-3", "d-e" + "f" * 67),)]
    (tmp_path / "made.yaml").write_text(
        template(
            Numbers(names=("solo", "still"), layers=1)
            .put("norm", 1, "solo")
            .put("norm", 0, "still")
            .study(base="org/b"),
            tmp_path,
        )
    )
    assert (read(tmp_path / "made.yaml").title, read(tmp_path / "made.yaml").base) == ("What solo does", "org/b")


@pytest.mark.parametrize(
    "name",
    [
        "y", "yes", "n", "No", "TRUE", "false", "on", "OFF", "null", "~", "1e3", "12", "a: b", "a b", "-a", "a#b", "ü",
        "'", "a,b", "[a", "a.b-c@d", "x:y", "x:y:z", "@a", "*a",
    ],
)  # fmt: skip
def test_names_are_read_back_as_they_were(tmp_path, name):
    """What YAML takes for a truth, a number or a sign stands in quotes."""
    first_set(tmp_path, Numbers(names=(name,), layers=1).put("norm", 1, name))
    assert list(read(tmp_path / "made.yaml").adapters) == [name]


@pytest.mark.parametrize("name", ["y", "yes", "n", "No", "true", "False", "null", "on", "Off", "a b"])
def test_a_word_that_means_something_is_quoted(tmp_path, name):
    assert f'"{name}":' in template(Numbers(names=(name,), layers=1).put("norm", 1, name).study(), tmp_path)


def test_the_pair_of_a_first_set_is_the_first_that_was_compared(tmp_path):
    """The pair a, b has no angle, a, c has no cosine."""
    numbers = Numbers(names=("a", "b", "c"), layers=1, k=1)
    for n, name in enumerate("abc", 2):
        numbers.put("norm", n, name)
    for a, b, angle, cosine in (("a", "b", np.nan, 0.1), ("a", "c", 30, np.nan), ("b", "c", 40, 0.3)):
        numbers.put("cosine", cosine, a, b).put("principal_angle", angle, a, b)
        for metric in ("orthogonal_fraction_global", "orthogonal_fraction_module"):
            numbers.put(metric, 0.5, a, b).put(metric, 0.5, b, a)
    assert first_set(tmp_path, numbers)["cosine"].selector.pairs == (("b", "c"),)
    numbers.put("cosine", np.nan, "b", "c")
    assert list(first_set(tmp_path, numbers)) == ["moved"]
