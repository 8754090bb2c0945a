"""Every relation, statistic and selector on studies whose numbers are given."""

import json
from dataclasses import replace

import numpy as np
import pytest

from inspector.claims.needs import runs, top_ks
from inspector.claims.selection import Selected
from inspector.claims.verdicts import cautions, evaluate, limits
from inspector.claims.words import breakers, place, published, quantity
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId
from inspector.study.study import ProbeInfo
from inspector.tables.claims import as_json, as_junit, marked
from tests.claims.studies import Numbers, check, claim, claims


def cosines():
    return Numbers().put("cosine", 0.9, "a", "b").put("cosine", 0.5, "a", "c").put("cosine", -0.2, "b", "c")


AB, AC, ALL = "pairs: [[a, b]]", "pairs: [[a, c]]", "pairs: [[a, b], [a, c], [b, c]]"


@pytest.mark.parametrize(
    ("fields", "holds"),
    [
        (f"{AB}; relation: about; value: 0.92; tolerance: 0.03", True),
        (f"{AB}; relation: about; value: 0.92; tolerance: 0.01", False),
        (f"{ALL}; relation: about; value: [0.9, 0.5, -0.2]; tolerance: 0.001", True),
        (f"{ALL}; relation: about; value: [0.9, -0.2, 0.5]; tolerance: 0.001", False),
        (f"{ALL}; relation: at least; value: -0.2", True),
        (f"{ALL}; relation: at least; value: 0.5", False),
        (f"{ALL}; relation: at least; value: -0.15; tolerance: 0.1", True),
        (f"{ALL}; relation: at most; value: 0.9", True),
        (f"{ALL}; relation: at most; value: 0.8", False),
        (f"{AC}; relation: between; value: [0.4, 0.6]", True),
        (f"{ALL}; relation: between; value: [0.4, 0.6]", False),
        (f"{AC}; relation: less than; than: {{{AB}}}", True),
        (f"{AB}; relation: less than; than: {{{AC}}}", False),
        (f"{AB}; relation: less than; than: {{{AC}}}; tolerance: 0.5", True),
        (f"{AC}; relation: less than; than: {{pairs: [[a, b], [a, c]]}}", False),
        ("pairs: [[b, c]]; relation: less than; than: {pairs: [[a, b], [a, c]]}", True),
        (f"{ALL}; relation: decreasing", True),
        (f"{ALL}; relation: increasing", False),
        (f"{ALL}; relation: increasing; tolerance: 0.8", True),
        ("pairs: [[a, c], [a, b]]; relation: decreasing; tolerance: 0.5", True),
        ("pairs: [[a, c], [a, b]]; relation: decreasing; tolerance: 0.3", False),
        (f"{AC}; relation: at most; value: 0.2; tolerance: 0.4", True),
        (f"{AC}; relation: at most; value: 0.2; tolerance: 0.2", False),
        (f"{AB}; over: {{{AC}}}; relation: about; value: 1.8; tolerance: 1e-9", True),
        (f"{AB}; over: {{{AC}}}; relation: at most; value: 1.7", False),
        (f"{ALL}; statistic: mean; relation: about; value: 0.4; tolerance: 1e-9", True),
        (f"{ALL}; statistic: median; relation: about; value: 0.5; tolerance: 1e-9", True),
        (f"{ALL}; statistic: min; relation: about; value: -0.2; tolerance: 1e-9", True),
        (f"{ALL}; statistic: max; relation: about; value: 0.9; tolerance: 1e-9", True),
        (f"{ALL}; statistic: range; relation: about; value: 1.1; tolerance: 1e-9", True),
    ],
)
def test_relations_and_statistics(tmp_path, fields, holds):
    outcome = check(tmp_path, cosines().study(), f"metric: cosine; {fields}")
    assert outcome.verdict == ("holds" if holds else "does not hold")


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ("layers: all", (0.4, 0.3, 0.2, 0.1)),
        ("layers: 1", (0.3,)),
        ("layers: [1, 2]", (0.3, 0.2)),
        ("layers: [-2, -1]", (0.2, 0.1)),
        ("modules: all; layers: [0, 1]", (1, 2, 3, 4)),
        ("modules: q_proj", (1, 3, 5, 7)),
        ("modules: [3.self_attn.q_proj, v_proj]", (2, 4, 6, 7, 8)),
        ("layers: all; statistic: argmin layer", (3,)),
        ("layers: [0, 2]; statistic: argmax layer", (0,)),
    ],
)
def test_places(tmp_path, where, values):
    numbers = Numbers().put("cosine", [0.4, 0.3, 0.2, 0.1], "a", "b", scope="layer")
    study = numbers.put("cosine", np.arange(1, 9), "a", "b", scope="module").study()
    outcome = check(tmp_path, study, f"metric: cosine; {AB}; {where}; relation: at least; value: -1")
    assert outcome.measured[0].values == pytest.approx(values)


