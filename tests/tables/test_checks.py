"""What a check says of adapters made of numbers: its JSON and its text, each fact once, null where there is none."""

# ruff: noqa: E501 - a case a line

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.adapters.health.rules import Values
from inspector.adapters.model import Scale, TensorRecord
from inspector.adapters.opening import Failure
from inspector.checking import as_json
from inspector.checking.checks import Checked, checked
from inspector.checking.fit import Fit
from inspector.checking.precision import Merged, Precision
from inspector.checking.together import Together
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings, Study
from inspector.tables import checks
from tests.memory import adapter

Q, V, OUT = (ModuleId(0, f"self_attn.{end}_proj") for end in "qvo")


def opened(name="one", **more):
    factors = {id_: (torch.eye(4, 2), torch.eye(2, 3)) for id_ in (Q, V)}
    made = adapter(name, factors, 2.0)
    tensors = (
        TensorRecord("q.lora_A", (2, 3), "F32", "used"),
        TensorRecord("q.bias", (3,), "BF16", "ignored", "a bias"),
    )
    facts = {
        "source": f"/x/{name}",
        "base": "org/base",
        "dtype": "F32",
        "tensors": 9,
        "ignored": 3,
        "unknown": 2,
        "targets": ("q_proj",),
    }
    return replace(made, info=replace(made.info, **facts | more), tensors=tensors)


def measured(norm=3.0, rank=1.5, left_out=np.nan):
    blocks = {
        ("norm", "global"): [[norm]],
        ("effective_rank", "global"): [[rank]],
        ("energy_left_out", "global"): [[left_out]],
    }
    return Study(
        (),
        (),
        np.zeros((1, 0, 2), dtype=np.int64),
        Settings(k=1),
        {key: np.array(block) for key, block in blocks.items()},
    )


def one(made=None, *, findings=(), study=None, values=None, fit=None, precision=None):
    return Checked(made or opened(), study, values, fit, precision, tuple(HealthIssue(*pair) for pair in findings))


VALUES = Values((Q, V, OUT), (Q,), {}, (V,), {OUT: 12.0}, (Q, OUT), False, 0.0)
FIT = Fit("org/base", {}, frozenset(), (V,), {OUT: (4, 5)}, (Q,), (V, OUT))
HALF, GONE = Merged(16.0, 4.0, 1.0, 1.0), Merged(9.0, 0.0, 0.0, 0.0)


def of_json(found, **more):
    (said,) = as_json.report([found], None, [], base="", tensors=False, **more)["adapters"]
    return said


def test_json_of_an_adapter_that_was_measured():
    said = of_json(
        one(
            findings=[("warning", "odd"), ("info", "fine")],
            study=measured(),
            values=VALUES,
            fit=FIT,
            precision=Precision({Q: HALF, V: GONE}),
        )
    )
    expected = {
        "name": "one", "source": "/x/one", "holds": True, "base": "org/base", "base_note": None, "dtype": "F32", "modules": 2,
        "parameters": 2 * (4 * 2 + 2 * 3), "ranks": (2,), "targets": ("q_proj",),
        "tensors": {"total": 9, "used": 4, "ignored": 3, "unknown": 2},
        "scales": [{"scale": 2.0, "origin": "test", "modules": 2}],
        "norm": 3.0, "effective_rank": 1.5, "energy_left_out": None, "excluded": [],
        "dead": [str(Q)], "nonfinite": [str(V)], "outliers": {str(OUT): 12.0}, "one_direction": [str(Q), str(OUT)],
        "not_in_base": [str(V)], "other_shape_in_base": {str(OUT): (4, 5)}, "quantised_in_base": [str(Q)], "not_in_file": [str(V), str(OUT)],
        "bf16_merge": {
            "cosine": 0.5, "energy_lost": 0.75, "norm_ratio": 0.4,
            "modules": {
                str(Q): {"cosine": 0.5, "energy_lost": 0.75, "norm_ratio": 0.5},
                str(V): {"cosine": None, "energy_lost": None, "norm_ratio": 0.0},
            },
        },
        "findings": [{"severity": "warning", "text": "odd"}, {"severity": "info", "text": "fine"}],
    }  # fmt: skip
    assert {key: said[key] for key in expected} == expected
    assert "tensor_list" not in said


def test_json_of_numbers_that_json_does_not_have():
    made = opened()
    modules = {id_: replace(module, scale=Scale(np.inf, "α/r")) for id_, module in made.modules.items()}
    values = replace(VALUES, outliers={Q: np.inf})
    said = of_json(one(replace(made, modules=modules), study=measured(np.inf), values=values))
    assert (said["scales"][0]["scale"], said["outliers"], said["norm"]) == (None, {str(Q): None}, None)
    json.dumps(said, allow_nan=False)


