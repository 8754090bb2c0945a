"""What a run leaves: a PEFT folder, its card, run.json; and what is refused."""

import json
import math

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from inspector.adapters.locate import expand
from inspector.adapters.sources import Local
from inspector.common.errors import InspectorError
from tests.trainer.small import adapter_of, equal, options, rollouts, tiny, trained
from trainer.methods import METHODS
from trainer.runs.log import read_log
from trainer.saving import outcome, start
from trainer.train import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("place") / "tiny-base")


@pytest.fixture(scope="module")
def every(base, tmp_path_factory):
    """All methods, trained once."""
    out = tmp_path_factory.mktemp("set")
    file = rollouts(out)
    return out, {name: trained(base, name, file, out) for name in METHODS}


def record(out, name):
    return json.loads((out / name / "run.json").read_text())


def test_every_method_from_the_same_start_and_ids(every, base):
    out, _ = every
    told = [record(out, name) for name in METHODS]
    for key in ("a0", "rows_digest", "rollouts", "base_weights", "base_digest"):
        assert len({run[key] for run in told}) == 1
        assert len(told[0][key]) == 64
    assert len(list((out / ".start").glob("*.safetensors"))) == len(list((out / ".start").glob("rows-*.sha256"))) == 1
    model = AutoModelForCausalLM.from_pretrained(base)
    assert start.base_digest(model) == told[0]["base_weights"]


def test_every_method_goes_elsewhere(every):
    _, adapters = every
    flat = {name: torch.cat([t.flatten() for t in a.values()]) for name, a in adapters.items()}
    assert all(torch.isfinite(f).all() for f in flat.values())
    names = list(flat)
    assert not any(torch.equal(flat[a], flat[b]) for n, a in enumerate(names) for b in names[:n])


@pytest.mark.parametrize("name", METHODS)
def test_run_json(every, name):
    out, adapters = every
    run = record(out, name)
    assert (run["format"], run["version"]) == ("adapter-inspector run", 1)
    assert (run["method"], run["variant"]) == (name, METHODS[name].variants[0].name)
    assert run["formula"] == METHODS[name].variants[0].formula
    assert (run["base"], run["step"], run["steps"], run["lr"]) == ("tiny-base", 4, 4, 0.01)
    assert run["rewards"] | {"mean": 0.5} == {
        "rows": 24, "positive": 12, "groups": 6, "mixed": 6, "all_right": 0, "all_wrong": 0, "mean": 0.5,
    }  # fmt: skip
    examples = {"rft": 12, "dpo": 6, "ipo": 6, "simpo": 6, "online-grpo": 6, "online-dapo": 6}.get(name, 24)
    read = 4 if METHODS[name].data == "prompts" else 32
    assert (run["examples"], run["epochs"]) == (examples, pytest.approx(read / examples))
    assert set(run["settings"]) == {f.name for f in METHODS[name].variants[0].settings()}
    assert {"torch", "trl", "peft", "transformers", "math-verify"} <= set(run["versions"])
    assert run["hardware"] == {"attention": "sdpa"}
    assert run["optimizer"]["name"].startswith("adamw_torch")
    assert run["optimizer"]["betas"] == [0.9, 0.999]
    unknown = {key: [] for key in ("teacher", "source", "temperature", "top_p", "max_tokens")}
    assert run["sampling"] == unknown | {"revision": ""}
    assert run["template_date"] == "2024-07-26"
    assert run["seconds_in_all"] == pytest.approx(run["seconds"], abs=0.1)
    assert math.isfinite(run["loss"])
    assert run["tokens"] > 0
    norm = sum(float(t.double().square().sum()) for n, t in adapters[name].items() if "lora_B" in n) ** 0.5
    assert run["norms"]["lora_B"] == pytest.approx(norm, rel=1e-6)
    assert [line["step"] for line in read_log(out / name / "log.jsonl")] == [1, 2, 3, 4]


