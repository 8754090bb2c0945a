"""`inspector check` as a user or a script runs it."""

import json

import pytest
import torch

from tests.acceptance.command import inspector
from tests.base_model.tiny_model import saved_adapter, saved_base
from tests.makers import lora_tensors, random_factors, write_adapter, write_config, write_random

Q0 = "model.layers.0.self_attn.q_proj"


def with_nan(factors):
    B, A = factors[Q0]
    return factors | {Q0: (B * torch.nan, A)}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Adapters with one fault each."""
    root = tmp_path_factory.mktemp("zoo")
    factors = random_factors()
    write_random(root / "fine")
    write_adapter(root / "dead", {path: (0 * B, A) for path, (B, A) in factors.items()})
    write_adapter(root / "nan", with_nan(factors))
    half = lora_tensors(factors)
    del half[f"base_model.model.{Q0}.lora_B.weight"]
    write_adapter(
        root / "half", {}, r=4, extra=half | {"x.bias": torch.zeros(3)}, alpha_pattern={"q_proj": 4, "k_proj": 2}
    )
    write_config(root / "empty")
    return root


@pytest.fixture(scope="module")
def report(zoo):
    """What the whole zoo comes to, as JSON."""
    done = inspector("check", zoo, "--json", "--tensors")
    assert done.returncode == 1, done.stderr
    assert "empty" in done.stderr
    return json.loads(done.stdout)


def one(report, name):
    (found,) = (a for a in report["adapters"] if a["name"] == name)
    return found


def texts(found, severity):
    return [f["text"] for f in found["findings"] if f["severity"] == severity]


def test_every_source_is_in_the_report(report):
    assert report["version"] == 1
    assert report["base"] is None
    assert {a["name"]: a["holds"] for a in report["adapters"]} == {
        "fine": True, "dead": False, "nan": False, "half": False,
    }  # fmt: skip
    (failure,) = report["failures"]
    assert failure["source"].endswith("empty")
    assert not failure["skipped"]


def test_a_fine_adapter(report):
    fine = one(report, "fine")
    assert fine["findings"] == []
    assert fine["tensors"] == {"total": 12, "used": 12, "ignored": 0, "unknown": 0}
    assert fine["scales"] == [{"scale": 4.0, "origin": "α/r = 16/4", "modules": 6}]
    assert (fine["ranks"], fine["modules"], fine["base"], fine["dtype"]) == ([4], 6, "tiny/base", "F32")
    assert fine["dead"] == fine["nonfinite"] == fine["one_direction"] == []
    assert fine["outliers"] == {}
    assert fine["norm"] > 0
    assert fine["not_in_base"] is fine["bf16_merge"] is None


def test_dead_and_not_finite_modules_are_named(report):
    assert len(one(report, "dead")["dead"]) == 6
    assert "never trained" in texts(one(report, "dead"), "error")[0]
    assert one(report, "nan")["nonfinite"] == ["0.self_attn.q_proj"]
    assert texts(one(report, "nan"), "error")[0].startswith("NaN or Inf in 1 of 6 modules")


def test_every_tensor_has_a_class_and_those_not_used_a_reason(report):
    half = one(report, "half")
    listed = half["tensor_list"]
    assert len(listed) == half["tensors"]["total"] == 12
    assert half["tensors"] == {"total": 12, "used": 10, "ignored": 1, "unknown": 1}
    assert {t["key"] for t in listed if t["class"] == "unknown"} == {f"base_model.model.{Q0}.lora_A.weight"}
    assert all((t["reason"] is None) == (t["class"] == "used") for t in listed)
    assert half["excluded"] == ["0.self_attn.q_proj"]


def test_scales_say_which_pattern_hit_and_which_meets_nothing(report):
    half = one(report, "half")
    assert {(s["scale"], s["origin"], s["modules"]) for s in half["scales"]} == {
        (1.0, "alpha_pattern 'q_proj': α/r = 4/4", 2),
        (4.0, "α/r = 16/4", 3),
    }
    assert "alpha_pattern: no module is hit by k_proj" in texts(half, "warning")


def test_side_by_side(report):
    together = report["together"]
    assert together["bases"] == [{"base": "tiny/base", "adapters": ["dead", "fine", "half", "nan"]}]
    assert len(together["families"]) == 1
    assert (together["modules"], together["common_modules"]) == (6, 5)


def test_as_text(zoo):
    done = inspector("check", zoo / "fine", zoo / "half")
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert "tensors   12: 10 used, 1 ignored, 1 not understood" in done.stdout
    assert "scale     4 (α/r = 16/4): 3 modules" in done.stdout
    assert "nothing wrong was found" in done.stdout
    assert done.stdout.endswith("2 adapters: 1 ok, 1 with errors (half).\n")
    assert max(map(len, done.stdout.splitlines())) <= 80 + len(str(zoo))


def test_a_layer_of_halves_is_an_error_that_names_its_modules(tmp_path):
    tensors = lora_tensors(random_factors())
    gone = [key for key in tensors if ".layers.0." in key and "lora_A" in key]
    assert gone
    write_adapter(tmp_path / "damaged", {}, r=4, extra={k: t for k, t in tensors.items() if k not in gone})
    done = inspector("check", tmp_path / "damaged", COLUMNS="1000")
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if "✗ error" in line)
    assert f"{len(gone)} tensors not understood, only A or only B of the module is there, without its lora_A" in line
    assert all(key.replace("lora_A", "lora_B") in line for key in gone)
    done = inspector("analyze", tmp_path / "damaged")
    assert done.returncode == 3
    assert "without its lora_A" in done.stdout


def test_an_untrained_adapter_has_no_effective_rank(zoo):
    told = inspector("check", zoo / "dead").stdout
    assert "‖ΔW‖ 0 · effective rank n/a" in told
    assert "nan" not in told.replace(str(zoo), "")
    said = inspector("analyze", zoo / "dead", zoo / "fine", "--summary").stdout
    assert "dead: some or all modules could not be used; `inspector check` says why." in said


def test_exit_codes(zoo):
    rest_is_fine = inspector("check", zoo / "fine", zoo / "empty")
    assert (rest_is_fine.returncode, "1 ok" in rest_is_fine.stdout) == (3, True)
    nothing = inspector("check", zoo / "empty", "--json")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr.startswith("Error: ")
    assert "Traceback" not in nothing.stderr


def test_a_base_that_cannot_be_had_is_bad_input(zoo, tmp_path):
    done = inspector("check", zoo / "fine", "--base", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "config.json" in done.stderr


def test_against_a_base(tmp_path):
    base = saved_base(tmp_path / "base")
    fits = saved_adapter(tmp_path / "fits", 1)
    done = inspector("check", fits, write_random(tmp_path / "other"), "--base", base, "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["base"] == str(base)
    good, other = one(report, "fits"), one(report, "other")
    assert good["holds"]
    assert (good["not_in_base"], good["other_shape_in_base"]) == ([], {})
    assert set(good["bf16_merge"]["modules"]) == {f"{n}.self_attn.{e}_proj" for n in range(2) for e in "qv"}
    assert 0.99 < good["bf16_merge"]["cosine"] <= 1
    assert other["not_in_base"] == ["2.self_attn.q_proj", "2.self_attn.v_proj"]
    assert other["other_shape_in_base"]["0.self_attn.v_proj"] == [16, 32]