def test_json_of_what_was_not_measured():
    said = of_json(one(opened(base=""), findings=[("error", "broken")], precision=Precision({})))
    nothing = (
        "norm",
        "effective_rank",
        "energy_left_out",
        "dead",
        "nonfinite",
        "outliers",
        "one_direction",
        "not_in_base",
        "other_shape_in_base",
        "not_in_file",
        "quantised_in_base",
        "bf16_merge",
        "base",
    )
    assert {key: said[key] for key in nothing} == dict.fromkeys(nothing)
    assert said["holds"] is False
    assert said["base_note"].startswith("not named")
    assert of_json(one())["bf16_merge"] is None


def test_json_of_tensors_and_of_failures():
    found = as_json.report([one()], None, [Failure("/x/gone", "not there", True)], base="org/b", tensors=True)
    assert (found["version"], found["base"], found["together"]) == (1, "org/b", None)
    assert found["failures"] == [{"source": "/x/gone", "message": "not there", "skipped": True}]
    assert found["adapters"][0]["tensor_list"] == [
        {"key": "q.lora_A", "shape": (2, 3), "dtype": "F32", "class": "used", "reason": None},
        {"key": "q.bias", "shape": (3,), "dtype": "BF16", "class": "ignored", "reason": "a bias"},
    ]


SIDE = Together(
    {"org/x": ("a", "b"), "": ("c",)}, (("a", "b"), ("c",)), ("l.N.q", "h.N.q"), True, 1, 5, (Q,), (("x", "y"),)
)
ALIKE = Together({"org/x": ("a", "b")}, (("a", "b"),), ("l.N.q",), False, 5, 5, (), ())


