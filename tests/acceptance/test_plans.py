"""`inspector train all --dry-run` of the recipes that ship, for 1, 4 and 8 processes: on a tiny base, and as shaped."""

import json
import re

import pytest
from transformers import Qwen3Config

from inspector.cli import main
from tests.base_model.tiny_model import saved_base, tiny_tokenizer
from tests.trainer.small import rollouts
from trainer.methods import STUDY
from trainer.recipes.file import recipes
from trainer.runs import estimates
from trainer.runs.speed import Speed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def planned(capsys, *words):
    """(exit code, what stdout has of each run)."""
    code = main.run(lambda: main.cli.main(["train", "all", "--dry-run", *map(str, words)], standalone_mode=False))
    out, err = capsys.readouterr()
    return code, re.split(r"(?m)^(?=\S*/out/)", out)[1:], err


@pytest.mark.parametrize("processes", [1, 4, 8])
@pytest.mark.parametrize("recipe", [name for name in recipes() if name != "demo-smollm2"])
def test_every_method_of_the_study(recipe, processes, tmp_path, capsys, monkeypatch):
    """Eight completions a prompt and 32 a step: on eight processes half a group each. Measured once in a plan."""
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    times = []
    monkeypatch.setattr(estimates, "measured", lambda *given: times.append(given) or Speed(1e12, 1e12, 0.01, "so fast"))
    base = saved_base(tmp_path / "base")
    words = ("--rollouts", rollouts(tmp_path), "--out", tmp_path / "out", "--base", base, "--recipe", recipe)
    code, plans, err = planned(capsys, *words)
    assert code == 0, err
    assert {plan.splitlines()[1].partition(" ")[0] for plan in plans} == set(STUDY)
    micro = {1: "8 × 4", 4: "8 × 1", 8: "4 × 1"}[processes]
    shared = "1 process\n" if processes == 1 else f"{processes} processes\n"
    assert all(f"batch     32 = {micro} accumulated × {shared}" in plan for plan in plans)
    assert all("at so fast" in plan for plan in plans)
    assert len(times) == 2, "once for passes, once more with completions"


def test_qwen3_4b_on_a_card(tmp_path, capsys):
    """The study's base by its shape: 23.6M weights train, a third of the memory and eight times the speed on eight."""
    config = Qwen3Config(
        hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32, num_key_value_heads=8,
        head_dim=128, vocab_size=151936, tie_word_embeddings=True, architectures=["Qwen3ForCausalLM"],
    )  # fmt: skip
    config.save_pretrained(tmp_path / "Qwen3-4B-Instruct-2507")
    tiny_tokenizer().save_pretrained(tmp_path / "Qwen3-4B-Instruct-2507")
    words = ("--rollouts", rollouts(tmp_path), "--out", tmp_path / "out", "--base", tmp_path / "Qwen3-4B-Instruct-2507")
    code, plans, err = planned(capsys, *words, "--gpu", "h100")
    assert code == 0, err
    assert all("adapter   23.59M weights of 4022M" in plan for plan in plans)
    assert all("277 TFLOP/s, 28% of h100's data sheet: a table's value, not measured" in plan for plan in plans)
    gigabytes = [float(re.search(r"memory +about ([\d.]+) GB", plan)[1]) for plan in plans]
    assert all(8 < value < 80 for value in gigabytes)
    assert [("to sample" in plan) for plan in plans] == [name.startswith("online") for name in STUDY]
    assert json.loads((tmp_path / "Qwen3-4B-Instruct-2507" / "config.json").read_text())["num_hidden_layers"] == 36


def test_a_card_is_of_a_plan_alone(tmp_path, capsys):
    words = ("--rollouts", str(rollouts(tmp_path)), "--out", str(tmp_path / "out"), "--gpu", "h100")
    assert main.run(lambda: main.cli.main(["train", "sft", *words], standalone_mode=False)) == 2
    assert "Error: --gpu h100 is what a plan is made for: add --dry-run." in capsys.readouterr().err
