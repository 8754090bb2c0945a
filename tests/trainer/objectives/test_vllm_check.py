"""What is found out about a vLLM server before the base is loaded."""

from dataclasses import replace

import pytest

from inspector.common.errors import InspectorError
from tests.trainer.small import options, rollouts, tiny
from tests.trainer.vllm_server import Fault, VllmServer
from trainer.objectives.vllm_sampler import Place
from trainer.train import train

NAME = "tiny-base"
ONLINE = {"generations": 4, "max_new_tokens": 12}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("place") / NAME)


@pytest.fixture
def vllm(base):
    with VllmServer(base, NAME) as server:
        yield server


@pytest.fixture
def file(tmp_path):
    return rollouts(tmp_path)


def refused(vllm, base_id=NAME):
    with pytest.raises(InspectorError) as caught:
        Place(vllm.url, base_id, 4).check()
    return str(caught.value)


def test_a_good_server_passes(vllm):
    Place(vllm.url, NAME, 4).check()
    Place(f"{vllm.url}/v1/", NAME, 4).check()
    assert not vllm.loads


def test_another_base(vllm):
    said = refused(vllm, "Qwen/Qwen3-4B")
    assert "serves tiny-base, not the base Qwen/Qwen3-4B: start it with `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True" in said
    assert "vllm serve Qwen/Qwen3-4B --enable-lora --max-lora-rank 8`" in said


def test_a_server_that_loads_no_adapters(vllm):
    vllm.updating = False
    assert "loads no adapters (it answers 404): start it with `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True" in refused(vllm)


@pytest.mark.parametrize(("status", "loads"), [(400, True), (422, True), (404, False), (423, False)])
def test_a_refusal_of_empty_names_is_no_fault(vllm, status, loads):
    vllm.faults = [Fault("/load_lora_adapter", status)]
    if loads:
        Place(vllm.url, NAME, 4).check()
    else:
        assert f"loads no adapters (it answers {status}" in refused(vllm)


def test_a_server_too_old_for_token_ids(vllm):
    vllm.returns_ids = False
    assert refused(vllm).endswith("returns no token ids: it must be vLLM 0.10.2 or newer.")


def test_no_server(base, file, tmp_path):
    asked = replace(options(base, "online-grpo", file, tmp_path / "out", **ONLINE), vllm="http://127.0.0.1:9")
    with pytest.raises(InspectorError, match=r"cannot be reached .*: start it, or check the address"):
        train(asked)
    assert not (tmp_path / "out").exists()


def test_methods_that_sample_nothing(base, file, tmp_path):
    with pytest.raises(InspectorError, match="--vllm samples for online-grpo and online-dapo"):
        train(replace(options(base, "sft", file, tmp_path / "out"), vllm="http://127.0.0.1:9"))
