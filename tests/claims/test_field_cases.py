"""Every fault of a field in a set of claims, on its limits, and how foreign text is quoted."""
# ruff: noqa: E501 - a case a line

import pytest

from inspector.claims.fields import Faults, Fields
from inspector.claims.reading import read
from inspector.common.errors import InspectorError
from tests.claims.studies import HEAD, claim, claims

AB, BOTH = "pairs: [[a, b]]", "pairs: [[a, b], [a, c]]"
GOOD = f"metric: cosine; {AB}; relation: about; value: 0.5; tolerance: 0.1"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (GOOD.replace("[[a, b]]", "[ab]"), "pairs: must be all, or a list of pairs"),
        ("metric: principal_angle; pairs: [[a, b]]; k: 0; relation: at least; value: 1", "k: must be a whole number from 1 on, not '0'"),
        (GOOD + f"; location: {10**50}", f"must be text, not the int {'1' + '0' * 38}…: put quotes around it"),
        (GOOD.replace(AB, BOTH).replace("0.5", "[1, 2]") + "; statistic: mean", "value: must be one."),
        (GOOD.replace(AB, BOTH).replace("0.5", "[1, 2]") + "; modules: all", "value: must be one."),
        (GOOD + "; top_k: 0", "top_k: must be a whole number from 1 on, not '0'"),
        (GOOD + "; top_k: 2.5", "top_k: must be a whole number from 1 on, not '2.5'"),
        (GOOD + "; top_k: true", "top_k: must be a whole number from 1 on, not 'True'"),
        (GOOD + "; top_k: 10001", "top_k: must be a whole number from 1 on, not '10001'"),
        (GOOD.replace("0.5", "true"), "value: must be a number, not 'True'"),
        (GOOD.replace("0.5", "[]"), "value: must hold something"),
        (GOOD + "; layers: true", "layers: must be all, one layer, or [first, last]"),
        (GOOD + "; layers: [0, 1.5]", "layers: must be all, one layer, or [first, last]"),
        (GOOD + "; location: 5", "location: must be text, not the int 5: put quotes around it"),
        (GOOD + "; location: yes", "location: must be text, not yes/no"),
        (GOOD + "; location: '  '", "location: must be text"),
        (GOOD.replace("about", "between").replace("0.5", "[0.6, 0.5]"), "value: must be [low, high] for between"),
        (GOOD + "; layers: all; statistic: argmin layer; modules: all", "argmin layer is asked over layers: say which"),
        (GOOD + "; layers: [0, 1]; value: [1, 2]", "twice"),
        (GOOD.replace("; value: 0.5", "; layers: [0, 1]; value: [0.5, 0.6]"), "value: must be one."),
        (GOOD.replace(AB, BOTH).replace("0.5", "[1, 2, 3]"), "value: must be one number, or one for each of 2"),
        (GOOD.replace("; value: 0.5", ""), "value: must be one number"),
        (GOOD + "; alphas: [0.5]", "alphas: cosine has no such index"),
        (f"metric: lmc_loss; {AB}; prompts: x; relation: at least; value: 0", "alphas: says which numbers of lmc_loss: add it"),
        (f"{GOOD}; over: {{pairs: [[a, c]]}}; than: {{pairs: [[a, c]]}}", "over: stands beside than"),
        (GOOD.replace("[[a, b]]", "[[a, b, c]]"), "pairs: must be all, or a list of pairs"),
        ("metric: u1_chance; adapters: [a]; relation: at least; value: 0", "adapters: u1_chance is a number of no adapter: leave out adapters and pairs"),
    ],
)  # fmt: skip
def test_faults_of_fields(tmp_path, fields, said):
    with pytest.raises(InspectorError) as error:
        claims(tmp_path, claim(fields))
    assert said in str(error.value)
    assert str(error.value).endswith((".", "?"))


