"""What claims can say: statistics, second selectors, facts of runs, steps, settings. Numbers worked by hand."""

from dataclasses import replace

import pytest

from inspector.claims import needs
from inspector.claims.facts import alike
from inspector.claims.subjects import Where
from inspector.claims.verdicts import evaluate
from inspector.claims.words import contradictions, published, quantity
from inspector.common.errors import InspectorError
from inspector.study.provenance import Origin
from inspector.study.study import ProbeInfo
from tests.claims.studies import HEAD, Numbers, check, claim, claims

ALL = "pairs: all"
END = "relation: at least; value: -9"
FIVE = ("a", "b", "c", "d", "e")
RUNS = {
    "a": Origin("sft", 1e-4, 42, 42, steps=10, rows=100),
    "b": Origin("sft", 1e-4, 7, 7, steps=20, rows=200),
    "c": Origin("DPO", 1e-5, 42, 42, steps=30),
    "d": Origin("sft", 1e-3, 42, 42, steps=40, rows=400),
    "e": Origin(),
}
RUN_HEAD = "title: Toy\naddress: toy\nadapters: {a:, b:, c:, d:, e:}\nclaims:\n"


def runs(numbers):
    """A study whose adapters were made as RUNS tells, of ranks 4, 8, 16, 4-8 and 2."""
    study = numbers.study()
    ranks = {"a": (4,), "b": (8, 8), "c": (16,), "d": (4, 8), "e": (2,)}
    infos = tuple(replace(i, origin=RUNS[i.name], ranks=ranks[i.name], parameters=100) for i in study.adapters)
    return replace(study, adapters=infos)


def judged(tmp_path, study, fields, head=RUN_HEAD):
    return evaluate(claims(tmp_path, claim(fields), head), [study])[0]


def values(outcome):
    return outcome.measured[0].values


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        ("fraction; that: {at least: 0.3}", 0.5),
        ("fraction; that: {above: 0.3}", 0.25),
        ("count; that: {below: 0.3}", 2),
        ("count; that: {at most: 0.3}", 3),
        ("count; that: {between: [0.1, 0.2]}", 2),
        ("quantile; q: 0.25", 0.175),
        ("quantile; q: 1", 0.8),
        ("quantile; q: 0", 0.1),
    ],
)
def test_statistics_of_four_layers(tmp_path, statistic, value):
    """Of .1, .2, .3, .8: a lower quartile at .1 + ¾ of .1."""
    study = Numbers().put("cosine", [0.1, 0.8, 0.2, 0.3], "a", "b", scope="layer").study()
    fields = f"metric: cosine; pairs: [[a, b]]; layers: all; statistic: {statistic}; {END}"
    assert values(check(tmp_path, study, fields)) == pytest.approx((value,))


def test_correlation_over_adapters_and_over_layers(tmp_path):
    """x = 1, 2, 4 against y = 2, 1, 9: Pearson 12/√(14/3·38) = .9011…, Spearman of 1 2 3 against 2 1 3 is ½."""
    numbers = Numbers()
    for name, norm, rank in (("a", 1, 2), ("b", 2, 1), ("c", 4, 9)):
        numbers.put("norm", norm, name).put("stable_rank", rank, name)
    study = numbers.put("norm", [1, 2, 4, 4], "a", scope="layer").put("stable_rank", 1, "a", scope="layer").study()
    fields = "metric: norm; adapters: [a, b, c]; with: {metric: stable_rank}; statistic: "
    found = check(tmp_path, study, f"{fields}correlation; {END}")
    assert values(found) == pytest.approx((12 / (14 / 3 * 38) ** 0.5,))
    assert quantity(found.claim, "norm") == "correlation of norm and stable_rank"
    assert values(check(tmp_path, study, f"{fields}rank correlation; {END}")) == pytest.approx((0.5,))
    two = fields.replace("[a, b, c]", "[a, b]")
    assert (
        check(tmp_path, study, f"{two}correlation; {END}").reason
        == "a correlation needs at least 3 numbers, there are 2"
    )
    flat = fields.replace("[a, b, c]", "[a]; layers: all")
    reason = "numbers that are all the same have no correlation"
    assert check(tmp_path, study, f"{flat}correlation; {END}").reason == reason
    apart = fields.replace("metric: stable_rank", "metric: stable_rank, adapters: [a, b]")
    reason = "3 numbers cannot be correlated with 2"
    assert check(tmp_path, study, f"{apart}correlation; {END}").reason == reason


