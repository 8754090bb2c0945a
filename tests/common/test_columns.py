"""Columns as codes: looked up, put together, refused."""

import numpy as np
import pytest

from inspector.common.columns import Coded, coded

COLUMN = ["b", "a", "b", None]


def words(column):
    return [column.words[code] for code in column.codes]


def test_every_row_has_its_word():
    found = coded(COLUMN)
    assert words(found) == COLUMN
    assert len(found.words) == 3


def test_looked_up():
    assert coded(COLUMN).through({"a": 0, "b": 7, None: -1}).tolist() == [7, 0, 7, -1]


def test_a_word_that_no_row_has_need_not_be_known():
    assert Coded(("a", "gone"), np.array([0, 0])).through({"a": 3}).tolist() == [3, 3]


def test_the_first_word_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="b"):
        coded(COLUMN).through({"a": 0, None: 1})


def test_two_columns_together():
    both = coded(COLUMN).beside(coded([1, 1, 1, 2]))
    assert words(both) == [("b", 1), ("a", 1), ("b", 1), (None, 2)]
    assert len(both.words) == 3


def test_no_rows():
    assert coded([]).beside(coded([])).words == ()
    assert coded([]).through({}).size == 0
