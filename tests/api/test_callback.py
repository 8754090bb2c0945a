"""WeightsCallback in trainings of transformers and TRL: what it records against the weights themselves."""

import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from inspector import WeightsCallback
from inspector.common.errors import InspectorError
from inspector.trajectory.weights_log import parse
from tests.acceptance.command import ROOT
from tests.guides import FOLDER
from tests.trajectory.live import At, arguments, attached, base, dense, layers, lines, train

pytestmark = pytest.mark.filterwarnings("ignore")


def norm(updates):
    return math.sqrt(sum(float((W**2).sum()) for W in updates.values()))


def rank(updates):
    found = []
    for W in updates.values():
        p = torch.linalg.svdvals(W)[:4]
        p = p / p.sum()
        found.append(math.exp(-(p * p.log()).sum()))
    return float(np.mean(found))


def cosine(one, other):
    return sum(float((one[n] * other[n]).sum()) for n in one) / (norm(one) * norm(other))


def test_records_are_those_of_the_weights(tmp_path):
    seen = {}

    def keep(model):
        seen[len(seen) + 1] = dense(model)

    model = train(tmp_path, None, At(keep), save_strategy="steps", save_steps=4, max_steps=8)
    header, records, losses = lines(tmp_path)
    assert header["modules"] == list(seen[1]) == list(layers(model))
    assert header["left_out"] == []
    assert (header["lr"], header["seed"], header["steps"], header["method"]) == (1e-3, 0, 8, "")
    assert [record["step"] for record in records] == [0, 2, 4, 6, 8]
    assert (records[0]["norm"], records[0]["effective_rank"]) == (0, None)
    for record in records[1:]:
        assert record["norm"] == pytest.approx(norm(seen[record["step"]]), rel=1e-6)
        assert record["effective_rank"] == pytest.approx(rank(seen[record["step"]]), rel=1e-6)
        sigma = [float(torch.linalg.svdvals(W)[0]) for W in seen[record["step"]].values()]
        assert record["module_sigma1"] == pytest.approx(sigma, rel=1e-6)
    assert [(r["last_step"], r["cosine_last"]) for r in records[:3]] == [(0, None)] * 3
    assert (records[4]["last_step"], records[3]["last_step"]) == (4, 4)
    assert records[4]["cosine_last"] == pytest.approx(cosine(seen[8], seen[4]), abs=1e-6)
    assert [line["step"] for line in losses] == [2, 4, 6, 8]
    weights = [float(layer.base_layer.weight.norm()) for layer in layers(model).values()]
    assert header["base_norm"] == pytest.approx(weights, rel=1e-5)


@pytest.mark.parametrize(
    "config", [{"use_rslora": True}, {"rank_pattern": {"v_proj": 2}}, {"init_lora_weights": "pissa"}]
)
def test_the_scale_is_pefts(tmp_path, config):
    model = train(tmp_path, attached(**config), max_steps=2)
    header, records, _ = lines(tmp_path)
    assert records[-1]["norm"] == pytest.approx(norm(dense(model)), rel=1e-5)
    assert ("pissa" in " ".join(header["left_out"])) == ("init_lora_weights" in config)


def test_what_is_trained_beside_is_named(tmp_path):
    model = attached(use_dora=True, modules_to_save=["lm_head"])
    with pytest.warns(UserWarning, match="magnitudes of DoRA of 6 modules"):
        train(tmp_path, model, max_steps=2)
    header, records, _ = lines(tmp_path)
    assert "lm_head.modules_to_save.default.weight" in header["left_out"][1]
    product = {
        n: m.lora_B["default"].weight.double() @ m.lora_A["default"].weight.double() * 2
        for n, m in layers(model).items()
    }
    assert records[-1]["norm"] == pytest.approx(norm(product), rel=1e-5)


def test_of_several_adapters_the_active_one(tmp_path):
    from peft import LoraConfig

    model = attached()
    model.add_adapter("other", LoraConfig(r=2, target_modules=["q_proj"]))
    model.set_adapter("other")
    train(tmp_path / "a", model, max_steps=2)
    header, records, _ = lines(tmp_path / "a")
    assert (header["adapter"], len(header["modules"])) == ("other", 2)
    assert records[-1]["norm"] == pytest.approx(
        norm(
            {n: m.get_delta_weight("other").detach().double() for n, m in layers(model).items() if "other" in m.lora_A}
        ),
        rel=1e-5,
    )
    train(tmp_path / "b", model, max_steps=2, callback=WeightsCallback(every=1, adapter="default"))
    header, records, _ = lines(tmp_path / "b")
    assert (header["adapter"], len(header["modules"]), records[-1]["norm"]) == ("default", 6, 0)
    with pytest.raises(InspectorError, match="no adapter 'third': it has default, other"):
        train(tmp_path / "c", model, callback=WeightsCallback(adapter="third"))