def test_the_layer_of_each_pairs_own_extreme(tmp_path):
    numbers = Numbers().put("cosine", [4, 3, 2, 1], "a", "b", scope="layer")
    study = numbers.put("cosine", [1, 2, 3, 4], "a", "c", scope="layer").study()
    fields = "pairs: [[a, b], [a, c]]; layers: all; statistic: argmin layer; relation: about; value: 3; tolerance: 0"
    assert check(tmp_path, study, f"metric: cosine; {fields}").measured[0].values == (3, 0)


def test_indices_of_angles_and_paths(tmp_path):
    study = Numbers(k=3).put("principal_angle", [10, 20, 60], "a", "b").study()
    head = f"metric: principal_angle; top_k: 3; {AB}; relation: at least; value: 0"
    assert check(tmp_path, study, f"{head}; k: 3").measured[0].values == (60,)
    assert check(tmp_path, study, f"{head}; k: [1, 2, 3]; statistic: mean").measured[0].values == (30,)
    assert check(tmp_path, study, f"{head}; k: 4").reason == "this study has 3 angles, 4 are asked"
    path = Numbers(alphas=(0, 0.5, 1), prompts="gsm8k").put("lmc_loss", [3, 2, 1], "a", "b").study()
    head = f"metric: lmc_loss; prompts: gsm8k; {AB}; relation: increasing"
    assert check(tmp_path, path, f"{head}; alphas: [1, 0.5, 0]").verdict == "holds"
    assert check(tmp_path, path, f"{head}; alphas: [0, 1]").verdict == "does not hold"
    assert check(tmp_path, path, f"{head}; alphas: [0, 0.25]").reason == "the path was not measured at α = 0.25"


def test_the_rank_limits_how_many_angles_there_are(tmp_path):
    study = Numbers().put("principal_angle", [10] * 8 + [np.nan] * 2, "a", "b").study()
    study = replace(study, adapters=tuple(replace(info, ranks=(8, 16)) for info in study.adapters))
    head = f"metric: principal_angle; {AB}; relation: at least; value: 0"
    assert check(tmp_path, study, f"{head}; k: 8").verdict == "holds"
    assert check(tmp_path, study, f"{head}; k: 10").reason == "rank 8 allows 8 angles, 10 are asked"


def test_a_pair_that_was_not_run_is_named(tmp_path):
    study = Numbers(prompts="sums").put("barrier_mean", 0.5, "a", "b").study()
    fields = "metric: barrier_mean; prompts: sums; pairs: [[a, b], [c, a]]; relation: at least; value: 0"
    assert check(tmp_path, study, fields).reason == "c ↔ a was not measured"


