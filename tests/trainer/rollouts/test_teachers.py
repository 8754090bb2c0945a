"""Draws: the distribution by its inverse, streams of their own, and servers with all that goes wrong there."""

import time
from dataclasses import replace

import pytest
import torch

from inspector.base_model.generation import Hooks
from inspector.common.errors import InspectorError
from tests.base_model.bases import base
from tests.base_model.chat_server import ChatServer, Fault
from tests.trainer.rollout_rows import QUESTIONS
from trainer.rollouts.draws import Sampling
from trainer.rollouts.plan import planned
from trainer.rollouts.sampling import Chooser, draw
from trainer.rollouts.teachers import Local, remote

P = torch.tensor([0.1, 0.4, 0.0, 0.3, 0.2])
SAMPLING = Sampling(max_tokens=12)


def drawn(u, temperature=1.0, top_p=1.0, p=P):
    """The tokens of several uniform numbers."""
    u = torch.tensor(u, dtype=torch.float64)
    return draw(p.log().expand(len(u), -1), u, temperature, top_p).tolist()


def test_the_inverse_of_the_distribution():
    """Cumulated: 0.1, 0.5, 0.5, 0.8, 1."""
    assert drawn([0, 0.09, 0.11, 0.49, 0.51, 0.79, 0.81, 1 - 2**-53]) == [0, 0, 1, 1, 3, 3, 4, 4]


def test_top_p_keeps_the_fewest_most_probable():
    """0.4 + 0.3 reach 0.7 and not 0.71: the tokens 1, 3, then 1, 3, 4, in the order of their probability."""
    assert drawn([0, 0.57, 0.58, 0.999], top_p=0.69) == [1, 1, 3, 3]
    assert set(drawn(torch.linspace(0, 0.999, 50).tolist(), top_p=0.71)) == {1, 3, 4}
    assert drawn([0, 0.999], top_p=1e-9) == [1, 1]


def test_top_p_of_many_tokens():
    """5,000 alike: more are needed for 0.9 than are looked at first; for 0.1 the first do."""
    p = torch.full((5000,), 1 / 5000)
    u = torch.linspace(0, 0.999, 400).tolist()
    assert len(set(drawn(u, top_p=0.9, p=p))) == 400
    assert len(set(drawn(torch.linspace(0, 0.9999, 5000).tolist(), top_p=0.1, p=p))) in {500, 501}


def test_temperature():
    """0 is the most probable token; 1/2 squares: 0.01, 0.16, 0, 0.09, 0.04 of 0.3."""
    assert drawn([0, 0.5, 0.999], temperature=0) == [1, 1, 1]
    assert drawn([0.03, 0.04, 0.56, 0.57, 0.86, 0.87], temperature=0.5) == [0, 1, 1, 3, 3, 4]


def test_a_sum_that_rounds_up_never_takes_an_impossible_token():
    p = torch.zeros(1000)
    p[:3] = 1 / 3
    assert drawn([1 - 2**-53] * 4, p=p) == [2] * 4


