"""Claims at their limits: each relation on its threshold, gaps, names, what limits all verdicts."""

# ruff: noqa: E501 - a case a line

from dataclasses import replace

import numpy as np
import pytest

from inspector.claims.needs import names, runs, sides, top_ks
from inspector.claims.selection import missing_places
from inspector.claims.subjects import Where
from inspector.claims.verdicts import cautions, elsewhere, evaluate
from inspector.claims.words import listed, number, published
from inspector.study.module_id import ModuleId
from inspector.study.study import ProbeInfo
from tests.claims.studies import Numbers, check, claim, claims

AB, BOTH = "pairs: [[a, b]]", "pairs: [[a, b], [a, c]]"


def halves():
    """Numbers that floats hold exactly."""
    return Numbers().put("cosine", 0.5, "a", "b").put("cosine", 0.25, "a", "c").put("cosine", -0.5, "b", "c")


@pytest.mark.parametrize(
    ("fields", "holds"),
    [
        (f"{AB}; relation: about; value: 0.75; tolerance: 0.25", True),
        (f"{AB}; relation: about; value: 0.25; tolerance: 0.25", True),
        (f"{AB}; relation: about; value: 0.75; tolerance: 0.2499", False),
        (f"{AB}; relation: about; value: 0.5; tolerance: 0", True),
        (f"{AB}; relation: at least; value: 0.5", True),
        (f"{AB}; relation: at least; value: 0.75; tolerance: 0.25", True),
        (f"{AB}; relation: at least; value: 0.7501; tolerance: 0.25", False),
        (f"{AB}; relation: at most; value: 0.5", True),
        (f"{AB}; relation: at most; value: 0.25; tolerance: 0.25", True),
        (f"{AB}; relation: at most; value: 0.2499; tolerance: 0.25", False),
        (f"{AB}; relation: between; value: [0.5, 0.75]", True),
        (f"{AB}; relation: between; value: [0.25, 0.5]", True),
        (f"{AB}; relation: between; value: [0.5, 0.5]", True),
        (f"{AB}; relation: between; value: [0.75, 1]; tolerance: 0.25", True),
        (f"{AB}; relation: between; value: [0, 0.25]; tolerance: 0.25", True),
        (f"{AB}; relation: between; value: [0.5001, 1]", False),
        (f"{AB}; relation: between; value: [0, 0.4999]", False),
        (f"{AB}; relation: less than; than: {{{AB}}}", False),
        (f"{BOTH}; relation: less than; than: {{{AB}}}", False),
        (f"pairs: [[b, c]]; relation: less than; than: {{{BOTH}}}", True),
        (f"{AB}; relation: less than; than: {{pairs: [[a, c]]}}; tolerance: 0.25", False),
        ("pairs: [[b, c], [a, c], [a, b]]; relation: increasing", True),
        ("pairs: [[a, b], [a, b]]; relation: increasing", False),
        ("pairs: [[a, b], [a, b]]; relation: decreasing", False),
        (f"{BOTH}; relation: increasing; tolerance: 0.25", False),
        (f"{BOTH}; relation: increasing; tolerance: 0.26", True),
        (f"{BOTH}; relation: about; value: [0.5, 0.25]; tolerance: 0", True),
        (f"{BOTH}; relation: at least; value: [0.5, 0.26]", False),
        (f"{BOTH}; over: {{{AB}}}; relation: about; value: 1; tolerance: 0.5", True),
        (f"{BOTH}; over: {{{BOTH}}}; relation: about; value: 1; tolerance: 0", True),
    ],
)
def test_relations_on_their_thresholds(tmp_path, fields, holds):
    assert check(tmp_path, halves().study(), f"metric: cosine; {fields}").verdict == (
        "holds" if holds else "does not hold"
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (f"{AB}; relation: increasing", "one number has no order"),
        (f"{BOTH}; over: {{pairs: [[a, b], [a, c], [b, c]]}}; relation: at least; value: 0", "2 numbers cannot be divided by 3"),
        ("pairs: [[lost, a]]; relation: at least; value: 0", "lost: not published, the set names no source"),
    ],
)  # fmt: skip
def test_what_has_no_answer(tmp_path, fields, reason):
    outcome = check(tmp_path, halves().study(), f"metric: cosine; {fields}")
    assert (outcome.verdict, outcome.reason) == ("cannot be measured here", reason)


