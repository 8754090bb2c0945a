"""What answers of a base here and of a server are known by: all that they depend on, and nothing else."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from inspector.base_model.served import Served
from inspector.common.errors import InspectorError
from inspector.probes.accuracy import measure, run
from inspector.probes.accuracy.engines import Local, Remote


@dataclass
class Server:
    root: str = "http://one"
    where: str = "http://one"
    max_new_tokens: int = 64
    now: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def known_by(self, cards):
        return [self.root, *((card.name, card.root) for card in cards)]

    def refuse_unknown(self, model):
        return self.now.get(model, Served(model))

    def answers(self, model, prompts, _hooks):
        self.asked.append(model)
        yield from prompts


CARDS = {"base": Served("base", "org/base"), "sft": Served("sft", "org/sft", "base")}


def remote(**more):
    return Remote(Server(**more), "base", CARDS, {"sft": "org/base", "dpo": "", "rft": "org/another"}, "slow")


def local(device="cuda:1", **more):
    base = SimpleNamespace(name="org/base", digest="d", device=device, dtype="F32", caution="", **more)
    return Local(SimpleNamespace(base=base, other_bases={"a": "a: other base", "b": "b: other base"}), 64)


def test_an_answer_here_is_of_base_device_type_and_length():
    run = local().run("sums", "a", "x")
    assert (run.task, run.base_digest, run.adapter_digest) == ("sums", "d", "x")
    assert run.settings == "transformers, cuda, F32, greedy, at most 64 new tokens"
    assert local().batch == 0
    assert local("cpu").run("sums", "a", "x").settings.startswith("transformers, cpu, F32")
    info = local().info()
    assert (info.probe, info.base, info.base_digest, info.device, info.dtype) == (
        "accuracy", "org/base", "d", "cuda:1", "F32",
    )  # fmt: skip
    assert (info.detail, info.note) == ("greedy, at most 64 new tokens", "a: other base; b: other base")


def test_an_answer_of_a_server_is_of_its_address_models_and_bases():
    run = remote().run("sums", "sft", "x")
    assert (run.task, run.base_digest, run.adapter_digest) == ("sums", "", "x")
    assert run.settings == (
        'server, ["http://one", ["base", "org/base"], ["sft", "org/sft"], ["org/base"]], greedy, at most 64 new tokens'
    )
    assert remote().run("sums", None, "").settings == (
        'server, ["http://one", ["base", "org/base"], ["org/another", "org/base"]], greedy, at most 64 new tokens'
    )
    assert '["dpo", ""], [""]]' in remote().run("sums", "dpo", "").settings, "of one that /models does not list"
    info = remote().info()
    assert (info.probe, info.base, info.device, info.note) == ("accuracy", "base", "server", "slow")
    assert info.detail == "greedy, at most 64 new tokens, answered by http://one"


def test_a_problem_is_shown_as_messages():
    problems = SimpleNamespace(problems=(1, 2), messages=lambda problem: [{"role": "user", "content": str(problem)}])
    assert [prompt[0]["content"] for prompt in remote().prompts(problems)] == ["1", "2"]


@pytest.mark.parametrize("name", ["sft", None])
def test_another_server_in_its_place_is_not_asked(name):
    engine = remote(now=dict(CARDS))
    assert list(engine.answers(name, ["x", "y"], None)) == ["x", "y"]
    assert engine.server.asked == [name or "base"]
    other = replace(CARDS[name or "base"], root="org/other")
    engine = remote(now={**CARDS, other.name: other})
    with pytest.raises(InspectorError, match=f"says something else of '{other.name}' than when this began"):
        list(engine.answers(name, ["x"], None))
    assert engine.server.asked == []


@pytest.mark.parametrize(("asked", "tokens"), [(0, 128), (12, 12)])
def test_inside_the_app_without_a_limit_it_is_the_tasks(monkeypatch, asked, tokens):
    """And the numbers of those that were asked stand at their places among all."""
    seen, delivered = [], []
    pair = np.array([[[1.0], [2]], [[3], [4]]])

    def evaluate(engine, adapters, problems, folder, _watch, *, with_base):
        seen.append((engine.max_new_tokens, engine.batch, len(adapters), problems.name, folder.name, with_base))
        blocks = {
            ("accuracy_base", "global"): np.array([9.0]), ("accuracy", "global"): np.array([[0.5], [0.7]]),
            ("mcnemar_p", "global"): pair,
        }  # fmt: skip
        return SimpleNamespace(info="info", blocks=lambda: blocks)

    monkeypatch.setattr(run, "evaluate", evaluate)
    request = SimpleNamespace(
        problems=lambda probe: SimpleNamespace(name="arithmetic", probe=probe), new_tokens=asked, batch=3
    )
    job = SimpleNamespace(
        names=("a", "b", "c"), request=request, attached=None, course=SimpleNamespace(counted=None),
        deliver=lambda *of: delivered.append(of),
    )  # fmt: skip
    run.run(job, [SimpleNamespace(info=SimpleNamespace(name=name)) for name in "ca"], print, bool)
    assert seen == [(tokens, 3, 2, "arithmetic", "records", True)]
    ((info, blocks, alphas),) = delivered
    assert (info, alphas, blocks["accuracy_base", "global"].tolist()) == ("info", (), [9])
    np.testing.assert_array_equal(blocks["accuracy", "global"][:, 0], [0.7, np.nan, 0.5])
    n = np.nan
    np.testing.assert_array_equal(blocks["mcnemar_p", "global"][:, :, 0], [[4, n, 3], [n, n, n], [2, n, 1]])


def test_tokens_a_second(monkeypatch):
    now = iter((10.0, 10.0, 10.0, 12.5, 14.0))
    monkeypatch.setattr(measure.time, "monotonic", lambda: next(now))
    speed = measure._Speed()
    assert speed.text == "", "no token yet"
    speed.add(20)
    assert speed.text == "", "no time yet"
    speed.add(30)
    assert speed.text == ", 20 tokens/s"
    assert speed.text == ", 12 tokens/s"