def test_frequencies():
    """10,000 numbers, four standard errors."""
    u = torch.rand(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    got = torch.bincount(draw(P.log().expand(len(u), -1), u, 1.0, 1.0), minlength=5) / len(u)
    assert ((got - P).abs() <= 4 * (P * (1 - P) / len(u)).sqrt()).all()


def test_streams_do_not_depend_on_the_batch():
    """Row 1 alone draws what it draws beside others, step by step."""
    logits = torch.randn(20, 3, 50, generator=torch.Generator().manual_seed(1))
    together, alone = Chooser([5, 6, 7], SAMPLING), Chooser([6], SAMPLING)
    ids = torch.zeros(3, 1)
    steps = [(together(ids, x)[1], alone(ids[:1], x[1:2])[0]) for x in logits]
    assert all(torch.equal(a, b) for a, b in steps)
    assert len({int(a.argmax()) for a, _ in steps}) > 5
    assert all(a.isfinite().sum() == 1 for a, _ in steps)


def test_seeds_follow_from_run_prompt_and_k():
    seeds = [Sampling(seed=s).of(key, k) for s in (1, 2) for key in ("a", "b") for k in range(50)]
    assert len(set(seeds)) == 200
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert Sampling(seed=1).of("a", 0) == seeds[0]


@pytest.fixture(scope="module")
def local():
    return Local(base(dtype=torch.float32), batch=4)


def sampled(teacher, todo, wanted=None, **hooks):
    found = teacher.samples(
        todo.draws, range(len(todo.slots)) if wanted is None else wanted, todo.sampling, Hooks(**hooks)
    )
    return [sample for some in found for sample in some]


def test_a_part_is_drawn_as_the_whole_is(local):
    """6 questions, 3 draws, batches of 4: what is missing comes out bit for bit, whatever is missing."""
    todo = planned(QUESTIONS, local, SAMPLING, 3, 1)
    whole = sampled(local, todo)
    assert [s.index for s in whole] == list(range(18))
    assert len({s.text for s in whole}) > 12
    assert {s.finish for s in whole} <= {"stop", "length"}
    assert all(0 < s.completion_tokens <= 12 for s in whole)
    for wanted in ({5}, {0, 17}, set(range(7, 18))):
        assert sampled(local, todo, wanted) == [s for s in whole if s.index in wanted]


def test_another_seed_draws_others(local):
    one, other = (sampled(local, planned(QUESTIONS, local, Sampling(max_tokens=12, seed=s), 2, 0)) for s in (1, 2))
    assert [s.text for s in one] != [s.text for s in other]


def test_temperature_zero_is_greedy(local):
    todo = planned(QUESTIONS, local, Sampling(temperature=0, max_tokens=12), 2, 0)
    texts = [s.text for s in sampled(local, todo)]
    assert texts[::2] == texts[1::2]


def test_prompts_too_long_for_the_context_are_left_out(local):
    long = replace(QUESTIONS, problems=(replace(QUESTIONS.problems[0], question="1" * 3000), *QUESTIONS.problems[1:]))
    notes = []
    found = sampled(local, planned(long, local, SAMPLING, 1, 0), note=notes.append)
    assert [s.index for s in found] == [1, 2, 3, 4, 5]
    assert notes == ["1 prompt longer than the context of tiny/llama: left out"]


@pytest.fixture
def chat(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer(("big", "small"), lambda model, question: f"{model}: {question}") as server:
        yield server


def asking(chat, name="big", per_minute=0.0, extra="", **options):
    teacher = remote((chat.url,), name, 3, per_minute, extra)
    return replace(teacher, server=replace(teacher.server, **({"pause": 0.01, "timeout": 5.0} | options)))


def test_a_request_says_how_to_sample(chat):
    teacher = asking(chat, extra='{"top_k": 20, "top_p": null}')
    todo = planned(QUESTIONS, teacher, SAMPLING, 2, 1)
    found = sorted(sampled(teacher, todo, {0, 1, 7}), key=lambda s: s.index)
    assert [(s.index, s.completion_tokens > 0, s.prompt_tokens) for s in found] == [
        (0, True, -1),
        (1, True, -1),
        (7, True, -1),
    ]
    assert found[0].text == found[1].text == "big: 0 + 1 = ? Put the final answer in \\boxed{}."
    assert sorted(body["seed"] for body in chat.asked) == sorted(todo.slots[n].draw.seed for n in (0, 1, 7))
    body = chat.asked[0]
    assert (body["temperature"], body["max_tokens"], body["top_k"], "top_p" in body) == (1.0, 12, 20, False)
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, times=3, headers={"Retry-After": "0.05"}),
        Fault(500, times=3),
        Fault(cut=True, times=2),
        Fault(pause=2),
    ],
)
def test_passing_faults_are_waited_out(chat, fault):
    chat.faults = [fault]
    teacher = asking(chat, timeout=1 if fault.pause else 5)
    todo = planned(QUESTIONS, teacher, SAMPLING, 2, 0)
    assert sorted(s.index for s in sampled(teacher, todo)) == list(range(12))


def test_so_many_requests_a_minute(chat):
    """600 a minute: the seventh starts 0.6 s after the first."""
    teacher = asking(chat, per_minute=600)
    started = time.monotonic()
    sampled(teacher, planned(QUESTIONS, teacher, SAMPLING, 1, 0), set(range(6)))
    assert time.monotonic() - started >= 0.5


def test_a_model_is_known_by_what_its_server_says_of_it(chat):
    """Not by a name alone, nor by the address, which changes from job to job."""
    known = asking(chat).identity
    assert asking(chat, per_minute=600).identity == known
    with ChatServer(chat.models, chat.reply) as elsewhere:
        assert asking(elsewhere).identity == known
    chat.cards["big"] = {"root": "org/other"}
    assert asking(chat).identity != known
    assert asking(chat, extra='{"top_k": 20}').identity != asking(chat).identity


def test_which_model(chat):
    with pytest.raises(InspectorError, match=r"Which model of .*: it serves big, small"):
        asking(chat, name="")
    with pytest.raises(InspectorError, match="serves no model 'huge', but big, small"):
        asking(chat, name="huge")
    chat.models = ("only",)
    assert asking(chat, name="").name == "only"
    chat.models = ()
    with pytest.raises(InspectorError, match="it does not tell which it has"):
        asking(chat, name="")
    assert asking(chat, name="any").name == "any"
    with pytest.raises(InspectorError, match="--body is no JSON"):
        asking(chat, extra="{top_k")
    with pytest.raises(InspectorError, match="--body must be an object"):
        asking(chat, extra="[1]")