def test_an_ordered_metric_is_read_from_a_to_b(tmp_path):
    numbers = (
        Numbers().put("orthogonal_fraction_module", 0.3, "a", "b").put("orthogonal_fraction_module", 0.8, "b", "a")
    )
    fields = "metric: orthogonal_fraction_module; pairs: [[b, a]]; relation: about; value: 0.8; tolerance: 0.01"
    assert check(tmp_path, numbers.study(), fields).verdict == "holds"


def test_it_may_hold_under_one_definition_only(tmp_path):
    study = Numbers().put("effective_rank", 16, "a").put("stable_rank", 4, "a").study()
    fields = "metric: [effective_rank, stable_rank, rank_90]; adapters: [a]; relation: about; value: 16; tolerance: 1"
    outcome = check(tmp_path, study, fields)
    assert outcome.verdict == "holds only under"
    assert outcome.text == "holds only under effective_rank"
    assert outcome.reason == "rank_90 was not measured"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("metric: cosine; pairs: [[b, c]]", "cosine of b ↔ c is n/a"),
        ("metric: u1; pairs: [[a, b]]", "u1 was not measured"),
        ("metric: cosine; pairs: [[a, b]]; layers: all", "cosine has no layer numbers"),
        ("metric: cosine; pairs: [[a, b]]; layers: 9; modules: all", "there is no layer 9, there are 0-3"),
        ("metric: cosine; pairs: [[a, b]]; layers: -5; modules: all", "there is no layer -5, there are 0-3"),
        ("metric: cosine; pairs: [[a, b]]; layers: [2, 1]; modules: all", "there is none of 2 to 1, there are 0-3"),
        (
            "metric: cosine; pairs: [[a, b]]; modules: [q_proj, k_proj]",
            "there is no module k_proj, there are q_proj, v_proj",
        ),
        ("metric: cosine; pairs: [[a, lost]]", "lost: not published, the set names no source"),
        ("metric: norm; adapters: [c]; over: {adapters: [lost]}", "lost: not published, the set names no source"),
        ("metric: norm; adapters: [a]; over: {adapters: [b]}", "what it is divided by is 0"),
        ("metric: principal_angle; k: 1; pairs: [[a, b]]", "needs top-10 subspaces, this study has top-8"),
        (
            "metric: accuracy; prompts: gsm8k; adapters: [a]",
            "needs accuracy on gsm8k, this study has it on sums: add it",
        ),
        ("metric: lens_depth; prompts: gsm8k; adapters: [a]", "needs the base (lens on gsm8k): add it"),
    ],
)
def test_what_cannot_be_measured_says_why(tmp_path, fields, reason):
    numbers = Numbers(k=8, prompts="sums").put("cosine", 0.5, "a", "b").put("norm", 1, "a").put("norm", 0, "b")
    numbers.put("principal_angle", 5, "a", "b").put("accuracy", 0.5, "a")
    numbers.put("cosine", 1, "a", "b", scope="module")
    found = claims(tmp_path, claim(f"{fields}; relation: at least; value: 0"))
    outcome = evaluate(found, [numbers.study()], remedy="add it")[0]
    assert outcome.verdict == "cannot be measured here"
    assert outcome.reason == reason


@pytest.mark.parametrize(("whose", "limited"), [("", False), ("a", True), ("b", True), ("ab", True), ("c", False)])
def test_a_finding_of_either_side_limits_a_verdict(tmp_path, whose, limited):
    study = Numbers().put("cosine", 0.5, "a", "b").study()
    infos = (replace(i, findings=(HealthIssue("warning", "α is assumed"),) * (i.name in whose)) for i in study.adapters)
    study = replace(study, adapters=tuple(infos))
    outcome = check(tmp_path, study, f"metric: cosine; {AB}; relation: at least; value: 0")
    assert (outcome.verdict, outcome.limited) == ("holds", limited)
    said = "all 2 adapters" if whose == "ab" else whose
    assert limits([outcome]) == ([f"warning: {said}: α is assumed"] if limited else [])
    without = check(tmp_path, study, f"metric: u1; {AB}; relation: at least; value: 0")
    assert (without.verdict, without.limited, limits([without])) == ("cannot be measured here", False, [])
    assert limits([without, outcome, outcome]) == limits([outcome])