def test_gaps_are_counted_and_named(tmp_path):
    numbers = halves().put("cosine", [0.1, np.nan, np.nan, 0.4], "a", "b", scope="layer")
    numbers.put("cosine", 0.3, "a", "c", scope="layer").put("norm", 1, "a").put("norm", np.nan, "b").put(
        "norm", np.nan, "c"
    )
    end = "relation: at least; value: -9"
    for fields, reason in (
        (f"metric: cosine; {AB}; layers: all", "cosine of a ↔ b is n/a at 2 of 4 places"),
        (f"metric: cosine; {BOTH}; layers: all", "cosine of a ↔ b is n/a at 2 of 8 places"),
        (f"metric: cosine; {AB}; layers: [1, 2]", "cosine of a ↔ b is n/a"),
        ("metric: norm; adapters: [a, b, c]", "norm of b, c is n/a at 2 of 3 places"),
        ("metric: norm; adapters: [c]", "norm of c is n/a"),
    ):
        assert check(tmp_path, numbers.study(), f"{fields}; {end}").reason == reason
    probed = Numbers(prompts="x").put("lens_depth", 1, "a").study()
    fields = "metric: lens_depth; prompts: x; adapters: [a, b, c]"
    assert check(tmp_path, probed, f"{fields}; {end}").reason == "b, c were not measured"
    alone = Numbers(prompts="x").put("lmc_loss_base", np.nan).study()
    assert check(tmp_path, alone, f"metric: lmc_loss_base; prompts: x; {end}").reason == "lmc_loss_base is n/a"
    open_ = Numbers(names=("a",)).put("norm", 1, "a").study()
    assert check(tmp_path, open_, f"metric: norm; adapters: [a, b, c]; {end}").reason == "b, c are not open"


def test_k_beyond_what_there_is(tmp_path):
    """Of the adapters a number is of the smallest rank counts, however the others are."""
    study = Numbers(k=4).put("principal_angle", [1, 2, np.nan, np.nan], "a", "b").study()
    ranks = {"a": (8, 2), "b": (16,), "c": (1,)}
    study = replace(study, adapters=tuple(replace(info, ranks=ranks[info.name]) for info in study.adapters))
    head = f"metric: principal_angle; top_k: 4; {AB}; relation: at least; value: 0"
    assert check(tmp_path, study, f"{head}; k: [1, 2]").measured[0].values == (1, 2)
    assert check(tmp_path, study, f"{head}; k: [1, 3, 4]").reason == "rank 2 allows 2 angles, 4 are asked"
    assert check(tmp_path, study, f"{head}; k: 5").reason == "rank 2 allows 2 angles, 5 are asked"
    full = Numbers(k=4).put("principal_angle", [1, 2, 3, 4], "a", "b").study()
    assert check(tmp_path, full, f"{head}; k: [4, 5]").reason == "this study has 4 angles, 5 are asked"
    just = replace(full, adapters=tuple(replace(info, ranks=(4,)) for info in full.adapters))
    assert check(tmp_path, just, f"{head}; k: 5").reason == "rank 4 allows 4 angles, 5 are asked"
    for gaps in (study, just, full):  # what is n/a for another reason, at the largest k there may be
        k = 1 if gaps is study else 4
        asked = f"{head.replace('[a, b]', '[a, c]')}; k: {k}"
        assert check(tmp_path, gaps, asked).reason == "principal_angle of a ↔ c is n/a"


