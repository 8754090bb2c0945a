"""A base from the Hub: of a dry run its small files alone; what is said where the Hub is away."""

import pytest
import torch
from peft import get_peft_model

from inspector.base_model.base import load_base
from inspector.common.errors import InspectorError
from tests.hub_server import Fault, HubServer
from tests.trainer.small import adapter_of, equal, options, rollouts, tiny, trained
from trainer.runs import bases
from trainer.runs.bases import Bases, skeleton
from trainer.runs.tasks import tasks
from trainer.saving.start import base_digest, lora_config
from trainer.train import train

HINT = "Without the Hub: --base FOLDER, or --recipe demo-smollm2"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as hub:
        hub.patch(monkeypatch, tmp_path / "hub")
        hub.add("org/base", tiny(tmp_path / "base"))
        yield hub


def test_a_skeleton_loads_no_weights(hub):
    shape = skeleton("org/base")
    assert shape.parameters > 0
    assert all(p.is_meta for p in shape.model.parameters())
    assert shape.tokenizer("1 + 1")["input_ids"]
    asked = [path for _, path in hub.requests]
    assert any("config.json" in path for path in asked)
    assert not any("safetensors" in path for path in asked)


def test_names_that_leave_the_folder_are_left_out(hub):
    hub.repos["org/base"].listed = ("C:x.json", "..\\evil.json")
    assert skeleton("org/base").parameters > 0


@pytest.mark.parametrize("get", [skeleton, lambda name: Bases().loaded(name, "cpu", "float32", print)])
def test_a_hub_that_is_away(hub, get, capsys):
    hub.faults.append(Fault("", status=503))
    with pytest.raises(InspectorError, match=HINT):
        get("org/base")
    assert capsys.readouterr() == ("", "")


def test_what_the_hub_answers_needs_no_hint(hub):
    with pytest.raises(InspectorError, match="There is no org/none on the Hub") as caught:
        skeleton("org/none")
    assert HINT not in str(caught.value)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, about what PEFT calls
def test_a_base_is_read_once_and_its_modules_are_each_runs_own(tmp_path, monkeypatch):
    """What one run hangs on its model, or sets in its tokenizer, the next one does not find."""
    read = []
    monkeypatch.setattr(bases, "load_base", lambda *given, **more: read.append(given) or load_base(*given, **more))
    kept, folder = Bases(), str(tiny(tmp_path))
    (first, digest), (second, again) = (kept.loaded(folder, "cpu", "float32", print) for _ in range(2))
    assert len(read) == 1
    assert digest == again == base_digest(second.model)
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert one is other
    get_peft_model(first.model, lora_config(2, 4, 0.0, ("q_proj",)))
    first.model.config.use_cache = False
    first.model.forward = None
    first.tokenizer.pad_token = "so"
    third, _ = kept.loaded(folder, "cpu", "float32", print)
    for base in (second, third):
        assert not any("lora" in name for name, _ in base.model.named_parameters())
        assert base.model.config.use_cache
        assert base.tokenizer.pad_token != "so"
        assert base.model(input_ids=torch.arange(5)[None]).logits.shape[:2] == (1, 5)
    narrow, other = kept.loaded(folder, "cpu", "bfloat16", print)
    assert narrow.model.dtype == torch.bfloat16
    assert other != digest
    assert len(read) == 2


def test_processes_that_shard_a_base_read_it_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    kept, folder = Bases(), str(tiny(tmp_path))
    (first, _), (second, _) = (kept.loaded(folder, "cpu", "float32", print) for _ in range(2))
    assert all(a is not b for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))


def test_runs_of_one_command_are_those_of_their_own(tmp_path, monkeypatch):
    """Bit for bit, in an order in which the former leave as much behind as they can."""
    base, file = tiny(tmp_path / "base"), rollouts(tmp_path)
    online = {"max_new_tokens": 6, "generations": 4, "steps": 2}
    given = options(base, "all", file, tmp_path / "out", **online)
    by_name = {task.method.name: task for task in tasks(given)}
    names = ("online-grpo", "dpo", "sft")
    monkeypatch.setattr("trainer.train.tasks", lambda _given: [by_name[name] for name in names])
    train(given)
    monkeypatch.undo()
    for name in names:
        own = online if name.startswith("online") else {"steps": 2}
        assert equal(adapter_of(tmp_path / "out" / name), trained(base, name, file, tmp_path / "alone", **own))