def test_fields_at_their_limits(tmp_path):
    (one,) = claims(tmp_path, claim(GOOD.replace("0.5", "[0.5]") + "; top_k: 10000; layers: -1; location: a  b")).claims
    assert (one.top_k, one.selector.layers, one.cited.location, one.value) == (10_000, (-1, -1), "a b", (0.5,))
    (two,) = claims(
        tmp_path,
        claim(f"metric: principal_angle; {BOTH}; k: [1, 2]; relation: about; value: [1, 2, 3, 4]; tolerance: 0"),
    ).claims
    assert (two.value, two.tolerance, two.top_k) == ((1, 2, 3, 4), 0, 10)
    (three,) = claims(
        tmp_path,
        claim(GOOD + "; over: {pairs: [[b, c]]}"),
        HEAD.replace("address: toy", "address: toy\ntop_k: 4\nbase: org/b\nreference: [b, a]"),
    ).claims
    assert (three.top_k, three.side, three.other.pairs, three.names) == (4, "over", (("b", "c"),), ("a", "b", "c"))
    assert len(Fields({"x": "y" * 2500}, "here", ("x",), Faults()).text("x")) == 2000
    many = Fields({"k": [1] * 10_001, "most": [1] * 10_000}, "here", ("k", "most"), Faults())
    assert len(many.wholes("most", 1)) == 10_000
    with pytest.raises(InspectorError, match="here, k: holds more than 10000 entries"):
        many.items("k")
    with pytest.raises(InspectorError, match=r"here: must be fields \(x, y, z, …\), not nothing\."):
        Fields(None, "here", ("x", "y", "z", "v"), Faults())


@pytest.mark.parametrize(
    ("name", "fine"),
    [("n" * 80, True), ("n" * 81, False), ("a=b", False), ("' a'", False), ('"a\\tb"', False), ("é-1.5", True)],
)
def test_names_of_adapters(tmp_path, name, fine):
    head = f"title: x\nadapters: {{{name}: o/r, a: o/a, b: o/b}}\nclaims:\n"
    if fine:
        assert len(claims(tmp_path, claim(GOOD), head).adapters) == 3
    else:
        with pytest.raises(InspectorError, match="is not a name"):
            claims(tmp_path, claim(GOOD), head)


def test_a_set_that_is_too_large_or_not_there(tmp_path):
    (tmp_path / "toy.yaml").write_text("#" * (10**6 + 1))
    with pytest.raises(InspectorError, match=r"has more than 1 MB"):
        read(tmp_path / "toy.yaml")
    with pytest.raises(InspectorError, match=r"^Cannot read .*gone\.yaml: No such file or directory\.$"):
        read(tmp_path / "gone.yaml")


LONG = "x" * 300


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        (GOOD.replace("cosine", f'"{LONG}\\e"'), 60),
        (GOOD.replace("about", f'"{LONG}\\e"'), 60),
        (GOOD.replace("[a, b]", f'[a, "{LONG}\\e"]'), 60),
        (GOOD.replace("0.5", f'"{LONG}\\e"'), 60),
        (GOOD + f'; "{LONG}\\e": 1', 60),
        (GOOD + f'; top_k: "{LONG}\\e"', 60),
    ],
)
def test_foreign_text_is_cut_where_it_is_quoted(tmp_path, fields, limit):
    with pytest.raises(InspectorError) as error:
        claims(tmp_path, claim(fields))
    assert f"{'x' * (limit - 1)}…" in str(error.value)
    assert "x" * limit not in str(error.value)
    assert str(error.value).isprintable()


def test_long_names_of_claims_and_adapters_and_odd_ones_of_files(tmp_path):
    for text, head in (
        (claim(GOOD.replace("cosine", "none"), LONG), HEAD),
        (claim(GOOD), f"title: t\nadapters: {{{LONG}: o/r}}\nclaims:\n"),
    ):
        with pytest.raises(InspectorError) as error:
            claims(tmp_path, text, head)
        assert f"{'x' * 59}…" in str(error.value)
        assert "x" * 60 not in str(error.value)
    for text, said in (
        ("a: [", ", line 1: "),
        ("[" * 5000, " is not YAML: "),
        ("- 1\n", ": must be fields"),
        (None, "Cannot read "),
    ):
        file = tmp_path / "odd\x1bname.yaml"
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        with pytest.raises(InspectorError) as error:
            read(file)
        assert said in str(error.value)
        assert "oddname.yaml" in str(error.value)
        assert str(error.value).isprintable()