def test_ties_share_their_rank(tmp_path):
    """Ranks 1½ 1½ 3 against 1 2 3: ½·(1 + 1 + …) = 1.5/√(1.5·2) = √3/2."""
    numbers = Numbers()
    for name, norm, rank in (("a", 5, 1), ("b", 5, 2), ("c", 9, 40)):
        numbers.put("norm", norm, name).put("stable_rank", rank, name)
    fields = f"metric: norm; adapters: [a, b, c]; with: {{metric: stable_rank}}; statistic: rank correlation; {END}"
    assert values(check(tmp_path, numbers.study(), fields)) == pytest.approx((3**0.5 / 2,))


def test_a_difference_and_another_metric(tmp_path):
    numbers = Numbers(prompts="x")
    for name, share in (("a", 0.5), ("b", 0.625), ("c", 0.75)):
        numbers.put("accuracy", share, name).put("norm", 2 * share, name).put("stable_rank", 4, name)
    study = numbers.put("accuracy_base", 0.5).study()
    fields = f"metric: accuracy; prompts: x; adapters: [b, c]; {END}; "
    gain = check(tmp_path, study, f"{fields}minus: {{adapters: [a]}}")
    assert (values(gain), quantity(gain.claim, "accuracy")) == ((0.125, 0.25), "difference of accuracy")
    base = check(tmp_path, study, f"{fields}minus: {{metric: accuracy_base}}")
    assert values(base) == (0.125, 0.25)
    assert quantity(base.claim, "accuracy") == "difference of accuracy and accuracy_base"
    ratio = check(
        tmp_path, study, f"metric: [norm, stable_rank]; adapters: [b]; over: {{metric: [stable_rank, norm]}}; {END}"
    )
    assert [one.values[0] for one in ratio.measured] == [1.25 / 4, 4 / 1.25]
    below = "metric: accuracy; prompts: x; adapters: [a, b]; relation: less than; than: {metric: accuracy_base}"
    found = check(tmp_path, study, below).measured[0]
    assert (found.other, found.broken) == ((0.5,), (0, 1))


def test_other_prompts_come_from_another_run(tmp_path):
    easy = Numbers(prompts="sums").put("accuracy", 0.75, "a").study()
    hard = Numbers(prompts="aime26").put("accuracy", 0.25, "a").study()
    fields = f"metric: accuracy; prompts: sums; adapters: [a]; over: {{prompts: aime26}}; {END}"
    found = claims(tmp_path, claim(fields))
    assert evaluate(found, [hard, easy])[0].measured[0].values == (3,)
    reason = "needs accuracy on aime26, this study has it on sums: add --base"
    assert evaluate(found, [easy])[0].reason == reason
    assert [(run.prompts, run.names) for run in needs.runs(found, ["a"])] == [("sums", ("a",)), ("aime26", ("a",))]
    others = replace(hard, settings=replace(hard.settings, modules="common"))
    assert evaluate(found, [easy, others])[0].reason == reason


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("where: {method: sft}", (1, 2, 4)),
        ("where: {method: [sft, dpo], rank: [8, 16]}", (2, 3)),
        ("where: {rate: 1e-4}", (1, 2)),
        ("where: {seed: 42, steps: [30, 40]}", (3, 4)),
        ("where: {rows: [100, 400]}", (1, 4)),
        ("where: {parameters: 100, init_seed: 7}", (2,)),
    ],
)
def test_adapters_by_facts_of_their_runs(tmp_path, fields, found):
    """A fact that nothing tells, as all of e's and c's rows, meets no filter."""
    numbers = Numbers(FIVE)
    for at, name in enumerate(FIVE, 1):
        numbers.put("norm", at, name)
    outcome = judged(tmp_path, runs(numbers), f"metric: norm; adapters: all; {fields}; {END}")
    assert values(outcome) == found
    assert outcome.caution == ""


def test_pairs_that_agree_and_differ_in_facts(tmp_path):
    numbers = Numbers(FIVE)
    for i, a in enumerate(FIVE):
        for j, b in enumerate(FIVE[i + 1 :], i + 1):
            numbers.put("cosine", i + j / 10, a, b)
    study = runs(numbers)
    for fields, found in (
        ("same: [method, rate]; differ: seed", (0.1,)),
        ("same: method; differ: rate", (0.3, 1.3)),
        ("where: {method: sft}; same: seed", (0.3,)),
        ("differ: rank", (0.1, 0.2, 1.2, 0.4, 1.4, 2.4)),
    ):
        outcome = judged(tmp_path, study, f"metric: cosine; {ALL}; {fields}; {END}")
        assert sorted(values(outcome)) == sorted(found), fields
    none = judged(tmp_path, study, f"metric: cosine; {ALL}; same: method; differ: rows; where: {{rank: 3}}; {END}")
    assert none.reason == "no pair of open adapters is one of rank 3, same method, other rows"


