"""What a server answers against base and adapter run here: a local server that runs tiny models."""

import copy
import json

import pytest
import torch
from click.testing import CliRunner
from peft import PeftModel
from transformers import AutoModelForCausalLM

from inspector.checking.receipt.served import compared
from inspector.cli.receipt import receipt
from inspector.common.errors import InspectorError
from tests.base_model.tiny_model import saved_adapter, saved_base
from tests.checking.receipt.completions_server import CompletionsServer
from tests.checking.receipt.merges import noise, quietly


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("served")
    saved_base(place / "base")
    saved_adapter(place / "mine", 1)
    saved_adapter(place / "other", 2)
    return place


@pytest.fixture(scope="module")
def models(place):
    base = AutoModelForCausalLM.from_pretrained(place / "base", dtype=torch.float32).eval()

    def adapted(name, strength=1.0):
        model = quietly(PeftModel.from_pretrained, copy.deepcopy(base), place / name)
        for module in model.modules():
            if hasattr(module, "scale_layer"):
                module.scale_layer(strength)
        return model.merge_and_unload().eval()

    further = copy.deepcopy(base)
    with torch.no_grad():
        noise(0.2)(further)
    return {
        "base": base,
        "mine": adapted("mine"),
        "mine-bf16": adapted("mine").to(torch.bfloat16),
        "base-bf16": copy.deepcopy(base).to(torch.bfloat16),
        "half": adapted("mine", 0.5),
        "other": adapted("other"),
        "further": further,
    }


def asked(place, server, name, *words):
    words = [str(place / "mine"), "--base", str(place / "base"), "--server", server.url, "--name", name, *words]
    return CliRunner().invoke(receipt, words, standalone_mode=False)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("mine", "contained"),
        ("mine-bf16", "contained"),
        ("base", "absent"),
        ("base-bf16", "absent"),
        ("half", "scaled"),
        ("other", "unclear"),
        ("further", "unclear"),
    ],
)
def test_what_is_served(place, models, name, verdict):
    with CompletionsServer(models) as server:
        done = asked(place, server, name, "--json")
    assert done.exception is None, done.exception
    found = json.loads(done.stdout)
    assert found["verdict"] == verdict, found["sentence"]
    assert done.return_value == (0 if verdict == "contained" else 1)
    if name == "mine":
        assert found["strength"]["value"] == pytest.approx(1, abs=1e-3)
    assert found["strength"]["low"] <= found["strength"]["value"] <= found["strength"]["high"]


@pytest.mark.parametrize(
    ("gives", "said"),
    [("nothing", "echo is not supported"), ("text", "no log-probabilities"), ("one", "no log-probabilities")],
)
def test_a_server_without_log_probabilities_is_an_error(place, models, gives, said):
    with CompletionsServer(models, gives=gives) as server:
        done = asked(place, server, "mine")
    assert isinstance(done.exception, InspectorError)
    assert said in str(done.exception)
    assert "echo" in str(done.exception)


def test_a_name_that_is_not_served_is_an_error(place, models):
    with CompletionsServer(models) as server:
        done = asked(place, server, "mein")
    assert isinstance(done.exception, InspectorError)
    assert "no model 'mein'" in str(done.exception)


def test_the_strength_is_the_slope_of_what_is_served():
    """y = .5·d in every text: β is .5 exactly, and no text differs."""
    base = [[-1.0, -2.0], [-3.0, -1.5]]
    adapter = [[-0.5, -2.5], [-2.0, -1.0]]
    served = [[(a + b) / 2 for a, b in zip(*both, strict=True)] for both in zip(base, adapter, strict=True)]
    found = compared("a", "a", served, base, adapter)
    assert found.strength.value == pytest.approx(0.5, abs=1e-12)
    assert found.strength.high - found.strength.low == pytest.approx(0, abs=1e-12)
    assert found.verdict == "scaled"
