"""FSDP2: the adapter of one process, stopped or not; and what is refused."""

import json

import pytest
import torch

from inspector.common.errors import InspectorError
from tests.acceptance.command import launched
from tests.trainer.fsdp_on_cpu import RUNS
from tests.trainer.small import adapter_of, close, options, rollouts, tiny, trained
from trainer.methods import method
from trainer.recipes.recipe import Recipe
from trainer.runs.launchers import casts, refuse_uncut, refuse_unfit
from trainer.runs.log import evaluations, read_log
from trainer.train import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
FSDP2 = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
WRAP = {"FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP", "FSDP_RESHARD_AFTER_FORWARD": "true"}


def test_two_processes_that_share_the_base_are_one(tmp_path):
    """KRAFTON's on a bfloat16 base with a float32 adapter, and DPO stopped and gone on with; files as of any run."""
    base, file = tiny(tmp_path / "base"), rollouts(tmp_path, held_out=2)
    code, said = launched("tests.trainer.fsdp_on_cpu", base, file, tmp_path / "two", **FSDP2, **WRAP)
    assert code == 0, said
    for name, settings in RUNS.items():
        one, two = (
            trained(base, name, file, tmp_path / "one", **settings),
            adapter_of(tmp_path / "two" / name),
        )
        assert close(one, two, 1e-5)
        told = [json.loads((tmp_path / place / name / "run.json").read_text()) for place in ("one", "two")]
        assert [record["processes"] for record in told] == [1, 2]
        for key in ("base_weights", "a0", "tokens", "dtype"):
            assert told[0][key] == told[1][key]
        measured = [evaluations(read_log(tmp_path / place / name / "log.jsonl")) for place in ("one", "two")]
        assert [line["step"] for line in measured[1]] == [0, 4]
        assert measured[1][-1] == pytest.approx(measured[0][-1], rel=1e-2 if "dtype" in settings else 1e-5)
    assert "dpo: 6 pairs, 4 steps of 4 (2.67 epochs), lr 0.01. Going on after step 2." in said


def test_a_sharded_checkpoint_goes_on_sharded(tmp_path):
    """Its optimizer knows weights by name; one of a single process numbers them."""
    base, file = tiny(tmp_path / "base"), rollouts(tmp_path)
    trained(base, "sft", file, tmp_path, steps=5)
    (tmp_path / "sft" / "run.json").unlink()
    kept = tmp_path / "sft" / ".checkpoints" / "checkpoint-4"
    torch.save({"state": {"q_proj.lora_A": {}}, "param_groups": []}, kept / "optimizer.pt")
    with pytest.raises(InspectorError, match="was written with FSDP2: go on as the run was begun"):
        train(options(base, "sft", file, tmp_path, steps=5))


@pytest.mark.parametrize(
    ("environment", "name", "says"),
    [
        ({"ACCELERATE_USE_FSDP": "true"}, "sft", "FSDP1 needs one dtype"),
        (FSDP2, "kto", "not for kto: use DDP"),
        (FSDP2, "online-dapo", "not for online-dapo, which would gather the base for every token"),
        (FSDP2 | {"FSDP_CPU_RAM_EFFICIENT_LOADING": "True"}, "sft", "FSDP_CPU_RAM_EFFICIENT_LOADING must be off"),
        (FSDP2 | {"FSDP_OFFLOAD_PARAMS": "true"}, "sft", "FSDP_OFFLOAD_PARAMS must be off"),
        ({"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}, "sft", "ZeRO-3 needs one dtype"),
    ],
)
def test_what_does_not_fit_is_refused(environment, name, says):
    with pytest.raises(InspectorError, match=says):
        refuse_unfit(environment, method(name))


def test_what_fits_is_not_refused():
    for name in ("sft", "rift", "dpo", "simpo"):
        refuse_unfit(FSDP2 | WRAP, method(name))
    refuse_unfit({"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "2"}, method("kto"))


def test_what_fsdp2_is_not_run_with(monkeypatch):
    refuse_uncut(method("sft"), Recipe(micro_tokens=4096), 2)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    refuse_uncut(method("sft"), Recipe(micro_batch=4), 2)
    for name in ("micro_tokens", "compile_blocks", "eval_task"):
        with pytest.raises(InspectorError, match=f"{name} is not for FSDP2"):
            refuse_uncut(method("sft"), Recipe(**{name: 1}), 2)


def test_who_casts_the_base():
    assert casts(FSDP2)
    assert casts({"ACCELERATE_USE_DEEPSPEED": "true"})
    assert not casts({})
