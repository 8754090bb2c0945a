"""One start for all methods: A₀ by the init seed alone, B₀ = 0, float32, hashed."""

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file, save_file

from inspector.common.errors import InspectorError
from tests.base_model.tiny_model import tiny_model, tiny_tokenizer
from tests.trainer.small import rollouts, tiny, trained
from trainer.saving import start

TARGETS = ("q_proj", "v_proj")
pytestmark = pytest.mark.filterwarnings("ignore")


def model(seed=0):
    return tiny_model(tiny_tokenizer(), seed=seed)


def wrapped(inner=None):
    return get_peft_model(inner or model(), start.lora_config(4, 8, 0.0, TARGETS))


def test_the_same_for_every_base_dtype_and_set_of_targets():
    one = start.initial(model(), 4, TARGETS, 42)
    half = start.initial(model(seed=9).bfloat16(), 4, TARGETS, 42)
    assert start.tensors_digest(one) == start.tensors_digest(half)
    fewer = start.initial(model(), 4, ("v_proj",), 42)
    assert all(torch.equal(fewer[name], one[name]) for name in fewer)
    assert start.a_digest(one) != start.a_digest(start.initial(model(), 4, TARGETS, 43))


def test_uniform_as_peft_draws_it():
    """U(−1/√32, 1/√32): inside the bounds, with variance 1/(3·32); no two modules alike; B₀ = 0."""
    found = start.initial(model(), 32, TARGETS, 1)
    A = torch.cat([t.flatten() for name, t in found.items() if "lora_A" in name])
    assert A.abs().max() <= 32**-0.5
    assert A.var().item() == pytest.approx(1 / 96, rel=0.05)
    drawn = [t for name, t in found.items() if "lora_A" in name]
    assert not any(torch.equal(a, b) for n, a in enumerate(drawn) for b in drawn[:n])
    assert not any(t.any() for name, t in found.items() if "lora_B" in name)


def test_written_once_and_loaded_everywhere(tmp_path):
    tensors = start.initial(model(), 4, TARGETS, 42)
    path = start.written(tmp_path / "starts", tensors)
    before = path.stat().st_mtime_ns
    assert start.written(tmp_path / "starts", tensors) == path
    assert path.stat().st_mtime_ns == before
    first, second = wrapped(), wrapped(model(seed=3).bfloat16())
    assert start.load(first, path) == start.load(second, path) == start.a_digest(tensors)
    placed = start.adapter(first)
    assert all(torch.equal(placed[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: data[:-1] + b"\x7f", lambda _data: b""])
def test_a_damaged_start_is_written_anew_and_said(tmp_path, damage):
    tensors = start.initial(model(), 4, TARGETS, 42)
    path = start.written(tmp_path, tensors)
    before = path.read_bytes()
    path.write_bytes(damage(before))
    notes = []
    assert start.written(tmp_path, tensors, notes.append) == path
    assert path.read_bytes() == before
    assert len(notes) == 1
    assert "is damaged" in notes[0]
    start.written(tmp_path, tensors, pytest.fail)


def test_what_does_not_fit_is_an_error(tmp_path):
    tensors = start.initial(model(), 4, TARGETS, 42)
    other = start.written(tmp_path, start.initial(model(), 4, ("q_proj",), 42))
    with pytest.raises(InspectorError, match="does not fit this base"):
        start.load(wrapped(), other)
    moved = {name: t + 1 if "lora_B" in name else t for name, t in tensors.items()}
    save_file(moved, tmp_path / "moved.safetensors")
    with pytest.raises(InspectorError, match="B₀ is not 0"):
        start.load(wrapped(), tmp_path / "moved.safetensors")


def test_adapter_weights_must_be_float32(tmp_path):
    path = start.written(tmp_path, start.initial(model(), 4, TARGETS, 42))
    half = wrapped()
    for p in half.parameters():
        if p.requires_grad:
            p.data = p.data.bfloat16()
    with pytest.raises(InspectorError, match="must be float32"):
        start.load(half, path)


def test_a_target_that_is_not_there():
    with pytest.raises(InspectorError, match=r"no linear module c_attn: its targets can be down_proj"):
        start.initial(model(), 4, ("c_attn",), 42)


def test_digest_of_the_base_sees_through_the_adapter_and_sees_a_change():
    inner = model()
    bare = start.base_digest(inner)
    outer = wrapped(inner)
    assert start.base_digest(outer) == bare
    outer.get_base_model().model.layers[0].mlp.up_proj.weight.data[0, 0] += 1e-6
    assert start.base_digest(outer) != bare


def test_the_file_is_of_pefts_keys(tmp_path):
    path = start.written(tmp_path, start.initial(model(), 4, TARGETS, 42))
    assert "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" in load_file(path)


def test_a_set_keeps_to_its_token_ids(tmp_path):
    folder = tmp_path / "set" / ".start"
    start.same_rows(folder, "rollouts and base", "a" * 64)
    start.same_rows(folder, "rollouts and base", "a" * 64)
    start.same_rows(folder, "other rollouts", "b" * 64)
    with pytest.raises(InspectorError, match=r"other token ids now than those that .*/set was begun with"):
        start.same_rows(folder, "rollouts and base", "b" * 64)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_template_that_changed_between_two_methods_is_refused(tmp_path):
    base, file = tiny(tmp_path / "base"), rollouts(tmp_path)
    trained(base, "sft", file, tmp_path / "out")
    (base / "chat_template.jinja").write_text("Today. {{ messages[0]['content'] }}")
    with pytest.raises(InspectorError, match="tokenizer or chat template has changed"):
        trained(base, "dft", file, tmp_path / "out")
