"""Sampling from a server that serves the adapter: the stand-in of vllm_server, over HTTP.

No vLLM has run here: what is shown is what is asked, that the adapter served is the current one, and every fault.
"""

import json
from dataclasses import replace

import pytest
from safetensors.torch import load_file

from inspector.common.errors import InspectorError
from tests.acceptance.command import launched
from tests.trainer.small import SETTINGS, adapter_of, close, equal, made, options, rollouts, tiny
from tests.trainer.vllm_schema import MAX_RANKS, REQUESTS
from tests.trainer.vllm_server import Fault, VllmServer
from trainer.objectives.vllm_sampler import Place, sampler
from trainer.saving import start
from trainer.train import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ONLINE = {"generations": 4, "max_new_tokens": 12}
NAME = "tiny-base"
"""A base in a folder is known by the folder's name."""


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


@pytest.fixture
def drawn(base, file, tmp_path, vllm, monkeypatch):
    """A trainer that samples there, with an adapter that is not 0, and the draws of its first batch."""
    monkeypatch.setattr("trainer.objectives.vllm_sampler._TIMEOUT", 20.0)
    trainer = made(base, "online-grpo", file, tmp_path / "run", **ONLINE | {"max_new_tokens": 40})
    trainer.elsewhere = sampler(trainer, Place(vllm.url, NAME, 4), "run", tmp_path / "run" / "vllm")
    draws = [(prompt, 1000 + n) for n, prompt in enumerate(trainer.prompts)] * 2
    with trainer._grader:
        yield trainer, draws


def test_the_same_completions_as_sampled_here(drawn, vllm):
    """At the same seeds, by an adapter that changes them, in the order of the draws; ids with the end token."""
    trainer, draws = drawn
    with trainer.elsewhere:
        trainer.elsewhere.serve(trainer.model, trainer.accelerator)
        there = trainer._sample(draws)
    trainer.elsewhere = None
    here = trainer._sample(draws)
    assert there == here
    assert {answer.finish for answer in here} == {"stop", "length"}
    assert all((answer.ids[-1] == 1) == (answer.finish == "stop") for answer in there)
    with trainer.model.disable_adapter():
        assert trainer._sample(draws) != here
    assert equal(vllm.loads[0][2], start.adapter(trainer.model))


def test_the_end_token_is_there_where_a_server_leaves_it_out(drawn, vllm):
    trainer, draws = drawn
    with trainer.elsewhere:
        trainer.elsewhere.serve(trainer.model, trainer.accelerator)
        whole = trainer._sample(draws)
        vllm.returns_end = False
        assert trainer._sample(draws) == whole


def test_a_whole_run_is_the_one_sampled_here(base, file, tmp_path, vllm):
    """Each batch by the adapter after the last step, one loaded at a time, nothing left behind; the same result."""
    more = {**ONLINE, "save_steps": 1, "steps": 4}
    train(options(base, "online-grpo", file, tmp_path / "here", **more))
    train(replace(options(base, "online-grpo", file, tmp_path / "there", **more), vllm=vllm.url))
    run = tmp_path / "there" / "online-grpo"
    assert close(adapter_of(tmp_path / "here" / "online-grpo"), adapter_of(run), 1e-5)
    states = [load_file(next((tmp_path / "there" / ".start").glob("*.safetensors")))]
    states += [adapter_of(run / ".checkpoints" / f"checkpoint-{step}") for step in (1, 2, 3)]
    changed = [new for old, new in zip([{}, *states], states, strict=False) if not equal(old, new)]
    assert len(changed) >= 3  # a warm-up's first step may change nothing, and then nothing is loaded
    assert len(vllm.loads) == len(changed)
    assert all(equal(tensors, state) for (_, _, tensors), state in zip(vllm.loads, changed, strict=True))
    assert len({name for name, _, _ in vllm.loads}) == len(changed)
    assert vllm.most == 2
    assert not vllm.adapters
    assert not (run / ".checkpoints" / "vllm").exists()
    told = [json.loads((tmp_path / place / "online-grpo" / "run.json").read_text()) for place in ("here", "there")]
    assert [record["sampled_by"] for record in told] == ["transformers", "vllm"]


def test_dapo_draws_again_without_loading_again(base, file, tmp_path, vllm):
    train(replace(options(base, "online-dapo", file, tmp_path / "out", **ONLINE, steps=2), vllm=vllm.url))
    assert len(vllm.loads) <= 2
    completions = [body for path, body in vllm.asked if path == "/v1/completions"]
    assert len(completions) > 2 * 8


