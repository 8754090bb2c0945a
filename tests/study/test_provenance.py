"""Where adapters come from: run.json, else names."""

import json
import re
from dataclasses import replace

import pytest

from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.study.export import load, save
from inspector.study.provenance import (
    UNKNOWN,
    Origin,
    RecordedBase,
    base_key,
    from_name,
    origin_of,
    recorded_base,
    recorded_objective,
    run_of,
)
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


@pytest.mark.parametrize(
    ("origin", "label"),
    [
        (Origin("sft", 2e-4, 42, steps=9), "sft, lr 0.0002, seed 42, 9 steps"),
        (Origin("sft", 2e-4, logged_lr=1e-4), "sft, lr 0.0002"),
        (Origin(seed=0, logged_lr=1e-4), "lr at least 0.0001, seed 0"),
        (Origin("sft", init_seed=1, step=9), "sft"),
    ],
)
def test_what_is_told_of_a_run(origin, label):
    assert origin.label == label


def recorded(folder, **record):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize("below", ["checkpoint-25", ".checkpoints/checkpoint-25"])
def test_a_checkpoint_is_of_its_run_and_step(tmp_path, below):
    of_run = recorded(tmp_path / "x", method="dpo", lr=2e-5, step=90)
    told = Origin("dpo", 2e-5, step=90, told_by="run.json")
    assert origin_of(of_run, "sft_s1") == told
    assert origin_of(of_run / below, "sft_s1", "rft_s2") == replace(told, step=25)
    assert origin_of(tmp_path / "y" / below, "sft_s1", "rft_s2") == Origin("rft", seed=2, step=25, told_by="name")
    assert origin_of(tmp_path / "y" / below, "sft_s1", "y") == Origin("sft", seed=1, told_by="name")


@pytest.mark.parametrize(
    ("value", "lr", "whole"),
    [
        (2, 2.0, 2), (0.5, 0.5, None), (True, None, None), ("2", None, None), (None, None, None), (0, None, 0),
        (-1, None, -1), (10**17, 1e17, 10**17), (10**18, None, None), (-(10**18), None, None),
    ],
)  # fmt: skip
def test_which_numbers_of_a_record_count(tmp_path, value, lr, whole):
    fields = dict.fromkeys(("lr", "data_seed", "init_seed", "step"), value)
    found = origin_of(recorded(tmp_path, method="m", a0=None, **fields), "")
    assert found == Origin("m", lr, whole, whole, "", whole, "run.json")


def test_a_record_of_at_most_a_megabyte_is_read(tmp_path):
    text = json.dumps({"method": "m"})
    for size, method in ((2**20, "m"), (2**20 + 1, "")):
        (tmp_path / "run.json").write_text(text + " " * (size - len(text)))
        assert origin_of(tmp_path, "").method == method


@pytest.mark.parametrize("name", ["sft_lr0_s3", "sft_lr0.0_s3"])
def test_a_rate_of_nothing_is_none(name):
    assert from_name(name) == Origin("sft", None, 3, told_by="name")


def test_the_base_a_record_names(tmp_path):
    full = recorded(tmp_path / "a", base_digest="f", base_weights="w", dtype="bfloat16")
    assert recorded_base(full) == RecordedBase("f", "w", "bfloat16")
    assert recorded_base(recorded(tmp_path / "b", base_digest=3, dtype="bfloat16")) == RecordedBase(dtype="bfloat16")
    assert recorded_base(tmp_path) == RecordedBase()
    assert [base_key(name) for name in ("Org/Base", "/x/base/", "base", "")] == ["base", "base", "base", ""]


def test_the_objective_a_record_names(tmp_path):
    folder = recorded(tmp_path / "x", method="m\x1b", formula="Σ\x1b")
    text = "# m, as its run recorded it\n\n    Σ\n"
    assert recorded_objective(str(folder)) == recorded_objective(f"{folder}/checkpoint-3") == text
    for gone in ({"method": "m"}, {"formula": "f"}, {"method": 1, "formula": "f"}, {"method": "m", "formula": 1}):
        assert recorded_objective(str(recorded(tmp_path / "y", **gone))) == ""


def test_the_example_of_the_guide_is_read(tmp_path):
    """What others are told to write is what is read of it."""
    (example,) = re.findall(r"```json\n(.*?)```", (FOLDER / "run-json.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "run.json").write_text(example, encoding="utf-8")
    wanted = Origin("sft", 5e-6, 42, 42, "9f86d081884c7d65", 1000, "run.json", 1500)
    assert origin_of(tmp_path, "mine") == wanted
    assert origin_of(tmp_path / "checkpoint-200", "mine") == replace(wanted, step=200)
    assert "−log π(y | x)" in recorded_objective(str(tmp_path))