def test_layers_that_have_gaps_and_modules_without_one(tmp_path):
    numbers = (
        Numbers(layers=4)
        .put("norm", [1, 2, 3, 4], "a", scope="layer")
        .put("norm", np.arange(1, 9), "a", scope="module")
    )
    study = numbers.study()
    modules = tuple(ModuleId({0: 0, 1: 2, 2: 3, 3: 7}[m.layer], m.path) for m in study.modules)
    study = replace(study, modules=modules)
    end = "relation: at least; value: 0"
    for layers, values in (("2", (2,)), ("[2, 7]", (2, 3, 4)), ("[-2, -1]", (3, 4)), ("-4", (1,)), ("[0, 1]", (1,))):
        found = check(tmp_path, study, f"metric: norm; adapters: [a]; layers: {layers}; {end}")
        assert found.measured[0].values == values
    for layers, reason in (
        ("8", "there is no layer 8, there are 0, 2-3, 7"),
        ("1", "there is none of 1 to 1, there are 0, 2-3, 7"),
        ("-5", "there is no layer -5, there are 0, 2-3, 7"),
    ):
        assert check(tmp_path, study, f"metric: norm; adapters: [a]; layers: {layers}; {end}").reason == reason
    later = replace(study, modules=tuple(ModuleId(m.layer + 3, m.path) for m in study.modules))
    for layers, values in (("3", (1,)), ("-4", (1,)), ("[0, 5]", (1, 2)), ("[0, -2]", (1, 2, 3))):
        found = check(tmp_path, later, f"metric: norm; adapters: [a]; layers: {layers}; {end}")
        assert found.measured[0].values == values
    found = check(tmp_path, later, f"metric: norm; adapters: [a]; layers: 0; {end}")
    assert found.reason == "there is none of 0 to 0, there are 3, 5-6, 10"
    least = check(tmp_path, study, f"metric: norm; adapters: [a]; layers: [2, 7]; statistic: argmax layer; {end}")
    assert least.measured[0].values == (7,)
    bare = replace(study, modules=tuple(ModuleId(None, f"head{n}") for n in range(8)))
    (asked,) = claims(tmp_path, claim(f"metric: norm; adapters: [a]; layers: 0; {end}")).claims
    assert missing_places(bare, asked.selector) == "layers: the adapters have none"
    assert missing_places(study, asked.selector) == ""
    assert check(tmp_path, bare, f"metric: norm; adapters: [a]; modules: head2; {end}").measured[0].values == (3,)
    reason = check(tmp_path, bare, f"metric: norm; adapters: [a]; modules: tail; {end}").reason
    assert reason.startswith("there is no module tail, there are head0, ")
    none = Numbers(layers=0).put("norm", 1, "a", scope="module").study()
    reason = check(tmp_path, none, f"metric: norm; adapters: [a]; modules: all; {end}").reason
    assert reason == "the adapters have none"
    for runs_, shown in ((8, "0, 2, 4, 6, 8, 10, 12, 14"), (9, "0, 2, 4, 6, 8, 10, 12, 14, … (9 in all)")):
        apart = Numbers(layers=runs_).put("norm", 1, "a", scope="layer").study()
        apart = replace(apart, modules=tuple(ModuleId(2 * m.layer, m.path) for m in apart.modules))
        reason = check(tmp_path, apart, f"metric: norm; adapters: [a]; layers: 99; {end}").reason
        assert reason == f"there is no layer 99, there are {shown}"


def test_names_of_a_study_before_the_ends_of_sources(tmp_path):
    found = claims(tmp_path, claim(f"metric: cosine; {AB}; relation: at least; value: 0"))
    where = Where.of(Numbers(names=("one", "ref.b", "x", "c")).study(), found.aliases())
    assert dict(where.at) == {"a": 0, "b": 1, "c": 3}
    assert where.missing(("a", "c", "lost")) == ["lost"]
    ends = {"one": "a", "two": "b", "three": "c"}
    assert found.aliases() == {n: n for n in found.adapters} | {f"ref.{n}": n for n in found.adapters} | ends
    assert found.sources() == ["a=org/repo:adapters/one", "b=org/repo:adapters/two", "c=org/repo:adapters/three"]
    assert found.sources(("b", "lost")) == ["b=org/repo:adapters/two"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.1, 2, 3, 4, 5), "0.1, 2, 3, 4, 5"),
        ((5, 0.1, 2, 3, 4, 6), "6 numbers, 0.1 … 6"),
        ((999999,), "999999"),
        ((1000000,), "1e+06"),
        ((-2000000,), "-2e+06"),
        ((-2, 0.12345, 1234.5), "-2, 0.123, 1.23e+03"),
    ],
)
def test_numbers_in_words(values, words):
    assert listed(values) == words
    assert listed(values[:1]) == number(values[0])


def test_published_tolerances_in_words(tmp_path):
    for fields, words in (
        ("about; value: [0.5, 1]; tolerance: 0.1", "≈ 0.5, 1 ± 0.1"), ("at most; value: 2", "≤ 2"),
        ("between; value: [1, 2]; tolerance: 0.5", "1 – 2 ± 0.5"), ("increasing; tolerance: 0.1", "increasing ± 0.1"),
    ):  # fmt: skip
        (one,) = claims(tmp_path, claim(f"metric: cosine; {BOTH}; relation: {fields}")).claims
        assert published(one) == words


