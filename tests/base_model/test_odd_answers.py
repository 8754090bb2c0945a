"""Answers that are none, from a server that means no good: one failed answer each, and the run goes on."""

import json
import time
from dataclasses import replace

import pytest

from inspector.base_model import exchange
from inspector.base_model.endpoint import Endpoint, ProblemError
from inspector.base_model.generation import Hooks
from inspector.base_model.server import Server
from inspector.common.errors import InspectorError
from tests.base_model.chat_server import ChatServer, Fault
from tests.odd_server import OddServer, drip, reply
from trainer.objectives.vllm_sampler import Place, VllmSampler
from trainer.rollouts.draws import Sampling
from trainer.rollouts.teachers import remote

MESSAGE = '"message": {"content": "4"}'
ODD = {
    "a number beyond float64": f'{{"choices": [{{{MESSAGE}}}], "usage": {{"completion_tokens": 1e999}}}}',
    "NaN": f'{{"choices": [{{{MESSAGE}, "finish_reason": NaN}}]}}',
    "an integer of 10,000 digits": f'{{"usage": {{"prompt_tokens": {"9" * 10_000}}}}}',
    "nested deeply": "[" * 100_000,
    "nested 900 deep": '{"choices": ' + "[" * 900 + "]" * 900 + "}",
    "choices a number": '{"choices": 5}',
    "choices a table": '{"choices": {"0": 1}}',
    "choices of texts": '{"choices": ["x"]}',
    "no choice": '{"choices": []}',
    "message a list": '{"choices": [{"message": ["x"]}]}',
    "content a number": '{"choices": [{"message": {"content": 5}}]}',
    "content parts": '{"choices": [{"message": {"content": [{"text": "4"}]}}]}',
    "finish_reason a list": f'{{"choices": [{{{MESSAGE}, "finish_reason": [1]}}]}}',
    "usage a number": f'{{"choices": [{{{MESSAGE}}}], "usage": 5}}',
    "usage of texts": f'{{"choices": [{{{MESSAGE}}}], "usage": {{"completion_tokens": "many"}}}}',
    "a list": "[1]",
    "not UTF-8": '"\udcff"',
}
QUESTIONS = [[{"role": "user", "content": f"question {n}"}] for n in range(6)]


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.mark.parametrize("teacher", [False, True])
@pytest.mark.parametrize("name", ODD)
def test_one_odd_answer_is_one_failed_answer(name, teacher):
    with ChatServer(("sft",), lambda *_: "4") as chat:
        chat.faults = [Fault(200, where="question 3", times=99, body=_Raw(ODD[name]))]
        server = remote((chat.url,), "sft", 3, 0, "").server if teacher else Server(chat.url, 8, 3)
        notes = []
        server = replace(server, pause=0.001, tries=2)
        found = list(server.answers("sft", QUESTIONS, Hooks(note=notes.append)))
    assert sorted(answer.index for answer in found) == [0, 1, 2, 4, 5]
    (failed,) = (note for note in notes if "asking again" not in note)
    assert "a problem without an answer: its answer is no" in failed
    assert len(failed) < 250


class _Raw(str):
    """Text whose lone surrogates are the bytes that no UTF-8 has."""

    __slots__ = ()

    def encode(self, *_args):
        return super().encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("body", ["[" * 100_000, '{"error": 1e999}', "[1]", "5", '{"error": {"message": {"a": [1]}}}'])
def test_an_odd_explanation_of_an_error(body, status):
    with ChatServer(("sft",), lambda *_: "4") as chat:
        chat.faults = [Fault(status, where="question 3", times=99, body=body)]
        notes = []
        server = Server(chat.url, 8, 3, pause=0.001, tries=2)
        assert len(list(server.answers("sft", QUESTIONS, Hooks(note=notes.append)))) == 5
    assert f"it answers {status}" in notes[0]


@pytest.mark.parametrize("status", [400, 401, 404, 408, 409, 410, 422, 425, 426, 429, 500, 501, 502, 503, 504, 505])
def test_only_what_may_pass_is_asked_again(status):
    with ChatServer(("sft",), lambda *_: "4") as chat:
        chat.faults = [Fault(status, times=1)]
        server = Server(chat.url, 1, 3, pause=0.0, tries=2)
        try:
            answered = len(list(server.answers("sft", QUESTIONS[:1], Hooks())))
        except InspectorError:  # 401 is for good
            answered = 0
    again = status in {408, 409, 425, 429, 500, 502, 503, 504}
    assert (answered, len(chat.asked)) == ((1, 2) if again else (0, 1))