def test_two_processes_share_one_adapter(base, file, tmp_path, vllm):
    """Every process samples its share, with seeds of its own, from what the main one loaded."""
    pairs = [w for k, v in {**SETTINGS, **ONLINE, "base": base, "steps": 2, "micro_batch": 4}.items()
             for w in ("--set", f"{k}={v}")]  # fmt: skip
    command = ["train", "online-dapo", "--rollouts", file, "--recipe", "demo-smollm2", *pairs]
    code, said = launched("trainer", *command, "--vllm", vllm.url, "--out", tmp_path / "out")
    assert code == 0, said
    assert 1 <= len(vllm.loads) <= 2
    assert not vllm.adapters
    asked = [(body["model"], body["seed"]) for _, body in vllm.asked if "seed" in body]
    assert len(set(asked)) == len(asked) >= 16
    record = json.loads((tmp_path / "out" / "online-dapo" / "run.json").read_text())
    assert record["processes"] == 2


def failed(trainer, draws=()):
    def sample():
        with trainer.elsewhere:
            trainer.elsewhere.serve(trainer.model, trainer.accelerator)
            trainer._sample(draws)

    with pytest.raises(InspectorError) as caught:
        sample()
    return str(caught.value)


def test_every_request_is_one_that_vllm_takes(drawn, vllm):
    trainer, draws = drawn
    Place(vllm.url, NAME, 4).check()
    with trainer.elsewhere:
        trainer.elsewhere.serve(trainer.model, trainer.accelerator)
        trainer._sample(draws)
    assert vllm.refused == []
    assert {path for path, _ in vllm.asked} >= set(REQUESTS)


def test_a_context_too_short(drawn, vllm):
    trainer, _ = drawn
    vllm.context = 20
    with pytest.raises(InspectorError, match=r"takes 20 tokens .* 29 \+ 40: start it with a larger --max-model-len"):
        sampler(trainer, Place(vllm.url, NAME, 4), "run", trainer.elsewhere._folder)


def test_a_server_on_another_machine(drawn, vllm):
    vllm.sees_files = False
    assert "it must see the files of this machine under the same path" in failed(drawn[0])


def test_a_rank_too_high(drawn, vllm):
    vllm.rank = 2
    said = failed(drawn[0])
    assert "does not load the adapter: it answers 500 (LoRA rank 4 is greater than max_lora_rank 2.)" in said
    assert "--max-lora-rank 8" in said


@pytest.mark.parametrize(("rank", "served"), [(1, 1), (4, 8), (32, 32), (33, 64), (300, 320), (512, 512)])
def test_the_command_has_a_rank_that_vllm_takes(rank, served):
    assert served in MAX_RANKS
    assert f"--max-lora-rank {served}`" in Place("http://localhost", "base", rank).how


def test_a_load_whose_answer_was_lost_is_no_fault(drawn, vllm):
    trainer, draws = drawn
    with trainer.elsewhere:
        trainer.elsewhere.serve(trainer.model, trainer.accelerator)
        trainer.elsewhere._served = trainer.elsewhere._loaded = ""
        trainer.elsewhere.serve(trainer.model, trainer.accelerator)
        assert len(trainer._sample(draws)) == len(draws)
    assert len(vllm.loads) == 1


def test_a_busy_server_is_asked_again_and_a_refusal_ends_the_run(drawn, vllm):
    trainer, draws = drawn
    object.__setattr__(trainer.elsewhere._server, "pause", 0.01)
    vllm.faults = [Fault("/completions", 503, times=3)]
    with trainer.elsewhere:
        trainer.elsewhere.serve(trainer.model, trainer.accelerator)
        assert len(trainer._sample(draws)) == len(draws)
    vllm.faults = [Fault("/completions", 400)]
    said = failed(trainer, draws)
    assert "does not complete a prompt: it answers 400 (not now). Once it does, the same command goes on" in said


def test_going_on_after_the_server_was_away(base, file, tmp_path, vllm):
    """The run stops with a message, and ends as an uninterrupted one once the server answers again."""
    asked = options(base, "online-grpo", file, tmp_path / "out", **ONLINE, save_steps=1, steps=3)
    first = replace(asked, vllm=vllm.url)
    original = vllm.complete
    calls = iter(range(10_000))
    vllm.complete = lambda body: original(body) if next(calls) < 13 else (400, {"error": {"message": "gone"}})
    with pytest.raises(InspectorError, match=r"gone.* the same command goes on"):
        train(first)
    assert not vllm.adapters
    vllm.complete = original
    train(first)
    train(replace(asked, out=tmp_path / "whole"))
    assert close(adapter_of(tmp_path / "out" / "online-grpo"), adapter_of(tmp_path / "whole" / "online-grpo"), 1e-5)


def test_nothing_is_merged(drawn, vllm):
    """A₀ and B as they are, in float32, under PEFT's names."""
    trainer, _ = drawn
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    with trainer.elsewhere:
        trainer.elsewhere.serve(trainer.model, trainer.accelerator)
    assert equal(before, dict(trainer.model.named_parameters()))
    assert {str(t.dtype) for t in vllm.loads[0][2].values()} == {"torch.float32"}
