"""The file of WeightsCallback, written and read again; what is odd in one is left out."""

import json
import math

import pytest

from inspector.trajectory.weights_log import FORMAT, Header, Record, WeightsLog, parse

LOG = WeightsLog(
    Header("default", ("a", "b"), (1.5, math.nan), ("a sentence",), "ref", "base", "sft", 1e-3, 7, 20),
    (
        Record(0, 0.0, math.nan, module_norm=(0.0, 0.0), module_sigma1=(0.0, 0.0)),
        Record(10, 1.5, 2.5, 0.5, 5, -0.25, 1e-3, (1.0, 0.0), (0.5, 0.0), (1,), (1,), 0.01),
    ),
    ((5, 2.0), (10, math.nan)),
)


def same(one, other):
    return repr(one) == repr(other)  # NaN is not equal to itself


def test_what_is_written_is_read_again():
    text = LOG.text()
    assert all("NaN" not in line and json.loads(line) for line in text.splitlines())
    assert same(parse(text), LOG)
    assert same(parse(text + '{"step": 20, "no'), LOG)
    assert [r.step for r in LOG.until(9).records] == [0]
    assert LOG.until(9).losses == ((5, 2.0),)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "another"}', "\x00", json.dumps({"format": FORMAT})])
def test_another_file_is_none(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    "odd",
    [
        {"module_norm": [1.0]}, {"module_sigma1": [1.0] * 3}, {"still": [2]}, {"broken": [-1]}, {"step": "ten"},
        {"norm": "large"}, {"still": [0.5]},
    ],
)  # fmt: skip
def test_a_record_of_other_modules_ends_what_is_read(odd):
    header, *lines = LOG.text().splitlines()
    good = json.loads(next(line for line in lines if '"norm"' in line))
    assert parse("\n".join([header, json.dumps(good), json.dumps(good | odd), json.dumps(good)])).records[1:] == ()