def test_json_side_by_side():
    found = as_json.report([one()], SIDE, [], base="", tensors=False)
    assert found["base"] is None
    assert found["together"] == {
        "bases": [{"base": "org/x", "adapters": ("a", "b")}, {"base": None, "adapters": ("c",)}],
        "families": [{"adapters": ("a", "b"), "example": "l.N.q"}, {"adapters": ("c",), "example": "h.N.q"}],
        "modules": 5, "common_modules": 1, "other_shapes": [str(Q)], "cut": {},
        "aliases": (("x", "y"),),
        "findings": [
            {"severity": "warning", "text": "no module in common between 2 groups, the same projections under prefixes that do not meet: a, b: l.N.q; c: h.N.q"},
            {"severity": "warning", "text": f"shapes differ, not compared there: {Q}"},
            {"severity": "info", "text": "aligned as the same modules: x = y"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("common", "modules", "said"),
    [(5, 5, []), (4, 5, ["4 of 5 modules are in all adapters: the others count as zeros, or are left out with --modules common"]), (0, 1, ["0 of 1 module are in all adapters: the others count as zeros, or are left out with --modules common"])],
)  # fmt: skip
def test_modules_that_not_all_have(common, modules, said):
    assert [f.text for f in replace(ALIKE, common=common, modules=modules).findings()] == said


def rows(text):
    """(label, words) of every row; what is wrapped joined again."""
    found = []
    for line in text.splitlines():
        label, words = line[:12].strip(), line[12:].strip()
        if label or not found:
            found.append([label, words])
        elif words:
            found[-1][1] += f" {words}"
    return [tuple(row) for row in found]


def test_text_of_one(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    found = one(
        findings=[("info", "a fact"), ("error", "a fault"), ("warning", "a doubt")],
        study=measured(),
        precision=Precision({Q: HALF, V: GONE}),
    )
    text = checks.text([found], None, tensors=True)
    said = rows(text)
    assert text.splitlines()[0] == "one"
    assert ("measured", "‖ΔW‖ 3 · effective rank 1.5") in said
    merged = dict(said)["in bf16"]
    assert merged == (
        f"cosine 0.500 to ΔW, rounding error 75.00% of its energy (worst: {Q}, 0.500) · ‖ΔW‖/‖W₀‖ 4.0e-01, 5.0e-01 to 5.0e-01 by module"
    )
    assert [label for label, _ in said if label[:2] in {"✗ ", "! ", "i "}] == ["✗ error", "! warning", "i info"]
    assert "nothing wrong was found" not in text
    lines = text.splitlines()
    assert max(len(line) for line in lines if "/x" not in line and "lora" not in line) <= 60
    assert "  used      F32   2×3          q.lora_A" in lines
    assert "  ignored   BF16  3            q.bias  (a bias)" in lines
    assert text.endswith("1 adapter: 0 ok, 1 with errors (one).\n")
    assert "q.bias" not in checks.text([found], None, tensors=False)


@pytest.mark.parametrize(
    ("study", "words"),
    [
        (measured(rank=np.nan), "‖ΔW‖ 3 · effective rank n/a"),
        (measured(left_out=0.0), "‖ΔW‖ 3 · effective rank 1.5"),
        (measured(left_out=0.0123), "‖ΔW‖ 3 · effective rank 1.5 · 1.23% of the energy left out"),
        (None, None),
    ],
)
def test_what_was_measured_in_words(study, words):
    assert dict(rows(checks.text([one(study=study)], None, tensors=False))).get("measured") == words


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({Q: GONE}, "ΔW is zero: nothing to lose"),
        ({}, None),
        ({Q: Merged(4.0, 1.0, 1.0, 1.0), V: HALF}, f"cosine 0.632 to ΔW, rounding error 60.00% of its energy (worst: {V}, 0.500) · ‖ΔW‖/‖W₀‖ 5.0e-01, 5.0e-01 to 5.0e-01 by module"),
        ({Q: HALF, V: Merged(400.0, 4.0, 4.0, 4.0)}, f"cosine 0.791 to ΔW, rounding error 37.50% of its energy (worst: {Q}, 0.500) · ‖ΔW‖/‖W₀‖ 1.4e-01, 1.0e-01 to 5.0e-01 by module"),
    ],
)  # fmt: skip
def test_a_merge_in_words(modules, words):
    assert dict(rows(checks.text([one(precision=Precision(modules))], None, tensors=False))).get("in bf16") == words


FINE, ODD, WRONG = [], [("warning", "w")], [("error", "e"), ("warning", "w")]


@pytest.mark.parametrize(
    ("findings", "side", "unopened", "words"),
    [
        ([FINE], None, 0, "1 adapter: 1 ok."),
        ([FINE, [("info", "i")]], ALIKE, 0, "2 adapters: 2 ok."),
        ([FINE, ODD, ODD], ALIKE, 0, "3 adapters: 1 ok, 2 with warnings."),
        (
            [FINE, ODD, WRONG, WRONG],
            None,
            2,
            "4 adapters: 1 ok, 1 with warnings, 2 with errors (n2, n3); 2 could not be opened.",
        ),
        ([FINE, FINE], SIDE, 1, "2 adapters: 2 ok; side by side 2 warnings; 1 could not be opened."),
        ([FINE, FINE], replace(SIDE, misshapen=()), 0, "2 adapters: 2 ok; side by side 1 warning."),
    ],
)
def test_the_last_line_counts(findings, side, unopened, words):
    found = [one(opened(f"n{n}"), findings=some) for n, some in enumerate(findings)]
    text = checks.text(found, side, unopened=unopened, tensors=False)
    assert text.endswith(f"\n\n{words}\n")
    assert ("side by side\n" in text) == (side is not None)
    assert text.count("nothing wrong was found") == sum(not any(s != "info" for s, _ in some) for some in findings)
    if side is not None:
        said = dict(rows(text[text.index("side by side\n") :]))
        bases = {id(ALIKE): "org/x (2)"}.get(id(side), "org/x (2); not named (1)")
        assert (said["bases"], said["modules"]) == (bases, f"{side.common} in all adapters of {side.modules} in any")


def test_without_bases_side_by_side_that_of_all_is_given():
    assert "  bases     given" in checks.text([one(), one()], replace(ALIKE, bases={}), tensors=False)


def test_a_warning_of_the_merge_where_much_is_lost():
    for both, told in ((0.89, True), (0.9, False), (0.91, False)):
        said = Precision({Q: Merged(1.0, 1.0, 1.0, both)}).findings()
        assert [f.severity for f in said] == ["warning"] * told
        if told:
            assert "its cosine to ΔW is 0.89, its rounding error 22% of ΔW's energy" in said[0].text
    assert Precision({Q: GONE}).findings() == ()
    assert Merged(4.0, 2.0, 8.0, -1.0).energy_lost == 6.0
    assert Merged(4.0, 2.0, 2.0, 2.0 + 1e-9).energy_lost == 0.0


def test_no_modules_no_values_and_no_base_no_more():
    bare = replace(opened(findings=(HealthIssue("error", "empty"),)), modules={})
    found = checked(bare, None)
    assert (found.study, found.values, found.fit, found.precision, found.holds) == (None, None, None, None, False)
    calls = []
    found = checked(opened(), None, progress=lambda *call: calls.append(call))
    assert calls[-1] == ("one: values", 2, 2)
    assert (found.fit, found.precision, found.holds) == (None, None, True)
    assert found.number("norm") == pytest.approx(2 * 2)  # two modules of 2·I₂
    assert np.isnan(found.number("cka"))
