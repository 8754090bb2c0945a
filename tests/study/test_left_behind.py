"""Facts of a run from what other trainings leave, each with the file that tells it."""

import json
import pickle
import zipfile

import pytest
import torch

from inspector.adapters.opening import open_sources
from inspector.adapters.options import ReadOptions
from inspector.study.provenance import UNKNOWN, Origin, origin_of
from tests.makers import random_factors, write_adapter

CARD = """---
base_model: Qwen/Qwen3-4B
library_name: peft
tags:
- base_model:adapter:Qwen/Qwen3-4B
- {tag}
- lora
- transformers
- trl
---

# Model Card

- learning_rate: 0.0002
- train_batch_size: 8
- seed: 7
- lr_scheduler_type: cosine
- training_steps: 300
"""


def test_a_model_card(tmp_path):
    (tmp_path / "README.md").write_text(CARD.format(tag="dpo"))
    told = Origin("dpo", 2e-4, 7, steps=300, told_by="README.md")
    assert origin_of(tmp_path, "final") == told
    assert told.label == "dpo, lr 0.0002, seed 7, 300 steps"
    (tmp_path / "README.md").write_text("---\ntags: [trl, 'grpo']\n---\nseed: 3")
    assert origin_of(tmp_path, "final") == Origin("grpo", told_by="README.md")
    (tmp_path / "README.md").write_text(CARD.format(tag="dpo\n- sft"))
    assert origin_of(tmp_path, "final").method == ""  # two methods are none


def state(folder, rates=(1e-4, 1.9e-4, 5e-5), steps=300):
    folder.mkdir(parents=True, exist_ok=True)
    history = [{"step": n, "loss": 1.0, "learning_rate": rate} for n, rate in enumerate(rates)]
    (folder / "trainer_state.json").write_text(json.dumps({"max_steps": steps, "log_history": history}))


def test_the_rate_of_a_log_is_a_lower_bound_and_no_rate(tmp_path):
    state(tmp_path)
    found = origin_of(tmp_path, "final")
    assert found == Origin(steps=300, logged_lr=1.9e-4, told_by="trainer_state.json")
    assert (found.lr, found.label) == (None, "lr at least 0.00019, 300 steps")


def test_a_checkpoint_takes_what_it_has_and_the_rest_of_its_run_and_its_name(tmp_path):
    run = tmp_path / "mine_lr2e-4_s9"
    state(run / "checkpoint-100")
    (run / "README.md").write_text("---\ntags: [trl, sft]\n---\n")
    found = origin_of(run / "checkpoint-100", "x", "mine_lr2e-4_s9")
    assert (found.method, found.lr, found.seed, found.steps, found.step) == ("sft", 2e-4, 9, 300, 100)
    assert found.told_by == "trainer_state.json, README.md, name"


def test_the_header_of_recorded_weights_comes_first(tmp_path):
    header = {"format": "adapter-inspector weights", "modules": [], "method": "sft", "lr": 3e-4, "seed": 1, "steps": 50}
    (tmp_path / "weights.jsonl").write_text(json.dumps(header) + "\n{")
    (tmp_path / "README.md").write_text(CARD.format(tag="dpo"))
    assert origin_of(tmp_path, "x") == Origin("sft", 3e-4, 1, steps=50, told_by="weights.jsonl")


@pytest.mark.filterwarnings("ignore")
def test_arguments_are_read_with_leave_only_and_by_no_class_of_theirs(tmp_path):
    from trl import DPOConfig

    for max_steps, steps in ((40, 40), (-1, None), (0, None)):  # -1, TRL's default: as many as the epochs take
        config = DPOConfig(str(tmp_path), learning_rate=5e-6, seed=11, max_steps=max_steps, report_to=[], use_cpu=True)
        torch.save(config, tmp_path / "training_args.bin")
        assert origin_of(tmp_path, "x") == UNKNOWN
        found = origin_of(tmp_path, "x", allow_pickle=True)
        assert found == Origin("dpo", 5e-6, 11, steps=steps, told_by="training_args.bin")


class Bomb:
    def __reduce__(self):
        import os

        return os.system, ("touch bang",)


def test_a_pickle_that_would_run_code_runs_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(tmp_path / "training_args.bin", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"learning_rate": Bomb()}))
    assert origin_of(tmp_path, "x", allow_pickle=True) == UNKNOWN
    assert not (tmp_path / "bang").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", b"---\ntags: \xff\xfe\n---\n- learning_rate: 1e999\n- seed: 1e400"),
        ("README.md", b"---\ntags:\n  - [[[\n---"),
        ("trainer_state.json", b'{"max_steps": "many", "log_history": [1, {"learning_rate": "x"}]}'),
        ("trainer_state.json", b'{"max_steps": -1}'),
        ("trainer_state.json", b"[" * 10_000),
        ("training_args.bin", b"PK\x03\x04 no archive"),
        ("weights.jsonl", b"\x00"),
    ],
)
def test_odd_files_tell_nothing(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert origin_of(tmp_path, "x", allow_pickle=True) == UNKNOWN


def test_an_opened_adapter_says_where_it_is_read(tmp_path):
    write_adapter(tmp_path / "a", random_factors())
    (tmp_path / "a" / "README.md").write_text(CARD.format(tag="sft"))
    (adapter,), _ = open_sources([str(tmp_path / "a")], read_options=ReadOptions())
    texts = [finding.text for finding in adapter.info.findings]
    assert "sft, lr 0.0002, seed 7, 300 steps: as README.md beside it says, not measured" in texts