def test_what_limits_all_verdicts(tmp_path):
    """Prompts of probes that a claim reads; answers are counted by themselves."""
    text = "pairs: [[a, b]]; relation: at least; value: 0; prompts: x"
    found = claims(
        tmp_path,
        claim(f"metric: barrier_mean; {text}", "path")
        + claim("metric: accuracy; adapters: [a]; relation: at least; value: 0; prompts: x", "answers"),
    )

    def ran(**examples):
        return replace(
            Numbers().study(), probes=tuple(ProbeInfo(probe, "", examples=n) for probe, n in examples.items())
        )

    for probes, words in (
        ({"lmc": 19}, "lmc on 19 prompts"),
        ({"lmc": 20}, ""),
        ({"lmc": 0}, ""),
        ({"cka": 5}, ""),
        ({"accuracy": 5}, ""),
    ):
        said = cautions(found, [ran(**probes)])
        assert said == (f"{words}: fewer than 20 scatter more than adapters differ." if words else "")
    based = replace(found, base="org/large")
    assert (
        cautions(based, [Numbers(names=("a", "c", "x")).study()])
        == "a: not trained on org/large, which the claims are about."
    )
    assert cautions(based, [Numbers().study(base="org/large"), Numbers().study(base="")]) == ""
    assert elsewhere(based, [Numbers(names=("c", "x")).study()]) == "", "no claim is about c"
    both = claims(tmp_path, claim(f"metric: barrier_mean; {text}", "path") + claim(
        "metric: accuracy; adapters: [a, c]; relation: at least; value: 0; prompts: x", "answers"
    ))  # fmt: skip
    assert elsewhere(replace(both, base="org/large"), [Numbers().study()]).startswith("a, b, c: not trained on")
    assert cautions(found, [Numbers().study()]) == ""


def test_the_study_that_says_most_counts(tmp_path):
    """Of the reasons of several studies that of the one that is near; with none the first."""
    found = claims(tmp_path, claim("metric: lens_depth; adapters: [a]; prompts: x; relation: at least; value: 2"))
    other, bare = Numbers(prompts="y").put("lens_depth", 3, "a").study(), Numbers().study()
    good = Numbers(prompts="x").put("lens_depth", 3, "a").study()
    reason = "needs lens on x, this study has it on y: add --base"
    assert [evaluate(found, some)[0].reason for some in ([other, bare], [bare, other])] == [reason] * 2
    assert [evaluate(found, some)[0].verdict for some in ([bare, good], [good, other])] == ["holds"] * 2


def test_what_claims_need(tmp_path):
    """Of claims without subspaces 10 directions; of those with, the size that most ask for comes first."""
    end = "relation: at least; value: 0"
    plain_ = claims(tmp_path, claim(f"metric: cosine; pairs: [[c, a]]; {end}"))
    assert (top_ks(plain_), names(plain_), sides(plain_), runs(plain_, "abc")) == (
        {10: ("a", "c")},
        ("a", "c"),
        ("left",),
        [],
    )
    sized = claims(
        tmp_path,
        claim(f"metric: subspace_overlap; {AB}; top_k: 3; {end}", "one") + claim(f"metric: principal_angle_right; k: 1; pairs: [[c, b]]; top_k: 3; {end}", "two")
        + claim(f"metric: principal_angle; k: 1; pairs: [[b, c]]; top_k: 8; {end}", "three"),
    )  # fmt: skip
    assert top_ks(sized) == {3: ("a", "b", "c"), 8: ("b", "c")}
    assert sides(sized) == ("left", "right")
    probed = claims(
        tmp_path,
        claim(f"metric: barrier_mean_rollouts; pairs: [[c, a]]; prompts: x; {end}", "rollouts")
        + claim(f"metric: barrier_mean; {AB}; over: {{pairs: [[c, b]]}}; prompts: x; {end}", "boxed")
        + claim(f"metric: intruder_dimensions; adapters: [b]; {end}", "weights")
        + claim(f"metric: cka; pairs: [[c, b]]; prompts: x; {end}", "states")
        + claim(f"metric: lens_depth; adapters: [b]; prompts: x; {end}", "depth"),
    )  # fmt: skip
    said = [(r.prompts, r.probes, r.names, r.pairs, r.alphas, r.loss) for r in runs(probed, ("c", "b", "a"))]
    assert said == [
        ("x", ("lmc",), ("c", "a"), (("a", "c"),), (), "rollouts"),
        ("x", ("lmc",), ("c", "b", "a"), (("a", "b"), ("b", "c")), (), "boxed"),
        ("", ("intruders",), ("b",), (), (), "boxed"),
        ("x", ("cka", "lens"), ("c", "b"), (), (), "boxed"),
    ]
    assert [run.prompts for run in runs(probed, ("b",))] == ["", "x"]
    paths = claims(
        tmp_path,
        claim(f"metric: lmc_loss; {AB}; alphas: [1, 0.5]; prompts: x; {end}", "one")
        + claim(f"metric: lmc_loss; {AB}; alphas: [0, 0.25, 0.5]; prompts: x; {end}", "two"),
    )
    assert [run.alphas for run in runs(paths, "ab")] == [(0, 0.25, 0.5, 1)]
