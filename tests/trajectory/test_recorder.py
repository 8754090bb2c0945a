"""Records straight from a model, without a trainer."""

import math

import pytest
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from inspector.adapters.opening import open_sources
from inspector.trajectory.recorder import Recorder
from inspector.trajectory.weights_log import Header
from tests.trajectory.live import attached, dense, layers

pytestmark = pytest.mark.filterwarnings("ignore")


def filled(model):
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data.normal_()
    return model


def opened(model, folder):
    model.save_pretrained(folder)
    return open_sources([str(folder)])[0][0]


def test_an_adapter_is_its_own_reference_whatever_the_layout(tmp_path):
    """Transposed weights of GPT-2, square ones among them, and an embedding."""
    base = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=40, bos_token_id=1, eos_token_id=1))
    config = LoraConfig(r=4, target_modules=["c_proj", "c_attn", "wte"], fan_in_fan_out=True)
    model = filled(get_peft_model(base, config))
    record = Recorder(model, tmp_path, Header(), reference=opened(model, tmp_path / "ref")).record(1)
    assert len(record.module_norm) == 4
    assert record.cosine_reference == pytest.approx(1, abs=1e-6)


def test_modules_of_one_side_are_zeros_on_the_other(tmp_path):
    reference = opened(filled(attached()), tmp_path / "ref")
    model = filled(attached(target_modules=["q_proj"]))
    recorder = Recorder(model, tmp_path, Header(), reference=reference)
    found, other = recorder.record(1).cosine_reference, dense(filled_from(tmp_path / "ref"))
    own = dense(model)
    inner = sum(float((W * other[name]).sum()) for name, W in own.items())
    sizes = (math.sqrt(sum(float((W**2).sum()) for W in side.values())) for side in (own, other))
    assert found == pytest.approx(inner / math.prod(sizes), abs=1e-6)


def filled_from(folder):
    from peft import PeftModel

    from tests.trajectory.live import base

    return PeftModel.from_pretrained(base(), folder)


def test_of_two_records_at_one_step_the_first_stands(tmp_path):
    model = filled(attached())
    recorder = Recorder(model, tmp_path, Header())
    assert recorder.record(5).step == 5
    filled(model)
    assert recorder.record(5) is None
    assert set(recorder.record(6).still) == set()
    assert set(recorder.record(7).still) == set(range(len(layers(model))))