def test_a_resumed_training_continues_its_file(tmp_path):
    train(tmp_path / "whole", save_strategy="steps", save_steps=4, max_steps=12)
    train(tmp_path / "cut", save_strategy="steps", save_steps=4, max_steps=12)
    file = tmp_path / "cut" / "weights.jsonl"
    kept = [line for line in file.read_text().splitlines() if json.loads(line).get("step", 0) <= 10]
    file.write_text(
        "\n".join(kept) + '\n{"step": 12, "no'
    )  # what a kill leaves: records beyond the checkpoint, half a line
    train(
        tmp_path / "cut",
        save_strategy="steps",
        save_steps=4,
        max_steps=12,
        resume=str(tmp_path / "cut" / "checkpoint-4"),
    )
    one, other = (parse((tmp_path / n / "weights.jsonl").read_text()) for n in ("whole", "cut"))
    assert [r.step for r in one.records] == [r.step for r in other.records] == [0, 2, 4, 6, 8, 10, 12]
    assert [r.cosine_last for r in one.records[3:]] == pytest.approx(
        [r.cosine_last for r in other.records[3:]], abs=1e-6
    )
    assert [r.norm for r in one.records] == pytest.approx([r.norm for r in other.records], rel=1e-6)
    assert [step for step, _ in one.losses] == [step for step, _ in other.losses]


def test_a_new_training_in_a_folder_begins_its_file_anew(tmp_path):
    train(tmp_path, max_steps=6)
    train(tmp_path, max_steps=2)
    assert [record["step"] for record in lines(tmp_path)[1]] == [0, 2]


def test_cosines_with_a_reference(tmp_path):
    first = train(tmp_path / "first", max_steps=6, save_strategy="steps", save_steps=6)
    reference = str(tmp_path / "first" / "checkpoint-6")
    model = train(tmp_path / "second", max_steps=4, seed=1, model=attached(0), callback=WeightsCallback(1, reference))
    header, records, _ = lines(tmp_path / "second")
    assert "checkpoint-6" in header["reference"]
    assert records[-1]["cosine_reference"] == pytest.approx(cosine(dense(model), dense(first)), abs=1e-5)


def test_bad_references_are_a_sentence(tmp_path):
    with pytest.raises(InspectorError, match="nowhere"):
        WeightsCallback(reference=str(tmp_path / "nowhere"))
    with pytest.raises(InspectorError, match="every=0"):
        WeightsCallback(every=0)
    stranger = "assets/demo/sft"
    with pytest.raises(InspectorError, match="has none of the modules that train"):
        train(tmp_path / "x", callback=WeightsCallback(reference=str(ROOT / stranger)))


def test_a_model_without_an_adapter_is_warned_of(tmp_path):
    with pytest.warns(UserWarning, match="No LoRA module of this model is trained"):
        train(tmp_path, base(), max_steps=2)
    header, records, losses = lines(tmp_path)
    assert (header["modules"], records, len(losses)) == ([], [], 1)


def test_shards_are_named_and_not_read(tmp_path):
    model = attached()
    for layer in layers(model).values():
        layer.lora_A["default"].weight.ds_id = 1  # what ZeRO-3 leaves on its parameters
    with pytest.warns(UserWarning, match="6 modules cannot be read while they are sharded"):
        train(tmp_path, model, max_steps=2)


def test_only_the_main_process_writes(tmp_path):
    from transformers import TrainerControl, TrainerState

    state = TrainerState(is_world_process_zero=False, max_steps=2)
    callback, args = WeightsCallback(1), arguments(tmp_path)
    for call in (
        callback.on_train_begin,
        callback.on_step_begin,
        callback.on_step_end,
        callback.on_save,
        callback.on_log,
    ):
        call(args, state, TrainerControl(), model=attached(), logs={"loss": 1.0})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_does_not_end_the_training(tmp_path):
    def fill(_model):
        (tmp_path / "weights.jsonl").unlink(missing_ok=True)
        (tmp_path / "weights.jsonl").mkdir(exist_ok=True)

    with pytest.warns(UserWarning, match="Cannot write .*Nothing more is recorded"):
        train(tmp_path, None, At(fill, {4}), max_steps=6)


def test_importing_the_package_loads_neither_torch_nor_transformers():
    code = "import sys, inspector; assert not {'torch', 'transformers'} & set(sys.modules); inspector.WeightsCallback"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_one_line_in_a_script_of_trl(tmp_path):
    """The guide's own example, on a tiny base."""
    from tests.base_model.tiny_model import saved_base

    saved_base(tmp_path / "base")
    (script,) = re.findall(r"```python\n(.*?)```", (FOLDER / "other-trainers.md").read_text(), re.DOTALL)
    script = script.replace("Qwen/Qwen3-0.6B", "base").replace("seed=7", "seed=7, use_cpu=True, report_to=[]")
    env = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    header, records, losses = lines(tmp_path / "out" / "sft")
    assert (header["method"], header["seed"], header["lr"], len(header["modules"])) == ("sft", 7, 1e-3, 4)
    assert header["base"] == "base"
    assert [record["step"] for record in records] == [0, 2, 3, 4, 6]
    assert [record["last_step"] for record in records] == [0, 0, 0, 3, 3]
    assert len(losses) == 6