def test_an_adapter_that_is_not_open(tmp_path):
    study = Numbers(names=("a", "b")).put("cosine", 0.5, "a", "b").study()
    assert check(tmp_path, study, "metric: cosine; pairs: [[a, c]]; relation: at least; value: 0").reason == (
        "c is not open"
    )


def test_a_downloaded_folder_goes_by_its_own_name(tmp_path):
    study = Numbers(names=("two", "one", "b")).put("cosine", 0.7, "one", "two").put("cosine", 0.1, "one", "b").study()
    fields = "metric: cosine; pairs: [[a, b]]; relation: about; tolerance: 0.01"
    assert check(tmp_path, study, f"{fields}; value: 0.1").verdict == "holds"  # b itself before adapters/two
    study = Numbers(names=("two", "one")).put("cosine", 0.7, "one", "two").study()
    assert check(tmp_path, study, f"{fields}; value: 0.7").verdict == "holds"


def test_published_adapters_beside_ones_own_stand_in_for_what_is_not_open(tmp_path):
    fields = "metric: cosine; pairs: [[a, b]]; relation: about; tolerance: 0.01"
    numbers = (
        Numbers(names=("a", "ref.a", "ref.b")).put("cosine", 0.7, "a", "ref.b").put("cosine", 0.1, "ref.a", "ref.b")
    )
    assert check(tmp_path, numbers.study(), f"{fields}; value: 0.7").verdict == "holds"
    numbers = Numbers(names=("ref.a", "ref.b")).put("cosine", 0.1, "ref.a", "ref.b")
    assert check(tmp_path, numbers.study(), f"{fields}; value: 0.1").verdict == "holds"


def test_the_first_study_with_the_numbers_counts(tmp_path):
    found = claims(tmp_path, claim("metric: accuracy; prompts: aime26; adapters: [a]; relation: at least; value: 0.3"))
    gsm8k = Numbers(prompts="gsm8k").put("accuracy", 0.1, "a").study()
    aime26 = Numbers(prompts="aime26").put("accuracy", 0.4, "a").study()
    assert evaluate(found, [gsm8k])[0].verdict == "cannot be measured here"
    assert evaluate(found, [gsm8k, aime26])[0].verdict == "holds"
    assert evaluate(found, [])[0].reason == "nothing is open"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (f"{AB}; relation: about; value: 0.977; tolerance: 0.01", "≈ 0.977 ± 0.01"),
        (f"{AB}; relation: at least; value: 2", "≥ 2"),
        (f"{AB}; relation: between; value: [0.1, 0.25]", "0.1 – 0.25"),
        (f"{AB}; relation: less than; than: {{{AC}}}", "less than"),
        (f"{ALL}; relation: increasing; value: [1, 2, 3]", "increasing: 1, 2, 3"),
    ],
)
def test_what_is_published_in_words(tmp_path, fields, text):
    assert published(claims(tmp_path, claim(f"metric: cosine; {fields}")).claims[0]) == text


def test_what_is_compared_is_named_by_its_statistic(tmp_path):
    found = claims(
        tmp_path,
        claim(
            "metric: cosine; pairs: [[a, b]]; layers: all; statistic: argmin layer; relation: at most; value: 9", "dip"
        )
        + claim("metric: norm; adapters: [a]; over: {adapters: [b]}; relation: at least; value: 13", "ratio")
        + claim("metric: norm; adapters: [a, b]; statistic: range; relation: at most; value: 1", "range")
        + claim(f"metric: cosine; {AB}; relation: at least; value: 1", "plain"),
    )
    said = [quantity(one, one.metrics[0]) for one in found.claims]
    assert said == ["layer of least cosine", "ratio of norm", "range of norm", "cosine"]


