"""Where adapters come from: run.json, else names."""

import json
import re
from dataclasses import replace

import pytest

from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.study.export import load, save
from inspector.study.provenance import UNKNOWN, Origin, from_name, origin_of, recorded_objective, run_of
from inspector.study.study import Settings
from tests.guides import FOLDER
from tests.makers import write_random


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sft_lr2e-4_s42", Origin("sft", 2e-4, 42, told_by="name")),
        ("offline-grpo_lr5e-07_s123", Origin("offline-grpo", 5e-7, 123, told_by="name")),
        ("dpo-seed7", Origin("dpo", None, 7, told_by="name")),
        ("rft_lr0.001", Origin("rft", 0.001, None, told_by="name")),
        ("adapters/rift_s3", Origin("adapters_rift", None, 3, told_by="name")),
        ("my-cool-adapter", UNKNOWN),
        ("checkpoint-500", UNKNOWN),
        ("lr2e-4_s42", UNKNOWN),
        ("gpt2-sst2", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_names(name, told):
    assert from_name(name) == told


@pytest.mark.parametrize(
    ("source", "run"),
    [
        ("out/checkpoint-9", "out"),
        ("/x/sft/.checkpoints/checkpoint-9", "/x/sft"),
        ("checkpoint-9", "."),
        ("org/repo@abc:checkpoint-9", "org/repo@abc"),
        ("org/repo@abc:sft/checkpoint-9", "org/repo@abc:sft"),
        ("out/mycheckpoint-9", "out/mycheckpoint-9"),
        ("out/checkpoint-9/reference", "out/checkpoint-9/reference"),
        (".", "."),
        ("", ""),
    ],
)
def test_the_run_a_source_is_of(source, run):
    assert run_of(source) == run


@pytest.mark.parametrize("content", ["[1]", "{", '{"method": 3}', "", "\xff"])
def test_a_record_that_is_none_leaves_the_name(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content.encode("latin-1"))
    assert origin_of(tmp_path, "sft_s1") == Origin("sft", seed=1, told_by="name")


def test_a_record_counts_before_the_name_and_survives_saving(tmp_path):
    folder = write_random(tmp_path / "sft_s1")
    record = {"method": "dpo\x1b[31m", "lr": 2e-5, "data_seed": 4, "init_seed": 5, "a0": "ab", "step": True}
    (folder / "run.json").write_text(json.dumps(record))
    adapters, _ = open_sources([str(folder)])
    told = Origin("dpo[31m", 2e-5, 4, 5, "ab", None, "run.json")
    assert adapters[0].info.origin == told
    for name in ("x.json", "x.parquet"):
        save(analyse(adapters, Settings(device="cpu")), tmp_path / name)
        assert load(tmp_path / name).adapters[0].origin == told


def test_the_example_of_the_guide_is_read(tmp_path):
    """What others are told to write is what is read of it."""
    (example,) = re.findall(r"```json\n(.*?)```", (FOLDER / "run-json.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "run.json").write_text(example, encoding="utf-8")
    wanted = Origin("sft", 5e-6, 42, 42, "9f86d081884c7d65", 1000, "run.json", 1500)
    assert origin_of(tmp_path, "mine") == wanted
    assert origin_of(tmp_path / "checkpoint-200", "mine") == replace(wanted, step=200)
    assert "−log π(y | x)" in recorded_objective(str(tmp_path))
