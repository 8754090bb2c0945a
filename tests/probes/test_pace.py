"""One remaining time for a run of several probes, and what is not known of it said."""

import pytest

from inspector.probes import pace
from inspector.probes.pace import Course, Pace


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def course(parts, seconds):
    told = []
    return Course(parts, seconds, lambda *report: told.append(report)), told


def test_one_part_says_nothing_of_parts():
    only, told = course(("lmc",), {"lmc": 10.0})
    only.report("loss of a", 1, 2)
    assert told == [("loss of a", 1, 2)]
    assert only.left(80) == "1:20 min left"


def test_the_time_left_is_that_of_all_parts_to_come():
    run, told = course(("lmc", "cka", "intruders"), {"lmc": 999.0, "cka": 160.0, "intruders": 60.0})
    assert run.left(80) == "about 5:00 min left"
    run.begin("cka")
    run.report("hidden states of a", 3, 4)
    assert told == [("part 2 of 3: hidden states of a", 3, 4)]
    assert run.left(20) == "about 1:20 min left"
    run.begin("intruders")
    assert run.left(20) == "20 s left"


def test_a_part_whose_time_nobody_knows_is_named():
    run, _ = course(("lmc", "cka", "accuracy"), {"cka": 160.0})
    assert run.left(80) == "1:20 min left, then cka, accuracy"
    run.begin("cka")
    assert run.left(80) == "1:20 min left, then accuracy"


def test_tokens_of_a_part_and_the_next_ones_time(clock):
    run, told = course(("lmc", "cka"), {"cka": 30.0})
    speed = Pace(100, run)
    speed.what = "loss of a"
    clock.now += 5
    speed.step(50)
    assert told == [("part 1 of 2: loss of a · 10 tokens/s · about 35 s left", 50, 100)]


def test_counted_parts_go_by_what_was_done_since_they_began(clock):
    run, told = course(("intruders",), {})
    run.counted("module 11 of 40", 11, 40)
    clock.now += 20
    run.counted("module 21 of 40", 21, 40)
    assert told == [("module 11 of 40", 11, 40), ("module 21 of 40 · 38 s left", 21, 40)]


def test_tokens_are_reported_ten_times_a_second_and_at_the_end(clock):
    run, told = course(("lmc",), {})
    speed = Pace(120, run)
    speed.skip(20)
    for later, tokens in ((4, 10), (0.05, 10), (0.06, 20), (0.5, 1), (0.01, 70)):
        clock.now += later
        speed.step(tokens)
    assert [report[1:] for report in told] == [(10, 100), (40, 100), (41, 100), (100, 100)]
    assert [report[0] for report in told[::3]] == [" · 2 tokens/s · 36 s left", " · 22 tokens/s · 0 s left"]
    assert speed.speed == pytest.approx(100 / 4.62)
