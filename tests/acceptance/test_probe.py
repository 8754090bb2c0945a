"""`analyze --probe` as a user runs it: on a tiny base, to a file and back, and everything that can be mistyped."""

import csv
import json

import pytest
from huggingface_hub import constants

from inspector.cli import main
from inspector.study.export import load
from tests.acceptance.command import ALL, FEW, inspector
from tests.base_model.tiny_model import saved_adapter, saved_base

pytestmark = pytest.mark.slow
GIVEN = "--limit", "6", "--device", "cpu", "--prompts", "arithmetic"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    base = saved_base(folder / "base")
    for seed, name in enumerate("ab"):
        saved_adapter(folder / name, seed, base=str(base))
    return folder


def probe(place, *args, known=ALL, **env):
    env = {"XDG_CACHE_HOME": str(place / "cache")} | env
    return inspector("analyze", place / "a", place / "b", *GIVEN, *args, known=known, **env)


def test_tables_on_stdout(place):
    done = probe(place, "--probe", "lmc,cka,lens,intruders", "--alphas", "0,0.5,1", known=FEW)
    assert done.returncode == 0, done.stderr
    for words in (
        "connectivity: 6 prompts of arithmetic on", "(cpu, float32); loss: boxed", "the base alone (ΔW = 0):",
        "with 95 % bootstrap intervals over examples", "CKA (debiased) by layer",
        "with the prompts of one side shuffled: 0.00 ± 0.33 (mean ± sd over all orders",  # √(2/(6·3))
        "‖ΔW‖/‖W₀‖", "lens depth", "at the last", "intruders", "L(1) − L(0)",
    ):  # fmt: skip
        assert words in " ".join(done.stdout.split())  # where lines break depends on the base's path
    lines = done.stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("barrier above"))
    above = " ".join(lines[lines.index(next(line for line in lines if "the base alone" in line)) : at])
    assert "caution: 6 prompts, below 20: so few scatter more than adapters differ" in above
    assert "Probing: at most" in done.stderr


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_a_study_with_probes_opens_again_whole(place, suffix):
    out = place / f"study.{suffix}"
    done = probe(place, "--probe", "lmc,cka,lens", "--alphas", "0,0.25,1", "--out", out)
    assert done.returncode == 0, done.stderr
    study = load(out)
    assert study.alphas == (0.0, 0.25, 1.0)
    assert study.depth == 2
    assert {info.probe for info in study.probes} == {"weights", "lmc", "cka", "lens"}
    again = place / f"again.{suffix}"
    from inspector.study.export import save

    save(study, again)
    for key, values in load(again).blocks.items():
        assert str(values) == str(study.blocks[key]), key


def test_the_tidy_table_of_a_curve(place):
    out = place / "study.csv"
    assert probe(place, "--probe", "lmc", "--alphas", "0,0.25,1", "--out", out, "--metric", "lmc_loss").returncode == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    found = [(r["a"], r["b"], r["scope"], float(r["k"])) for r in rows]
    assert found[:3] == [("a", "b", "global", 0.0), ("a", "b", "global", 0.25), ("a", "b", "global", 1.0)]
    by = {(r["a"], float(r["k"])): r["value"] for r in rows}
    assert by["a", 1.0] == by["b", 0.0]


def test_rollouts_of_a_file(place):
    rows = [{"prompt": f"{n}+1?", "completion": f"it is {n + 1}", "answer": str(n + 1)} for n in range(4)]
    (place / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = probe(place, "--probe", "lmc", "--loss", "rollouts", "--prompts", place / "r.jsonl", "--alphas", "0,1")
    assert done.returncode == 0, done.stderr
    assert "4 prompts of r.jsonl" in done.stdout
    assert "loss: rollouts" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--probe", "lmx"), "No probe 'lmx': one of lmc, cka"),
        (("--probe", "lmc", "--base", "no/where-at-all"), "no/where-at-all"),
        (("--probe", "lmc", "--prompts", "gone.jsonl"), "No problems 'gone.jsonl'"),
        (("--probe", "lmc", "--alphas", "nan"), "A point of a path is a number α between -10 and 10"),
        (("--probe", "lmc", "--pair", "a"), "--pair 'a' names no two adapters: write A:B"),
        (("--probe", "lmc", "--pair", "a:z"), "No adapter 'z' is open"),
        (("--probe", "lmc", "--alphas", "0,x"), "--alphas '0,x' is not a list of numbers"),
        (("--probe", "cka", "--dtype", "int3"), "No dtype 'int3'"),
    ],
)
def test_mistakes_are_one_sentence_and_code_2(place, args, said, monkeypatch, capsys):
    """In this process: none of them is of the process."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    command = ["analyze", *(str(place / name) for name in "ab"), *GIVEN, *args]
    assert main.run(lambda: main.cli.main(command, standalone_mode=False)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_base_that_does_not_fit_is_refused_with_the_first_mismatch(place):
    wrong = saved_base(place / "wrong")
    config = json.loads((wrong / "config.json").read_text())
    (wrong / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    done = probe(place, "--probe", "lmc", "--base", wrong)
    assert done.returncode == 2
    assert "does not fit a: it has no module 1.self_attn." in done.stderr


def test_a_saved_study_cannot_be_probed_without_its_adapters(place):
    out = place / "plain.json"
    assert inspector("analyze", place / "a", place / "b", "--out", out).returncode == 0
    done = inspector("analyze", out, "--probe", "lmc")
    assert done.returncode == 2
    assert "name its adapters to probe them" in done.stderr
