"""A base that takes long to load: who waits leaves at once, and the load is found again."""

import threading
import time

import pytest

from inspector.base_model.loading import Loading, Waiting
from inspector.common.errors import CancelledError, InspectorError

BASE, OTHER = "a base", "another"


class Slow:
    """A load that nobody can stop, until it is let go."""

    def __init__(self, gives=BASE, error=None):
        self.gives, self.error, self.begun, self.ended = gives, error, 0, threading.Event()
        self.go, self.heard = threading.Event(), []

    def __call__(self, note, progress, cancelled):
        self.begun += 1
        note("begun")
        assert self.go.wait(60)
        progress("nearly there", 1, 2)
        self.heard.append(cancelled())
        self.ended.set()
        if self.error:
            raise self.error
        return self.gives


def waiting(said, *, cancelled=False):
    return Waiting(said.append, lambda *step: said.append(step), lambda: cancelled)


def test_who_leaves_does_not_wait_and_who_comes_next_finds_the_same_load():
    load, loading, first, second = Slow(), Loading(), [], []
    with pytest.raises(CancelledError):
        loading.attached("key", load, waiting(first, cancelled=True))
    assert not load.ended.is_set(), "nobody could stop it"
    found = []
    again = threading.Thread(target=lambda: found.append(loading.attached("key", load, waiting(second))))
    again.start()
    while loading._call.waiting.cancelled():  # until the second has come
        time.sleep(0.01)
    load.go.set()
    again.join(60)
    assert (found, load.begun) == ([BASE], 1)
    assert first == ["begun"]
    assert second == [("nearly there", 1, 2)], "the newest hears how far it is"
    assert load.heard == [False], "and it is wanted again"


def test_a_load_that_ended_unseen_is_not_done_again():
    load, loading = Slow(), Loading()
    with pytest.raises(CancelledError):
        loading.attached("key", load, waiting([], cancelled=True))
    load.go.set()
    assert load.ended.wait(60)
    assert loading.attached("key", Slow(OTHER), waiting([])) == BASE
    load.go.set()
    after = Slow(OTHER)
    after.go.set()
    assert loading.attached("key", after, waiting([])) == OTHER, "it was handed over once"


def test_one_that_failed_or_gave_up_is_begun_again():
    for error in (InspectorError("no such base"), CancelledError("left")):
        load, loading, fresh = Slow(error=error), Loading(), Slow(OTHER)
        with pytest.raises(CancelledError):
            loading.attached("key", load, waiting([], cancelled=True))
        load.go.set()
        fresh.go.set()
        loading._call.end(lambda: False)
        assert loading.attached("key", fresh, waiting([])) == OTHER


def test_errors_reach_who_waits():
    load = Slow(error=InspectorError("no such base"))
    load.go.set()
    with pytest.raises(InspectorError, match="no such base"):
        Loading().attached("key", load, waiting([]))


def test_another_base_waits_until_the_one_before_is_out_of_the_way():
    load, loading, said, other = Slow(), Loading(), [], Slow(OTHER)
    other.go.set()
    with pytest.raises(CancelledError):
        loading.attached("key", load, waiting([], cancelled=True))
    with pytest.raises(CancelledError):
        loading.attached("other key", other, waiting(said, cancelled=True))
    assert other.begun == 0
    assert said == [("waiting for the base before to let go", 0, 0)]
    load.go.set()
    assert loading.attached("other key", other, waiting([])) == OTHER
    assert load.ended.is_set()
