"""Several servers of one model: work is spread, one that dies is left out, nothing is asked twice or lost."""

import threading
from collections import Counter
from contextlib import contextmanager

import pytest

from inspector.base_model.generation import Hooks
from inspector.base_model.server import Server
from inspector.base_model.servers import Servers, at
from inspector.common.errors import InspectorError
from tests.base_model.chat_server import ChatServer, Fault

PROMPTS = [[{"role": "user", "content": f"question {n}"}] for n in range(20)]


@contextmanager
def two(**more):
    """Two servers, and what each answered."""
    answered = [], []

    def replies(n):
        def reply(model, question):
            answered[n].append(question)
            return f"{model}: {question}"

        return reply

    with ChatServer(("base", "sft"), replies(0)) as a, ChatServer(("base", "sft"), replies(1)) as b:
        servers = at([a.url, b.url], 8, 2, **{"pause": 0.01, "tries": 2} | more)
        yield (a, b), answered, servers


def die_after(chat, count):
    """The server hangs up on what comes after so many answers, and is not to be reached any more."""
    real, lock = chat.reply, threading.Lock()
    left = [count]

    def reply(model, question):
        with lock:
            left[0] -= 1
            if left[0] == -1:
                chat._server.server_close()
        if left[0] < 0:
            raise OSError("died")
        return real(model, question)

    chat.reply = reply


def asked(servers, **hooks):
    return {found.index: found.text for found in servers.answers("sft", PROMPTS, Hooks(**hooks))}


EVERY = {n: f"sft: question {n}" for n in range(20)}


def test_work_is_spread():
    with two() as (chats, answered, servers):
        chats[0].faults = [Fault(where="question", times=99, pause=0.1)]
        assert asked(servers) == EVERY
        assert Counter(answered[0] + answered[1]) == Counter(p[0]["content"] for p in PROMPTS)
        assert 2 <= len(answered[0]) < len(answered[1]), "the slower one has less to do"
        assert max(chats[0].busiest, chats[1].busiest) <= 2


def test_a_server_that_dies_is_left_out():
    notes = []
    with two() as (chats, answered, servers):
        die_after(chats[1], 3)
        chats[0].faults = [Fault(where="question", times=99, pause=0.05)]  # the other one is asked more than thrice
        assert asked(servers, note=notes.append) == EVERY
        assert len(answered[1]) == 3
        assert Counter(answered[0] + answered[1]) == Counter(p[0]["content"] for p in PROMPTS)
        assert len([note for note in notes if "left out" in note and chats[1].url in note]) == 1
        assert asked(servers) == EVERY, "the next model is asked of the other one"
        assert len(answered[1]) == 3


def test_a_server_that_fails_again_and_again_is_left_out():
    with two() as (chats, answered, servers):
        chats[0].faults = [Fault(status=500, times=999)]
        assert asked(servers) == EVERY
        assert answered[0] == []
        assert sorted(answered[1]) == sorted(p[0]["content"] for p in PROMPTS)


def test_what_every_server_would_refuse_is_not_asked_of_another():
    notes = []
    with two() as (chats, _, servers):
        for chat in chats:
            chat.faults = [Fault(status=400, where="question 7", times=9)]
        assert asked(servers, note=notes.append) == {n: text for n, text in EVERY.items() if n != 7}
        assert sum("question 7" in str(body) for chat in chats for body in chat.asked) == 1
        assert len(notes) == 1


def test_none_is_left():
    with two() as (chats, _, servers):
        for chat in chats:
            die_after(chat, 2)
        found = []
        with pytest.raises(InspectorError, match="cannot be reached"):
            found.extend(servers.answers("sft", PROMPTS, Hooks()))
        assert len(found) == 4


def test_one_is_not_there_from_the_start(capsys):
    with two() as (chats, answered, servers):
        chats[0]._server.server_close()
        assert set(servers.served()) == {"base", "sft"}
        assert capsys.readouterr().err.startswith(f"Left out: The server {chats[0].url} cannot be reached")
        assert asked(servers) == EVERY
        assert answered[0] == []


def test_servers_that_have_other_models():
    with two() as (chats, _, servers):
        chats[0].cards["sft"] = {"root": "/runs/sft", "parent": "base"}
        chats[1].cards["sft"] = {"root": "/runs/dpo", "parent": "base"}
        with pytest.raises(InspectorError, match=r"say something else of 'sft' \(root\)"):
            servers.refuse_unknown("sft")
        with pytest.raises(InspectorError, match=r"something else of 'sft'"):
            servers.served()
        chats[1].models = ("base",)
        assert set(servers.served()) == {"base"}
        with pytest.raises(InspectorError, match="serves no model 'sft'"):
            servers.refuse_unknown("sft")


def test_answers_are_known_by_all_addresses_in_any_order():
    one, other = at(["http://a", "http://b"], 8, 2), at(["http://b/v1", "http://a"], 8, 2)
    assert one.known_by([]) == other.known_by([]) == [["http://a/v1", "http://b/v1"], []]
    assert isinstance(at(["http://a", "http://a/v1"], 8, 2), Server)
    assert isinstance(one, Servers)