def test_few_prompts_and_the_study_that_is_nearest(tmp_path):
    path = "metric: cka; pairs: [[a, b]]; layers: all; statistic: min; relation: at least; value: 0; prompts: gsm8k"
    found = claims(tmp_path, claim(path, "cka"))
    bare, probed = Numbers().study(), Numbers().study()
    probed = replace(probed, probes=(ProbeInfo("cka", "base", prompts="gsm8k", examples=12),))
    assert cautions(found, [bare]) == ""
    assert "cka on 12 prompts: fewer than 20 scatter more than adapters differ." in cautions(found, [bare, probed])
    for studies in ([bare, probed], [probed, bare]):
        assert "needs the base" not in evaluate(found, studies)[0].reason


def test_a_verdict_over_few_prompts_is_marked(tmp_path):
    """The verdict itself, in every format: the line below the table says why."""
    metric = "pairs: [[a, b]]; relation: at least; value: 0"
    found = claims(
        tmp_path,
        claim(f"metric: barrier_mean; {metric}; prompts: sums", "few") + claim(f"metric: cosine; {metric}", "all"),
    )
    numbers = Numbers().put("barrier_mean", 0.5, "a", "b").put("cosine", 0.5, "a", "b").study()
    for examples, marks in ((8, [True, False]), (20, [False, False])):
        study = replace(numbers, probes=(ProbeInfo("lmc", "base", prompts="sums", examples=examples),))
        outcomes = evaluate(found, [study])
        assert [outcome.limited for outcome in outcomes] == marks
        assert [outcome.verdict for outcome in outcomes] == ["holds", "holds"]
        assert [marked(outcome, "holds") for outcome in outcomes] == ["holds !" if one else "holds" for one in marks]
        said = [bool(one["caution"]) for one in json.loads(as_json(found, outcomes))["claims"]]
        assert said == marks
        assert as_junit(found, outcomes).count("lmc on 8 prompts") == marks.count(True)


def test_only_what_claims_need_is_measured(tmp_path):
    probe = "prompts: gsm8k; relation: at least; value: 0"
    found = claims(
        tmp_path,
        claim(f"metric: lmc_loss; pairs: [[b, a]]; alphas: [0, 0.5]; {probe}", "path")
        + claim(f"metric: [barrier_mean, barrier_strict]; pairs: [[a, b]]; {probe}", "barrier")
        + claim(f"metric: accuracy; adapters: [c]; {probe.replace('gsm8k', 'aime26')}", "accuracy")
        + claim(f"metric: cka; pairs: [[a, lost]]; {probe}", "unpublished")
        + claim(f"metric: lens_depth; adapters: [b, c]; {probe}", "depth")
        + claim("metric: principal_angle; k: 1; top_k: 8; pairs: [[a, c]]; relation: at least; value: 0", "angle")
        + claim("metric: subspace_overlap; pairs: [[a, b]]; relation: at least; value: 0", "overlap"),
    )
    gsm8k, aime26, states = runs(found, ["a", "b", "c"])
    assert (gsm8k.prompts, gsm8k.probes, gsm8k.names) == ("gsm8k", ("lmc",), ("a", "b"))
    assert (gsm8k.pairs, gsm8k.alphas) == ((("a", "b"),), (0, 0.5))
    assert (aime26.prompts, aime26.probes, aime26.names) == ("aime26", ("accuracy",), ("c",))
    assert (states.prompts, states.probes, states.names, states.pairs) == ("gsm8k", ("lens",), ("b", "c"), ())
    assert top_ks(found) == {8: ("a", "b", "c", "lost"), 10: ("a", "b")}
    both = "metric: [cosine, subspace_overlap]; top_k: 4; pairs: [[a, b]]; relation: at least; value: 0"
    assert top_ks(claims(tmp_path, claim(both))) == {4: ("a", "b")}


