"""Table, JSON and JUnit XML say the same."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from inspector.claims.verdicts import evaluate
from inspector.tables.claims import as_json, as_junit, counts, print_table, summary, written
from tests.claims.studies import HEAD, Numbers, claim, claims


@pytest.fixture
def judged(tmp_path):
    text = (
        claim("metric: cosine; pairs: [[a, b]]; relation: at least; value: 0.5", "good")
        + claim("metric: cosine; pairs: [[a, b]]; relation: at most; value: 0.5", "bad")
        + claim("metric: [effective_rank, stable_rank]; adapters: [a]; relation: at least; value: 9", "partly")
        + claim("metric: [cka, cka_debiased]; prompts: sums; pairs: [[a, b]]; relation: at least; value: 0", "none")
    ).replace("so it is", "<a> & [b] are alike")
    found = claims(tmp_path, text + "    disagreements: [elsewhere it says .4]\n")
    numbers = Numbers().put("cosine", 0.75, "a", "b").put("effective_rank", 16, "a").put("stable_rank", 4, "a")
    return found, evaluate(found, [numbers.study()])


def test_counts(judged):
    assert list(counts(judged[1]).values()) == [1, 1, 1, 1]
    assert summary(judged[1]) == (
        "4 claims: 1 holds, 1 holds only under some definition, 1 does not hold, 1 cannot be measured here."
    )


def test_table(judged):
    lines = [line.rstrip() for line in written(*judged, "table").splitlines()]
    row = next(line for line in lines if line.strip().startswith("bad"))
    assert row.split() == ["bad", "≤", "0.5", "cosine", "0.75", "does", "not", "hold"]
    partly = next(n for n, line in enumerate(lines) if "partly" in line)
    assert lines[partly].split()[3:] == ["effective_rank", "16", "holds"]
    assert lines[partly + 1].split() == ["stable_rank", "4", "does", "not", "hold"]
    assert sum("needs the base (cka on sums): add --base" in line for line in lines) == 1
    assert "  none: elsewhere it says .4" in lines


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_metric_and_no_verdict_is_cut_on_a_narrow_terminal(tmp_path, monkeypatch, capsys, width):
    metrics = ["orthogonal_fraction_global", "orthogonal_fraction_module"]
    fields = "pairs: [[a, b]]; relation: at least; value: 0.12; tolerance: 0.25"
    found = claims(
        tmp_path,
        claim(f"metric: [{', '.join(metrics)}]; {fields}", "a-claim-with-a-long-name")
        + claim(f"metric: [barrier_chord, barrier_strict, barrier_mean_rollouts]; prompts: sums; {fields}", "none"),
    )
    study = Numbers().put(metrics[0], 0.5, "a", "b").put(metrics[1], 0.5, "a", "b").study()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(found, evaluate(found, [study]), "")
    said = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert max(len(line.rstrip()) for line in said.splitlines()) <= max(width, 72)
    assert [line.split() for line in said.splitlines() if metrics[0] in line or metrics[1] in line] == [
        [metric, "0.5", "holds"] for metric in metrics
    ]
    for word in ("a-claim-with-a-long-name", "barrier_mean_rollouts", "barrier_chord", "cannot be measured here"):
        assert word in said
    assert "…" not in said


def test_json(judged):
    text = written(*judged, "json", "a warning")
    document = json.loads(text)
    assert text.startswith('{\n "format": "adapter-inspector claims",\n "version": 1,')
    assert (document["title"], document["base"], document["warning"]) == ("Toy", "", "a warning")
    assert document["address"] == "toy"
    assert document["counts"] == counts(judged[1])
    by_id = {found["id"]: found for found in document["claims"]}
    assert by_id["good"]["definitions"][0]["measured"] == [0.75]
    assert by_id["good"]["definitions"][0]["formula"].startswith("⟨ΔW_a,ΔW_b⟩")
    assert by_id["partly"]["verdict"] == "holds only under effective_rank"
    assert [d["holds"] for d in by_id["partly"]["definitions"]] == [True, False]
    assert by_id["none"]["reason"] == "needs the base (cka on sums): add --base"
    assert by_id["none"]["disagreements"] == ["elsewhere it says .4"]


def test_json_says_what_each_number_is_of(tmp_path):
    numbers = Numbers(layers=2, k=3).put("cosine", [0.5, 0.25], "a", "b", scope="layer")
    numbers.put("cosine", [0.75, 1], "a", "c", scope="layer").put("norm", [1, 2, 3, 4], "a", scope="module")
    numbers.put("norm", [4, 4, 4, 4], "b", scope="module").put("principal_angle", [10, 20, 30], "a", "b")
    found = claims(
        tmp_path,
        claim("metric: cosine; pairs: [[a, b], [c, a]]; layers: all; statistic: mean; relation: at least; value: 0.5")
        + claim("metric: norm; adapters: [a]; modules: [q_proj]; relation: about; over: {adapters: [b]}; value: 0.25; "
                "tolerance: 0.5", "ratio")
        + claim("metric: principal_angle; top_k: 3; k: [1, 3]; pairs: [[a, b]]; relation: increasing", "angles"),
    )  # fmt: skip
    document = json.loads(written(found, evaluate(found, [numbers.study()]), "json"))
    mean, ratio, angles = document["claims"]
    assert (mean["statement"], mean["statistic"], mean["relation"]) == ("so it is", "mean", "at least")
    assert mean["selector"]["pairs"] == [["a", "b"], ["c", "a"]]
    assert mean["selector"]["layers"] == [0, -1]
    assert mean["definitions"][0]["numbers"] == [
        {"a": a, "b": b, "layer": layer, "value": value}
        for a, b, layer, value in (("a", "b", 0, 0.5), ("a", "b", 1, 0.25), ("c", "a", 0, 0.75), ("c", "a", 1, 1))
    ]
    assert mean["definitions"][0]["measured"] == [0.625]
    assert ratio["over"]["adapters"] == ["b"]
    first = {"layer": 0, "module": "self_attn.q_proj"}
    assert ratio["definitions"][0]["numbers"][0] == {"adapter": "a", **first, "value": 1}
    assert ratio["definitions"][0]["over"][0] == {"adapter": "b", **first, "value": 4}
    assert ratio["definitions"][0]["measured"] == [0.25, 0.75]
    assert angles["definitions"][0]["numbers"] == [
        {"a": "a", "b": "b", "k": 1, "value": 10}, {"a": "a", "b": "b", "k": 3, "value": 30},
    ]  # fmt: skip


def test_junit(judged):
    suite = ET.fromstring(written(*judged, "junit"))
    assert suite.tag == "testsuite"
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "skipped", "errors")} == {
        "name": "toy", "tests": "4", "failures": "1", "skipped": "1", "errors": "0",
    }  # fmt: skip
    cases = {case.get("name"): case for case in suite}
    assert set(cases) == {"good", "bad", "partly", "none"}
    failure = cases["bad"].find("failure")
    assert failure.get("message") == "published ≤ 0.5; cosine: 0.75"
    assert failure.text.startswith("<a> & [b] are alike")
    assert cases["none"].find("skipped").get("message") == "needs the base (cka on sums): add --base"
    assert cases["good"].find("failure") is cases["good"].find("skipped") is None
    assert "holds only under effective_rank" in cases["partly"].find("system-out").text


def test_what_was_measured_has_sixteen_columns_on_any_terminal(tmp_path, monkeypatch, capsys):
    fields = "metric: orthogonal_fraction_module; pairs: [[a, b]]; relation: less than; than: {pairs: [[a, c]]}"
    found = claims(
        tmp_path, claim(fields, "one") + claim("metric: cka; pairs: [[a, b]]; prompts: x; relation: increasing", "two")
    )
    numbers = Numbers().put("orthogonal_fraction_module", 0.5, "a", "b")
    study = numbers.put("orthogonal_fraction_module", 0.25, "a", "c").study()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(found, evaluate(found, [study]), "")
    said = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert "0.5 against 0.25  does not hold" in said


def test_what_is_about_unpublished_adapters_stands_apart(tmp_path):
    head = HEAD.replace("claims:", "left_out: [nothing measures this]\nclaims:")
    end = "metric: cosine; pairs: [[a, b]]; relation: at most; value: 0.5"
    text = claim(f"{end}; contradicts: [other]", "own") + claim(f"{end}; unpublished: yes; limits: [not this]", "other")
    found = claims(tmp_path, text, head)
    outcomes = evaluate(found, [Numbers().put("cosine", 0.75, "a", "b").study()])
    said = written(found, outcomes, "table")
    assert (
        "1 claim: 1 does not hold. 1 claim about unpublished adapters, which others do not refute: 1 does not hold.\n"
        in said
    )
    assert "0.75       does not hold (stand-ins)" in said
    assert "  own (≤ 0.5: does not hold) against other (≤ 0.5: does not hold)\n" in said
    assert "What a verdict does not tell:\n  other: not this\n" in said
    assert said.endswith("that nothing here measures:\n  nothing measures this\n")
    document = json.loads(as_json(found, outcomes))
    assert [document[f"counts{apart}"]["does not hold"] for apart in ("", "_unpublished")] == [1, 1]
    assert [one["unpublished"] for one in document["claims"]] == [False, True]
    suite = ET.fromstring(as_junit(found, outcomes))
    assert (suite.get("failures"), [case.find("failure") is not None for case in suite]) == ("1", [True, False])


def test_facts_filters_and_second_selectors_in_json(tmp_path):
    fields = "metric: norm; adapters: all; where: {rank: 4}; with: {metric: rank}; statistic: correlation"
    found = claims(tmp_path, claim(f"{fields}; relation: at least; value: 0"))
    (one,) = json.loads(as_json(found, evaluate(found, [Numbers().put("norm", 1, "a").study()])))["claims"]
    assert one["selector"]["where"] == {"rank": [4]}
    assert one["with"]["metrics"] == ["rank"]
    assert one["reason"] == "no open adapter is one of rank 4"