def test_filters_take_those_that_are_open_and_say_of_how_many(tmp_path):
    study = runs(Numbers(("a", "c")).put("norm", 1, "a").put("norm", 3, "c"))
    fields = f"metric: norm; adapters: all; where: {{method: sft}}; {END}"
    outcome = judged(tmp_path, study, fields)
    assert values(outcome) == (1,)
    assert (outcome.caution, outcome.limited) == ("Of the adapters it may be about, 2 of 5 are open.", True)
    assert judged(tmp_path, study, f"metric: norm; adapters: all; {END}").reason.startswith("b, d, e: not published")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("SFT", "sft", True), ("sft", "dpo", False), (8.0, 8.0 * (1 + 9e-10), True), (8.0, 8.0 * (1 + 2e-9), False),
        (None, "sft", False), ("sft", None, False), (8.0, "8", False), ("8", 8.0, False), (None, 8.0, False),
        (8.0, None, False), (None, None, False),
    ],
)  # fmt: skip
def test_two_facts_are_alike_if_both_are_known(one, other, same):
    assert alike(one, other) is same


def test_facts_are_numbers_that_claims_compare(tmp_path):
    numbers = Numbers(FIVE)
    for norm, name in zip((2, 4, 1, 8, 3), FIVE, strict=True):
        numbers.put("norm", norm, name)
    study = runs(numbers)
    assert values(
        judged(tmp_path, study, f"metric: rate; adapters: [a]; over: {{adapters: [c]}}; {END}")
    ) == pytest.approx((10,))
    assert values(judged(tmp_path, study, f"metric: rank; adapters: [b, c]; {END}")) == (8, 16)
    corr = f"metric: norm; adapters: [a, b, d]; with: {{metric: rows}}; statistic: correlation; {END}"
    assert values(judged(tmp_path, study, corr)) == pytest.approx((1,))
    assert (
        judged(tmp_path, study, f"metric: rank; adapters: [a, d]; {END}").reason == "rank of d is n/a at 1 of 2 places"
    )
    assert (
        judged(tmp_path, study, f"metric: steps; adapters: [a]; layers: all; {END}").reason
        == "steps has no layer numbers"
    )


def test_checkpoints_by_their_step(tmp_path):
    """A step is a checkpoint's, or that of a run that ended there."""
    names = ("two/checkpoint-10", "two/checkpoint-20", "b", "a")
    study = (
        Numbers(names).put("norm", 1, names[0]).put("norm", 2, names[1]).put("norm", 4, "b").put("norm", 8, "a").study()
    )
    steps = (10, 20, 40, None)
    infos = tuple(replace(i, origin=Origin(step=at)) for i, at in zip(study.adapters, steps, strict=True))
    study = replace(study, adapters=infos)
    found = claims(tmp_path, claim(f"metric: norm; adapters: [b]; at: [10, 20, 40]; {END}"))
    assert needs.names(found) == ("b@10", "b@20", "b@40")
    assert found.sources(needs.names(found)) == ["b=org/repo:adapters/two"]
    outcome = evaluate(found, [study])[0]
    assert values(outcome) == (1, 2, 4)
    assert dict(Where.of(study, found.aliases()).at) == {"b@10": 0, "b@20": 1, "b@40": 2, "b": 2, "a": 3}
    fields = f"metric: norm; adapters: [b@20]; over: {{adapters: [b]}}; {END}"
    assert values(check(tmp_path, study, fields)) == (0.5,)
    assert check(tmp_path, study, f"metric: norm; adapters: [b]; at: 30; {END}").reason == "b@30 is not open"
    growing = "metric: norm; adapters: [b]; at: [20, 10, 40]; relation: increasing"
    assert check(tmp_path, study, growing).measured[0].text == "2, 1, 4: b@10 1, 1 of 3"


def test_intruders_of_another_k_and_epsilon(tmp_path):
    study = Numbers().put("intruder_dimensions", 3, "a").study()
    fields = f"metric: intruder_dimensions; adapters: [a]; {END}"
    asked = claims(tmp_path, claim(f"{fields}; top_k: 4; epsilon: 0.6") + claim(fields, "two"))
    assert [(run.top, run.epsilon, run.probes) for run in needs.runs(asked, ["a"])] == [
        (4, 0.6, ("intruders",)),
        (10, 0.5, ("intruders",)),
    ]
    assert [one.verdict for one in evaluate(asked, [study])] == ["cannot be measured here", "holds"]
    assert evaluate(asked, [study])[0].reason == "needs intruders of top 4, ε 0.6, this study has top 10, ε 0.5"
    other = replace(study, probes=(ProbeInfo("intruders", "org/base", detail="top 4, ε 0.6"),))
    assert [one.verdict for one in evaluate(asked, [other])] == ["holds", "cannot be measured here"]


