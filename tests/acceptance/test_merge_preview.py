"""`inspector merge-preview` as a user runs it, against dense float64 sums of the bundled adapters."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from inspector.tables.tables import significant
from inspector.workflows.merge_preview import weighted
from tests.acceptance.command import DEMO, inspector
from tests.makers import random_factors, write_adapter, write_random

ENDS = ("lora_A.weight", "lora_B.weight")


def updates(folder, scale=2.0):
    """Tensor path -> ΔW."""
    factors = load_file(folder / "adapter_model.safetensors")
    return {
        key.removesuffix(ENDS[0]): scale * (factors[key.replace(*ENDS)].double() @ A.double()).numpy()
        for key, A in factors.items()
        if key.endswith(ENDS[0])
    }


@pytest.fixture(scope="module")
def dense():
    sft, dpo = updates(DEMO / "sft"), updates(DEMO / "dpo")
    return {"sft": sft, "dpo": dpo, "sum": {key: 0.5 * sft[key] - 2 * dpo[key] for key in sft}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("merge")
    done = inspector(
        "merge-preview", f"sft={DEMO / 'sft'}:0.5", f"{DEMO / 'dpo'}:-2",
        "--by", "layer", "--by", "projection", "--out", folder / "t.json", "--write", folder / "merged",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done, folder


def value(table, metric, scope="global", **where):
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    (found,) = [
        r for r in rows if r["metric"] == metric and r["scope"] == scope and all(r[k] == v for k, v in where.items())
    ]
    return found["value"]


def norm(deltas, keep=""):
    return np.sqrt(sum((W**2).sum() for key, W in deltas.items() if keep in key))


def test_the_table_has_the_sums_numbers(run, dense):
    table = json.loads((run[1] / "t.json").read_text())["table"]
    assert value(table, "merge_weight", a="dpo") == -2
    assert value(table, "sum_norm") == pytest.approx(norm(dense["sum"]), rel=1e-9)
    energy = 0.25 * norm(dense["sft"]) ** 2 + 4 * norm(dense["dpo"]) ** 2
    assert value(table, "sum_energy_ratio") == pytest.approx(norm(dense["sum"]) ** 2 / energy, rel=1e-9)
    for name in "sft", "dpo":
        inner = sum((dense["sum"][key] * W).sum() for key, W in dense[name].items())
        cosine = inner / norm(dense["sum"]) / norm(dense[name])
        assert value(table, "sum_cosine", a=name) == pytest.approx(cosine, rel=1e-9)
    at = ".layers.7."
    energy = 0.25 * norm(dense["sft"], at) ** 2 + 4 * norm(dense["dpo"], at) ** 2
    ratio = norm(dense["sum"], at) ** 2 / energy
    assert value(table, "sum_energy_ratio", "layer", layer=7) == pytest.approx(ratio, rel=1e-9)
    pairs = [-2 * (dense["sft"][key] * dense["dpo"][key]).sum() for key in dense["sft"] if at in key]
    conflict = -sum(pair for pair in pairs if pair < 0) / energy
    assert value(table, "sum_interference", "layer", layer=7) == pytest.approx(conflict, rel=1e-9)
    sigma = np.array([np.linalg.svd(W, compute_uv=False)[:16] for key, W in dense["sum"].items() if at in key])
    kept = (sigma[:, :4] ** 2).sum() / (sigma**2).sum()
    assert value(table, "sum_energy_kept", "layer", layer=7, k=4) == pytest.approx(kept, rel=1e-9)
    first = value(table, "sum_singular_value", "module", layer=0, module="self_attn.k_proj", k=1)
    key = next(key for key in dense["sum"] if ".layers.0.self_attn.k_proj." in key)
    assert first == pytest.approx(np.linalg.norm(dense["sum"][key], 2), rel=1e-9)


def test_stdout_says_the_same_in_80_columns(run, dense):
    done, _ = run
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert done.stdout.startswith("sft ↔ dpo: Weights only: a little alike (cosine 0.21)")
    assert f"norm of the sum   {significant(norm(dense['sum']))}\n" in done.stdout
    assert "at rank 8" in done.stdout
    for title in "by projection", "by layer", "energy ratio of the sum:", "interference:":
        assert title in done.stdout
    assert "Wrote" in done.stderr
    assert "Wrote" not in done.stdout


def test_the_written_folder_is_the_sum(run, dense):
    config = json.loads((run[1] / "merged" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (16, 16)
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    found = updates(run[1] / "merged", 1.0)
    for key in list(dense["sum"])[::40]:
        assert np.abs(found[key] - dense["sum"][key]).max() < 1e-6 * np.linalg.norm(dense["sum"][key], 2)
    card = (run[1] / "merged" / "README.md").read_text()
    assert "| sft | 0.5 |" in card
    assert "| dpo | -2 |" in card


def test_an_existing_destination_a_missing_source_and_no_weight_are_refused(tmp_path):
    write_random(tmp_path / "a")
    for arguments, reason in (
        (["a:0.5", "--write", "a"], "a exists already"),
        (["a:0.5", "nowhere:0.5", "--write", "new"], "No file or folder 'nowhere' here"),
        (["a:abc"], "'a' is here, but 'abc' after it is not a weight: write 0 or a number of 1e-30 to 1e+30"),
        (["a:1e300"], "'a' is here, but '1e300' after it is not a weight"),
        (["a:-1e-300"], "'a' is here, but '-1e-300' after it is not a weight"),
        (["x=a:nan", "a"], "'x=a' is here, but 'nan' after it is not a weight"),
        (["a:0", "--write", "new"], "Every weight is 0"),
        (["a", "--rank", "0"], "0 is not in the range"),
        (["a", "--rank", "2", "--write", "new"], "--rank is of what is shown; --write writes the exact sum: run"),
    ):
        done = inspector("merge-preview", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_other_shapes_are_named_left_out_of_the_preview_and_never_written(tmp_path):
    write_random(tmp_path / "a")
    other = {"model.layers.0.self_attn.q_proj": (32, 16), "model.layers.1.self_attn.q_proj": (24, 16)}
    write_adapter(tmp_path / "b", random_factors(other))
    done = inspector("merge-preview", "a", "b:2", cwd=tmp_path)
    assert done.returncode == 3
    assert "0.self_attn.q_proj is left out: 24×16 in a, 32×16 in b" in done.stderr
    assert "2 adapters, 5 modules" in done.stdout
    done = inspector("merge-preview", "a", "b:2", "--write", "new", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "0.self_attn.q_proj cannot be added: 24×16 in a, 32×16 in b" in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("more", [(), ("--write", "new", "--out", "t.json")])
def test_a_sum_on_two_bases_is_refused(tmp_path, more):
    write_random(tmp_path / "a")
    write_random(tmp_path / "b", 1, base="org/other")
    done = inspector("merge-preview", "a:0.5", "b", *more, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a names the base tiny/base, b names org/other, and their sum fits neither" in " ".join(done.stderr.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_base_under_another_owner_has_a_preview_and_is_not_written(tmp_path):
    write_random(tmp_path / "a")
    write_random(tmp_path / "b", 1, base="mirror/base")
    assert inspector("merge-preview", "a:0.5", "b", cwd=tmp_path).returncode == 0
    done = inspector("merge-preview", "a:0.5", "b", "--write", "new", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a names the base tiny/base, b names mirror/base" in " ".join(done.stderr.split())


def test_a_sum_without_something_of_a_parent_exits_with_3(tmp_path):
    path = "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"
    write_adapter(tmp_path / "dora", random_factors(), extra={path: torch.ones(24)}, use_dora=True)
    write_random(tmp_path / "lora", 1)
    done = inspector("merge-preview", "dora", "lora:0.5", "--write", "new", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert f"dora has 1 tensor, such as {path}, that are not part of the sum: DoRA magnitudes" in done.stderr
    assert (tmp_path / "new" / "adapter_config.json").exists()
    done = inspector("merge-preview", "dora:0", "lora:0.5", "--write", "other", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out/sft:0.5", ("out/sft", 0.5)),
        ("out/sft", ("out/sft", 1.0)),
        ("x=org/repo@v2:adapters/sft:-1e-1", ("x=org/repo@v2:adapters/sft", -0.1)),
        ("org/repo:adapters/sft", ("org/repo:adapters/sft", 1.0)),
        ("org/repo:500:1", ("org/repo:500", 1.0)),
        ("a:nan", ("a:nan", 1.0)),
        ("a:1e999", ("a:1e999", 1.0)),
        ("a:.5", ("a", 0.5)),
        ("here:2", ("here:2", 1.0)),
    ],
)
def test_a_weight_is_the_number_after_the_last_colon(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here:2").mkdir()
    assert weighted(text) == expected