@pytest.mark.parametrize(
    ("fields", "said", "broken"),
    [
        ("relation: at least; value: 0.5", "0.6, 0.1, -0.2: a ↔ c 0.1, b ↔ c -0.2, 2 of 3", (1, 2)),
        ("relation: at most; value: 0.5", "0.6, 0.1, -0.2: a ↔ b 0.6, 1 of 3", (0,)),
        ("relation: between; value: [0, 0.5]", "0.6, 0.1, -0.2: a ↔ b 0.6, b ↔ c -0.2, 2 of 3", (0, 2)),
        ("relation: about; value: [0.6, 0.2, 0.3]; tolerance: 0.15", "0.6, 0.1, -0.2: b ↔ c -0.2, 1 of 3", (2,)),
        ("relation: increasing", "0.6, 0.1, -0.2: a ↔ c 0.1, b ↔ c -0.2, 2 of 3", (1, 2)),
        ("relation: decreasing", "0.6, 0.1, -0.2", ()),
        ("statistic: mean; relation: at least; value: 0.5", "0.167", (0,)),
    ],
)  # fmt: skip
def test_a_verdict_names_who_breaks_it(tmp_path, fields, said, broken):
    study = Numbers().put("cosine", 0.6, "a", "b").put("cosine", 0.1, "a", "c").put("cosine", -0.2, "b", "c").study()
    (found,) = check(tmp_path, study, f"metric: cosine; pairs: [[a, b], [a, c], [b, c]]; {fields}").measured
    assert (found.text, found.broken, found.holds) == (said, broken, not broken)


def test_layers_that_break_it_are_named(tmp_path):
    study = Numbers().put("cosine", [0.9, 0.2, 0.8, 0.1], "a", "b", scope="layer").study()
    fields = "metric: cosine; pairs: [[a, b]]; layers: [0, 3]; relation: at least; value: 0.5"
    (found,) = check(tmp_path, study, fields).measured
    assert found.text == "0.9, 0.2, 0.8, 0.1: a ↔ b, layer 1 0.2, a ↔ b, layer 3 0.1, 2 of 4"


def test_who_is_not_open_is_said_before_what_was_not_run(tmp_path):
    fields = "metric: lmc_loss; pairs: [[a, b]]; alphas: [0.5]; prompts: gsm8k; relation: at most; value: 2"
    outcome = check(tmp_path, Numbers(names=("a", "c")).study(), fields)
    assert outcome.reason == "b is not open"
    assert check(tmp_path, Numbers().study(), fields).reason.startswith("needs the base")


@pytest.mark.parametrize(
    ("names", "where", "index", "said"),
    [
        (("a", "b"), ModuleId(3, ""), None, "a ↔ b, layer 3"),
        (("a",), ModuleId(3, "self_attn.q_proj"), None, "a, 3.self_attn.q_proj"),
        (("a",), ModuleId(None, "lm_head"), None, "a, lm_head"),
        (("a", "b"), ModuleId(None, ""), 0.5, "a ↔ b, at 0.5"),
        ((), ModuleId(None, ""), None, ""),
    ],
)
def test_what_a_number_is_of(names, where, index, said):
    assert place(Selected(names, where, index, 1.0)) == said


def test_a_number_of_nobody_has_no_name():
    assert breakers((1.0, 2.0), ("", ""), (1,)) == "2, 1 of 2"


def test_of_studies_that_lack_it_alike_the_first_is_said(tmp_path):
    found = claims(tmp_path, claim(f"metric: cosine; {AB}; layers: all; relation: at least; value: 1", "one"))
    unmeasured, whole = Numbers().study(), Numbers().put("cosine", 0.5, "a", "b").study()
    reasons = "cosine was not measured", "cosine has no layer numbers"
    assert evaluate(found, [unmeasured, whole])[0].reason == reasons[0]
    assert evaluate(found, [whole, unmeasured])[0].reason == reasons[1]