def test_unpublished_adapters_refute_nothing_and_contradictions_show_both(tmp_path):
    head = HEAD.replace("claims:", "sources: {paper: 'arxiv:1'}\nclaims:")
    found = claims(
        tmp_path,
        claim("metric: cosine; pairs: [[a, b]]; relation: at least; value: 0.97; contradicts: [low]", "high")
        + claim(
            "metric: cosine; pairs: [[a, b]]; relation: at most; value: 0.1; unpublished: yes; source: paper; "
            "section: '3.4'; page: 7; location: table 2",
            "low",
        ),
        head,
    )
    high, low = evaluate(found, [Numbers().put("cosine", 0.5, "a", "b").study()])
    assert (high.verdict, high.refuted) == ("does not hold", True)
    assert (low.verdict, low.refuted) == ("does not hold", False)
    assert low.claim.cited.text == "arxiv:1, section 3.4, page 7, table 2"
    assert contradictions([high, low]) == ["high (≥ 0.97: does not hold) against low (≤ 0.1: does not hold)"]
    assert published(low.claim) == "≤ 0.1"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("statistic: quantile", "q: goes with the statistic quantile, and that with it"),
        ("statistic: quantile; q: 1.5", "q: must lie between 0 and 1, such as 0.25 for the lower quartile, not 1.5"),
        ("q: 0.5", "q: goes with the statistic quantile"),
        ("statistic: fraction", "that: says which numbers fraction and count count"),
        ("statistic: count; that: {above: 1, below: 2}", "that: must be one bound, such as {above: 0.9}"),
        ("statistic: count; that: {between: 1}", "claim one, that, between: must be [low, high]"),
        ("statistic: count; that: {over: 1}", "claim one, that: no field 'over' is known"),
        ("statistic: correlation", "with: goes with the statistic correlation, and that with it"),
        ("with: {metric: u1}", "with: goes with the statistic correlation"),
        ("minus: {pairs: [[a, c]]}; over: {pairs: [[a, c]]}", "minus: stands beside over: a claim has one second"),
        ("over: {metric: norm}", "claim one, over, adapters: norm is a number of adapters: name them"),
        ("over: {metric: [u1, v1]}", "claim one, over, metric: must be one, or one for each of the claim's 1"),
        ("over: {prompts: x}", "claim one, over, prompts: cosine is measured on none"),
        ("where: {methods: sft}", "claim one, where: no field 'methods' is known. Did you mean method?"),
        ("where: {rate: fast}", "claim one, where, rate: must be a number, not 'fast'"),
        ("same: methods", "same: no fact 'methods' of a run: one of method, rate, rank"),
        ("at: -1", "at: must be a whole number from 0 on"),
        ("epsilon: 0.4", "epsilon: cosine has none: it is of intruder dimensions"),
        ("unpublished: maybe", "unpublished: must be yes or no, not 'maybe'"),
        ("page: 0", "page: must be a whole number from 1 on"),
        ("source: paper", "source: 'paper' is none of none, for the set has no sources"),
    ],
)
def test_faults_of_the_language(tmp_path, fields, said):
    with pytest.raises(InspectorError) as error:
        claims(tmp_path, claim(f"metric: cosine; pairs: [[a, b]]; relation: at least; value: 0; {fields}"))
    assert said in str(error.value)


def test_faults_of_steps_and_filters_of_adapters(tmp_path):
    for fields, said in (
        ("adapters: [a@x]", "no adapter 'a@x' is among the set's"),
        ("adapters: [z@3]", "no adapter 'z@3' is among the set's"),
        ("adapters: [a]; same: method", "same: tells pairs apart, and norm is of adapters"),
        ("adapters: [a]; over: {at: 3}", "claim one, over, at: says at which steps of adapters or pairs: name them"),
        ("adapters: all; where: {method: x}; value: [1, 2]", "value: must be one."),
    ):
        end = "" if "value" in fields else "; value: 0"
        with pytest.raises(InspectorError) as error:
            claims(tmp_path, claim(f"metric: norm; {fields}; relation: at least{end}"))
        assert said in str(error.value)