def test_no_path_of_this_machine(every, base, tmp_path):
    out, _ = every
    for name in METHODS:
        for file in ("run.json", "adapter_config.json", "README.md", "recipe.yaml", "log.jsonl"):
            text = (out / name / file).read_text()
            assert str(base.parent) not in text
            assert str(out) not in text
        config = json.loads((out / name / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "tiny-base"
        assert config["target_modules"] == ["q_proj", "v_proj"]
        assert config["task_type"] == "CAUSAL_LM"


def test_peft_loads_it(every, base):
    out, adapters = every
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), out / "sft")
    assert equal(start.adapter(model), adapters["sft"])


def test_the_inspector_opens_the_set(every):
    """The folder of the set is its adapters: no start, no checkpoints."""
    out, _ = every
    assert sorted(place.path.name for place in expand(Local(out))) == sorted(METHODS)


def test_the_card(every):
    out, _ = every
    text = (out / "dpo" / "README.md").read_text()
    assert text.startswith("---\nbase_model: tiny-base\nlibrary_name: peft\n")
    assert METHODS["dpo"].variants[0].formula in text


def test_saved_as_bfloat16(base, tmp_path, every):
    _, adapters = every
    train(options(base, "sft", rollouts(tmp_path), tmp_path, save_dtype="bfloat16"))
    half = adapter_of(tmp_path / "sft")
    assert equal(half, {name: t.bfloat16() for name, t in adapters["sft"].items()})


def test_done_before_and_not_the_same(base, tmp_path, capsys):
    file = rollouts(tmp_path)
    first = trained(base, "sft", file, tmp_path)
    assert equal(trained(base, "sft", file, tmp_path), first)
    assert "sft: done before (4 steps)." in capsys.readouterr().err
    with pytest.raises(InspectorError, match=r"holds another run: lr is 0.01 there and 0.02 here\. Choose"):
        trained(base, "sft", file, tmp_path, lr=0.02)
    other = rollouts(tmp_path, groups=5)
    with pytest.raises(InspectorError, match="holds another run: it was trained from other rollouts"):
        trained(base, "sft", other, tmp_path)


def test_a_damaged_record_is_said(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InspectorError, match="Cannot read"):
        outcome.read(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InspectorError, match="not of this program"):
        outcome.read(tmp_path)
    assert outcome.read(tmp_path / "none") is None


def test_seeds_are_apart(base, tmp_path, every):
    """Another data seed: the same A₀, another adapter. Another init seed: another A₀."""
    out, adapters = every
    file = rollouts(tmp_path)
    moved = trained(base, "sft", file, tmp_path / "data", data_seed=7)
    assert record(tmp_path / "data", "sft")["a0"] == record(out, "sft")["a0"]
    assert not equal(moved, adapters["sft"])
    trained(base, "sft", file, tmp_path / "init", init_seed=7)
    assert record(tmp_path / "init", "sft")["a0"] != record(out, "sft")["a0"]


def test_what_became_of_reasoning_and_weights_is_recorded(base, tmp_path, capsys):
    file = rollouts(tmp_path)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0] |= {"reasoning": "so", "weight": 2}
    file.write_text("\n".join(map(json.dumps, rows)))
    for name, read in {"sft": True, "dpo": False}.items():
        trained(base, name, file, tmp_path, reasoning="keep")
        run = record(tmp_path, name)
        assert run["columns"] == {
            "reasoning": "keep", "reasoned": 1, "reasoning_not_sent": 0, "weighted": 1, "weights_read": read,
        }  # fmt: skip
        assert run["recipe"]["reasoning"] == "keep"
    said = capsys.readouterr().err
    assert said.count("1 row with a teacher's reasoning, which is learned as text before its answer") == 2
    assert "1 row of a weight other than 1 (2 to 2): dpo does not read that column" in said
    with pytest.raises(InspectorError, match="reasoning is keep there and drop here"):
        trained(base, "sft", file, tmp_path, reasoning="drop")
