"""`inspector analyze` on the bundled adapters, against dense float64 sums made here."""

import csv
import json
import re

import numpy as np
import pytest
from safetensors.torch import load_file

from inspector.common.text import in_bytes, rounded
from tests.acceptance.command import DEMO, inspector
from tests.makers import write_random

NAMES = ["dft", "dpo", "rft", "sft", "sft_s123"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The exported rows of the whole demo set as dictionaries."""
    out = tmp_path_factory.mktemp("out") / "t.csv"
    done = inspector("analyze", DEMO, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def dense():
    """{name: {module: ΔW}} in float64, α/r = 2."""

    def updates(name):
        factors = load_file(DEMO / name / "adapter_model.safetensors")
        ends = ("lora_A.weight", "lora_B.weight")
        return {
            key.removesuffix(ends[0]): 2 * (factors[key.replace(*ends)].double() @ A.double()).numpy()
            for key, A in factors.items()
            if key.endswith(ends[0])
        }

    return {name: updates(name) for name in NAMES}


def value(table, metric, scope="global", **where):
    found = [r for r in table if r["metric"] == metric and r["scope"] == scope]
    found = [r for r in found if all(r[k] == str(v) for k, v in where.items())]
    assert len(found) == 1, (metric, scope, where, len(found))
    return float(found[0]["value"])


@pytest.mark.parametrize("name", NAMES)
def test_norms(table, dense, name):
    expected = np.sqrt(sum((W**2).sum() for W in dense[name].values()))
    assert value(table, "norm", a=name) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("a", "b"), [("dft", "rft"), ("rft", "sft"), ("sft", "sft_s123")])
def test_cosines(table, dense, a, b):
    def stacked(keep):
        inner = sum((dense[a][m] * dense[b][m]).sum() for m in dense[a] if keep(m))
        squares = [sum((dense[x][m] ** 2).sum() for m in dense[x] if keep(m)) for x in (a, b)]
        return inner / np.sqrt(squares[0] * squares[1])

    assert value(table, "cosine", a=a, b=b) == pytest.approx(stacked(lambda _m: True), abs=1e-9)
    assert value(table, "cosine", "layer", a=a, b=b, layer=7) == pytest.approx(
        stacked(lambda m: ".layers.7." in m), abs=1e-9
    )


def test_directions_and_ranks_by_dense_svd(table, dense):
    """The two seeds share output directions, not input directions: by SVD of every tenth module."""
    modules = [m for m in dense["sft"] if any(f".layers.{n}." in m for n in (0, 10, 20)) and "q_proj" in m]
    for module in modules:
        (U, s, Vh), (U2, _, Vh2) = (np.linalg.svd(dense[n][module]) for n in ("sft", "sft_s123"))
        where = {
            "a": "sft", "b": "sft_s123", "scope": "module",
            "layer": module.split(".layers.")[1].split(".")[0], "module": "self_attn.q_proj",
        }  # fmt: skip
        assert value(table, "u1", **where) == pytest.approx(abs(U[:, 0] @ U2[:, 0]), abs=1e-7)
        assert value(table, "v1", **where) == pytest.approx(abs(Vh[0] @ Vh2[0]), abs=1e-7)
        p = s[:8] / s[:8].sum()
        rank = value(table, "effective_rank", **where | {"a": "sft", "b": ""})
        assert rank == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-9)


def test_the_overview_on_stdout(dense):
    """Groups and what follows, then nothing: no table that does not fit."""
    done = inspector("analyze", DEMO, COLUMNS="80")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "  11 adapters of SmolLM2-135M-Instruct · rank 8 · k o q v · all healthy"
    row = next(line.split() for line in lines if line.split()[1:2] == ["dft"])
    assert row[3] == f"{np.sqrt(sum((W**2).sum() for W in dense['dft'].values())):.2f}"
    assert "  A  mostly one direction, cosine 0.77 to 0.88 · ~ in part" in lines
    assert "  1 A holds 4 variants of one update, B 2: keep one of each, by accuracy." in lines
    assert max(map(len, lines)) <= 80
    assert "interference" not in done.stdout
    assert "--tables" in done.stderr
    assert "\x1b" not in done.stdout


def test_tables_on_stdout(dense):
    done = inspector("analyze", DEMO, "--tables")
    assert done.returncode == 0
    for name in NAMES:
        assert name in done.stdout
    assert f"{np.sqrt(sum((W**2).sum() for W in dense['dft'].values())):.2f}" in done.stdout
    assert "interference" in done.stdout
    assert "random" in done.stdout
    assert "Measuring 11 adapters" in done.stderr
    assert "\x1b" not in done.stdout


def test_without_a_terminal_the_app_commands_print_the_tables():
    for command in (("demo",), (str(DEMO / "sft"), str(DEMO / "rft"))):
        done = inspector(*command)
        assert done.returncode == 0, done.stderr
        assert "‖ΔW‖" in done.stdout
        assert "cosine" in done.stdout


def test_metric_modules_and_k(table):
    done = inspector("analyze", DEMO, "--metric", "cosine,norm", "--modules", "q_proj")
    assert done.returncode == 0
    assert "30 modules" in done.stdout
    assert "cosine by layer" in done.stdout
    assert "participation" not in done.stdout
    done = inspector("analyze", DEMO / "sft", DEMO / "rft", "--metric", "principal_angle", "--k", "3")
    assert done.returncode == 0
    smallest = value(table, "principal_angle", a="rft", b="sft", k=1)
    assert f"{smallest:.3f}" not in done.stdout  # k = 3 is another subspace than k = 10


def test_one_metric_is_printed_without_the_others():
    norm = inspector("analyze", DEMO / "sft", DEMO / "rft", "--metric", "norm").stdout
    assert "norm ‖ΔW‖, layer" in norm
    cosine = inspector("analyze", DEMO / "sft", DEMO / "rft", "--metric", "cosine").stdout
    assert "cosine by layer" in cosine
    assert "‖ΔW‖" not in cosine
    assert all(other not in told for told in (norm, cosine) for other in ("effective rank", "interference", "u₁"))


def test_a_saved_study_prints_the_same_tables(tmp_path):
    two = (DEMO / "sft", DEMO / "dpo")
    assert inspector("analyze", *two, "--out", tmp_path / "s.json").returncode == 0
    assert json.loads((tmp_path / "s.json").read_text())["settings"]["k"] == 10
    for options in ((), ("--tables",)):
        assert inspector("analyze", tmp_path / "s.json", *options).stdout == inspector("analyze", *two, *options).stdout


def test_long_names_fit_and_stay_apart(tmp_path):
    """What all share is printed once; matrices go on below each other."""
    stem = "run1-qwen3-4b-lora-r32-math-"
    names = [f"{method}-lr{rate}-s{seed}" for method in ("sft", "dpo") for rate in ("1e-4", "2e-5") for seed in (1, 42)]
    for at, name in enumerate(names):
        write_random(tmp_path / "set" / f"{stem}{name}", seed=at)
    for options in ((), ("--tables",), ("--metric", "cosine"), ("--summary",)):
        done = inspector("analyze", tmp_path / "set", *options, COLUMNS="80")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(stem) == 1, options
        assert all(name in done.stdout for name in names)
        rows = [line.rstrip() for line in done.stdout.splitlines() if line.startswith(" sft-lr1e-4-s1 ")]
        assert all(len(row) <= 80 for row in rows if row.split()[1] not in names), rows


def test_named_sources_and_duplicates(tmp_path):
    done = inspector("analyze", f"mine={DEMO / 'sft'}", f"theirs={DEMO / 'sft'}", "--out", tmp_path / "t.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert value(rows, "cosine", a="mine", b="theirs") == 1.0
    assert value(rows, "principal_angle", a="mine", b="theirs", k=8) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("analyze", "no/such/place"), 2, "no/such/place"),
        (("analyze", DEMO, "--metric", "cosinus"), 2, "No metric 'cosinus'"),
        (("analyze", DEMO, "--modules", "w_proj"), 2, "There are: k_proj, o_proj, q_proj, v_proj"),
        (("analyze", DEMO, "--out", "/no/such/folder/t.csv"), 2, "Cannot write"),
        (("analyze", DEMO, "--out", "t.xls"), 2, "must end in"),
        (("analyze", DEMO, "--device", "cuda:99"), 2, "device"),
        (("analyze", DEMO, "--k", "0"), 2, "--k"),
        (("analyze",), 2, "SOURCES"),
        ((), 2, "No terminal"),
    ],
)
def test_bad_input_is_one_clear_sentence(args, code, says):
    done = inspector(*args)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_one_bad_source_does_not_stop_the_others(tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    (broken / "adapter_model.safetensors").write_bytes(b"\x00\x01")
    done = inspector("analyze", DEMO / "sft", broken)
    assert done.returncode == 3
    assert "sft" in done.stdout
    assert "broken" in done.stderr


def test_what_a_shell_pattern_sweeps_up_is_skipped(tmp_path):
    (tmp_path / "README.md").write_text("about these adapters")
    done = inspector("analyze", DEMO / "sft", tmp_path / "README.md")
    assert done.returncode == 0
    assert "Skipped: " in done.stderr
    assert inspector("analyze", tmp_path / "README.md").returncode == 2


def test_nothing_heavy_before_it_is_needed():
    code = "import sys, inspector.cli.main as c; c.run(lambda: c.cli.main(['--help'], standalone_mode=False));"
    code += "print([m for m in ('torch', 'numpy', 'textual', 'transformers', 'plotext') if m in sys.modules])"
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n"), done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("analyse", DEMO), "Did you mean the command `inspector analyze`?"),
        (("analyze", DEMO, "--metric", "cosin"), "Did you mean cosine"),
        (("analyze", DEMO, "--limit", "5"), "--limit says how to run the base, and nothing asks for that: add --probe"),
        (("analyze", DEMO, "--out", "/no/such/folder/x.json"), "there is no folder /no/such/folder"),
        (("analyze", DEMO, "--probe", "lmx"), "No probe 'lmx'"),
        (("analyze", DEMO, "--probe", "lmc", "--pair", "sft:sft"), "names the same adapter twice"),
        (("analyze", DEMO, "--summary", "--metric", "norm"), "--summary and --metric print different things: give one"),
        (("analyze", DEMO, "--group-by", "lr", "--metric", "norm"), "--group-by and --metric print different things"),
        (("analyze", DEMO, "--summary", "--group-by", "lr"), "--summary and --group-by print different things"),
    ],
)
def test_mistakes_are_said_before_anything_is_measured(args, said):
    done = inspector(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Measuring" not in done.stderr


def test_summary_is_sentences_about_the_demo():
    done = inspector("analyze", DEMO, "--summary")
    assert done.returncode == 0
    assert "dpo and dpo_lr2e-4 are one direction: cosine 0.97." in done.stdout
    assert "! " in done.stdout


def test_groups_of_the_demo():
    done = inspector("analyze", DEMO, "--group-by", "method")
    assert done.returncode == 0
    pairs = [line.split() for line in done.stdout.splitlines() if line.split()[:2] == ["sft", "sft_s123"]]
    assert pairs[0][2:4] == ["seed", "different"]
    assert float(pairs[0][4]) < 0.1
    assert float(pairs[0][6]) > 0.7
    lineage = [line.split() for line in done.stdout.splitlines() if line.split()[:2] == ["sft_s123", "2"]]
    assert all(float(value) < 0.1 for value in lineage[0][2:-1])
    assert lineage[0][-1] == "1.00"


@pytest.mark.parametrize("option", ["--summary", "--tables"])
def test_what_is_printed_is_not_written(option, tmp_path):
    done = inspector("analyze", DEMO, option, "--out", tmp_path / "x.json")
    assert done.returncode == 2
    assert f"{option} prints" in done.stderr


def test_two_things_to_print_are_refused():
    done = inspector("analyze", DEMO, "--summary", "--tables")
    assert done.returncode == 2
    assert "--tables and --summary print different things" in done.stderr


def test_one_adapter_in_the_singular_and_small_numbers_as_they_are(tmp_path):
    write_random(tmp_path / "one")
    done = inspector("analyze", tmp_path / "one", "--tables", cwd=tmp_path)
    title = next(line for line in done.stdout.splitlines() if line.startswith("1 adapter"))
    assert title.startswith("1 adapter, ")
    (parameters,) = re.findall(r"parameters ([\d,]+)", done.stdout)
    number = int(parameters.replace(",", ""))
    assert f"Measuring 1 adapter ({rounded(number)} parameters) on " in done.stderr
    saved = inspector("analyze", tmp_path / "one", "--out", tmp_path / "one.json", cwd=tmp_path)
    assert f"({in_bytes((tmp_path / 'one.json').stat().st_size)})." in saved.stderr
