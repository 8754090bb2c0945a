"""Answers through a server on localhost, with everything that goes wrong there."""

import time

import pytest

from inspector.base_model.generation import Answer, Hooks
from inspector.base_model.served import Served
from inspector.base_model.server import Server
from inspector.common.errors import CancelledError, InspectorError
from tests.base_model.chat_server import ChatServer, Fault

QUESTIONS = [f"question {n}" for n in range(12)]


@pytest.fixture
def chat():
    with ChatServer(("base", "sft"), lambda model, question: f"{model} on {question}") as server:
        yield server


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def client(chat, **options):
    return Server(chat.url, 32, **({"concurrency": 3, "timeout": 5, "pause": 0.01} | options))


def asked(server, model="sft", questions=QUESTIONS, **hooks):
    prompts = [[{"role": "user", "content": q}] for q in questions]
    return sorted(server.answers(model, prompts, Hooks(**hooks)), key=lambda a: a.index)


def expected(questions=QUESTIONS, model="sft"):
    return [Answer(n, f"{model} on {q}", len(f"{model} on {q}"), "stop") for n, q in enumerate(questions)]


def test_every_question_once_greedily_and_several_at_a_time(chat):
    chat.faults = [Fault(pause=0.05, times=12)]
    assert asked(client(chat)) == expected()
    assert len(chat.asked) == 12
    assert chat.busiest == 3
    assert {(b["model"], b["temperature"], b["max_tokens"]) for b in chat.asked} == {("sft", 0, 32)}


@pytest.mark.parametrize("url", ["http://{}", "{}", "http://{}/v1/", "http://{}/v1/chat/completions"])
def test_addresses_as_people_write_them(chat, url):
    place = chat.url.removeprefix("http://").removesuffix("/v1")
    assert list(Server(url.format(place), 8).served()) == ["base", "sft"]


def test_offline_mode_of_the_hub_is_no_matter(chat, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert len(asked(client(chat))) == 12


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, times=3, headers={"Retry-After": "0.05"}),
        Fault(500, times=2),
        Fault(503, times=2, body="<html>busy"),
        Fault(cut=True, times=2),
        Fault(200, body="no json", times=2),
        Fault(pause=2.0, times=1),
    ],
)
def test_passing_faults_are_waited_out(chat, fault):
    chat.faults = [fault]
    assert asked(client(chat, timeout=1 if fault.pause else 5)) == expected()
    assert len(chat.asked) > 12


def test_retry_after_is_kept(chat):
    chat.faults = [Fault(429, headers={"Retry-After": "0.4"})]
    started = time.monotonic()
    asked(client(chat), questions=QUESTIONS[:1])
    assert time.monotonic() - started > 0.4


def test_a_refused_problem_has_no_answer_and_the_others_do(chat):
    chat.faults = [Fault(400, where="question 3", times=99, body='{"error": {"message": "too long"}}')]
    notes = []
    assert [a.index for a in asked(client(chat), note=notes.append)] == [n for n in range(12) if n != 3]
    assert notes == ["sft: a problem without an answer: it answers 400 (too long)"]


def test_a_problem_that_always_fails_is_given_up(chat):
    chat.faults = [Fault(500, where="question 3", times=99)]
    notes = []
    assert len(asked(client(chat, tries=3), note=notes.append)) == 11
    assert notes == [
        "sft: it answers 500 (not now); asking again, 3 times at most",
        "sft: a problem without an answer: it answers 500 (not now), 3 times",
    ]


def test_what_a_server_fails_with_is_said_before_it_is_waited_out(chat):
    chat.faults = [Fault(500, times=999)]
    started, notes = time.monotonic(), []
    with pytest.raises(CancelledError):
        asked(client(chat, pause=600), note=notes.append, cancelled=lambda: bool(notes))
    assert notes == ["sft: it answers 500 (not now); asking again, 5 times at most"]
    assert time.monotonic() - started < 60


def test_an_answer_between_failures_begins_their_count_anew(chat):
    """Four in a row are not a broken server, at the start, in the middle and at the end."""
    questions = [f"{'bad' if (n + 1) % 5 else 'good'} {n}" for n in range(14)]
    chat.faults = [Fault(400, where="bad", times=99)]
    assert [answer.index for answer in asked(client(chat, concurrency=1), questions=questions)] == [4, 9]


@pytest.mark.parametrize("fault", [Fault(500, times=999), Fault(200, body="{}", times=999), Fault(cut=True, times=999)])
def test_a_broken_server_is_given_up(chat, fault):
    chat.faults = [fault]
    with pytest.raises(InspectorError, match=r"The server http://127.0.0.1:\d+/v1 fails again and again: "):
        asked(client(chat, tries=2))


def test_unknown_models_are_refused_with_those_there_are(chat):
    with pytest.raises(InspectorError, match=r"serves no model 'dpo', but base, sft\. Name the source"):
        asked(client(chat), "dpo")
    assert not chat.asked


def test_a_server_that_lists_no_models_is_asked_all_the_same(chat):
    chat.models = ()
    assert asked(client(chat)) == expected()


def test_unreachable():
    with ChatServer((), str) as chat:
        pass
    with pytest.raises(InspectorError, match=r"cannot be reached \(Connection refused\): start it, or check"):
        asked(client(chat))


@pytest.mark.parametrize("url", ["ftp://x", "http://x:0", "x:0/v1", "http://x:port", "http://"])
def test_addresses_that_are_none(url):
    with pytest.raises(InspectorError, match="is not a server"):
        Server(url, 8).cards()


def test_keys(monkeypatch):
    with ChatServer(("sft",), lambda *_: "4", key="secret") as chat:
        with pytest.raises(InspectorError, match="answers 401: it needs a key in OPENAI_API_KEY"):
            asked(client(chat))
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        with pytest.raises(InspectorError, match="answers 401: it does not take the key in OPENAI_API_KEY"):
            asked(client(chat))
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        assert len(asked(client(chat))) == 12
        assert "secret" not in repr(client(chat))


def test_cancel_while_the_server_is_slow(chat):
    chat.faults = [Fault(pause=600, times=99)]
    started = time.monotonic()
    with pytest.raises(CancelledError):
        asked(client(chat), cancelled=lambda: time.monotonic() - started > 0.3)
    assert time.monotonic() - started < 300


@pytest.mark.parametrize("signed", ["sft", "", "/srv/lora/sft", "sft-2026-01-31"])
def test_an_answer_of_the_model_that_was_asked(chat, signed):
    """Its name, none, where its weights are by /models, its newest version as OpenAI dates it."""
    chat.cards["sft"], chat.signed["sft"] = {"root": "/srv/lora/sft"}, signed
    assert asked(client(chat)) == expected()


@pytest.mark.parametrize("signed", ["base", "sft-2", "sft-1000", "/srv/lora/dpo"])
def test_an_answer_of_another_model_is_an_error(chat, signed):
    chat.signed["sft"] = signed
    with pytest.raises(InspectorError, match=f"was asked for 'sft' and '{signed}' answered") as error:
        asked(client(chat))
    assert chat.url in str(error.value)


def test_what_a_server_says_of_its_models(chat):
    chat.cards = {"base": {"root": "org/base", "created": 7, "owned_by": "vllm"}, "sft": {"parent": "base", "root": 1}}
    assert client(chat).served() == {
        "base": Served("base", "org/base", "", "vllm"),
        "sft": Served("sft", "", "base", ""),
    }