@pytest.mark.parametrize(
    "body",
    [
        '{"data": 5}',
        '{"data": {"id": 1}}',
        '{"data": ["x"]}',
        '{"data": [5]}',
        '{"data": 1e999}',
        "[" * 10_000,
        "x",
        "é",
    ],
)
def test_an_odd_list_of_models_is_one_sentence(body):
    with OddServer(lambda handler, _body: reply(handler, 200, body.encode("latin-1"))) as server:
        with pytest.raises(InspectorError, match=r"The server http://127.0.0.1:\d+/v1"):
            Endpoint(server.url, pause=0.001, tries=2).cards()
        with pytest.raises(InspectorError, match=r"The server http://127.0.0.1:\d+/v1"):
            replace_pause(Place(server.url, "base", 4)).context()


def replace_pause(place):
    """The same, asked quickly."""

    class Quick(Place):
        def endpoint(self):
            return Endpoint(self.url, pause=0.001, tries=2)

    return Quick(place.url, place.base_id, place.rank)


@pytest.mark.parametrize("length", ["1e999", '"long"', "[1]", "1.5", "9" * 1000])
def test_an_odd_context_of_a_vllm_server(length):
    body = f'{{"data": [{{"id": "base", "max_model_len": {length}}}]}}'.encode()
    with OddServer(lambda handler, _body: reply(handler, 200, body)) as server, pytest.raises(InspectorError) as caught:
        replace_pause(Place(server.url, "base", 4)).context()
    assert str(caught.value).startswith("The server http://127.0.0.1")


@pytest.mark.parametrize("ids", ["5", "[1e999]", '["a"]', "[1.5]", "[-1]", f"[{2**40}]", "[100]", "[true]", "null"])
def test_odd_tokens_of_a_vllm_server_are_one_failed_answer(ids, tmp_path):
    """A base of 100 tokens."""
    body = f'{{"choices": [{{"token_ids": {ids}, "finish_reason": "length"}}]}}'.encode()
    with OddServer(lambda handler, _body: reply(handler, 200, body)) as server:
        place = replace_pause(Place(server.url, "base", 4))
        sampler = VllmSampler(place, "run", tmp_path, Sampling(max_tokens=4), None, ())
        sampler._vocabulary = 100
        prompt = type("Prompt", (), {"ids": (1, 2)})()
        with pytest.raises(InspectorError, match=r"does not complete a prompt: its answer "):
            sampler([(prompt, 0)])


HEAD = b"HTTP/1.0 200 OK\r\n"


@pytest.mark.parametrize(
    "head", [b"", HEAD, HEAD + b"X: ", HEAD + b"\r\n", HEAD + b"Content-Length: 99999\r\n\r\n[1, 2"]
)
def test_a_server_that_drips_is_given_up(head):
    """Every byte within the time of one, and never all of them."""
    with OddServer(lambda handler, _body: drip(handler, head)) as server:
        started = time.monotonic()
        with pytest.raises(ProblemError, match=r"no answer within 0.5 s, twice"):
            Endpoint(server.url, timeout=0.5, tries=5, pause=0.01).ask("chat/completions", {})
        with pytest.raises(InspectorError, match=r"no answer within 0.3 s, twice"):
            Endpoint(server.url, listing=0.3, pause=0.01).cards()  # 600 s are for an answer
        assert time.monotonic() - started < 30


def test_an_answer_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(exchange, "LARGEST", 1000)
    for size in (1000, 1001):
        body = json.dumps({"x": "y" * (size - 9)}).encode()
        assert len(body) == size
        with OddServer(lambda handler, _body, body=body: reply(handler, 200, body)) as server:
            endpoint = Endpoint(server.url, tries=1)
            if size > 1000:
                with pytest.raises(ProblemError, match="its answer is longer than"):
                    endpoint.ask("x", {})
            else:
                assert endpoint.ask("x", {})
