"""Answers and golds as they come, and what no grader should be asked."""

import pytest

from inspector.tasks.grading import Grader, Verdict, correct


@pytest.fixture(scope="module")
def grader():
    with Grader(limit=2) as one:
        yield one


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (r"2 + 2 = 4, so \boxed{4}", "4"),
        ("The answer is 42.", "42"),
        (r"\boxed{1234}", "1,234"),
        (r"\boxed{0.5}", r"\frac{1}{2}"),
        (r"\boxed{-\sqrt{2}}", r"-\sqrt{2}"),
        (r"\boxed{(2, 3)}", "(2,3)"),
        (r"\boxed{odd}", r"\text{odd}"),
        (r"\boxed{x = 7}", "7"),
        (r"first \boxed{3}. Then later, we find \boxed{4}", "4"),
        (r"\boxed{5} or \boxed{", "5"),
    ],
)
def test_right(answer, gold):
    verdict = correct(answer, gold)
    assert (verdict.correct, verdict.status) == (True, "ok")
    assert verdict.parsed


@pytest.mark.parametrize(
    ("answer", "gold", "status"),
    [
        (r"\boxed{5}", "4", "ok"),
        (r"first \boxed{4}. No: \boxed{3}", "4", "ok"),
        ("I do not know.", "4", "unparsable_answer"),
        ("", "4", "unparsable_answer"),
        (r"\boxed{4}", "", "unparsable_gold"),
        ("\\frac{" * 3000, "4", "unparsable_answer"),
        ("\x00\ud800 nothing", "4", "unparsable_answer"),
    ],
)
def test_wrong_and_why(answer, gold, status):
    verdict = correct(answer, gold)
    assert (verdict.correct, verdict.status) == (False, status)


def test_what_was_read_is_kept_as_it_was_written_up_to_200_characters():
    assert correct(r"so \boxed{\frac{1}{2}}", "0.5") == Verdict(correct=True, status="ok", parsed=r"\frac{1}{2}")
    long = "+".join("1" * 150)
    assert correct(f"\\boxed{{{long}}}", "150").parsed == long[:200]


def test_an_answer_without_end_is_ended_and_the_next_one_graded(grader):
    """9^(9^9) has 370 million digits: no Python signal handler runs before that product is done."""
    assert grader.grade(r"\boxed{9^{9^{9}}}", "3") == Verdict(correct=False, status="timeout")
    assert grader.grade(r"\boxed{3}", "3") == Verdict(correct=True, status="ok", parsed="3")


def test_the_grader_says_what_the_function_says(grader):
    for answer, gold in ((r"\boxed{½}", "0.5"), ("line\nbreak 7", "7"), ("\ud800 7", "7"), ("none", "7")):
        assert grader.grade(answer, gold) == correct(answer, gold)
