"""JSON of others: what is read, and what is refused in words."""

import json

import pytest

from inspector.common import foreign
from inspector.common.foreign import ForeignError, field, parse_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1e999", r"no JSON \(1e999 is not a finite number\)"),
        ('{"a": -1e999}', "-1e999 is not a finite number"),
        ("[NaN]", "NaN is not a finite number"),
        ("[-Infinity]", "-Infinity is not a finite number"),
        ("9" * 400, "is not a finite number"),
        ("9" * 10_000, "is not a finite number"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 500 + "]" * 500, "nested too deeply"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested too deeply"),
        ("<html>", "Expecting value at column 1"),
        ("", "Expecting value at column 1"),
        (b'"\xff"', "no UTF-8 text"),
    ],
)
def test_refused(text, said):
    with pytest.raises(ForeignError, match=said) as caught:
        parse_json(text)
    assert len(str(caught.value)) < 100


def test_too_large(monkeypatch):
    monkeypatch.setattr(foreign, "LARGEST", 10)
    assert parse_json("[1, 2, 34]") == [1, 2, 34]
    with pytest.raises(ForeignError, match="of at most"):
        parse_json("[1, 2, 345]")


def test_what_is_read():
    value = {"a": [1, 2.5, None, True, "ü"], "b": {"c": 10**40, "d": 1e308}}
    assert parse_json(json.dumps(value)) == value
    assert parse_json(b"\xef\xbb\xbf[1]") == [1]
    deep = "[" * 100 + "]" * 100
    assert parse_json(deep)
    assert parse_json(f"[{','.join(['[]'] * 1000)}]")
    assert parse_json('{"a": 1e999, "b": NaN}', str) == {"a": "1e999", "b": "NaN"}


def test_fields_by_type():
    answer = {"choices": [{"text": "x", "n": 3, "null": None}], "usage": 5}
    assert field(answer, str, "choices", 0, "text") == "x"
    assert field(answer, tuple[dict, ...], "choices") == ({"text": "x", "n": 3, "null": None},)
    assert field(answer, int, "choices", 0, "null", default=0) == 0
    assert field(answer, int, "choices", 1, "n", default=7) == 7
    assert field(answer, int, "missing", "n", default=7) == 7
    for kind, path, said in (
        (int, ("choices", 0, "text"), 'choices.0.text is "x"'),
        (str, ("choices", 0, "n"), "choices.0.n is 3"),
        (str, ("choices", 0, "null"), "choices.0.null is null"),
        (int, ("usage", "tokens"), "usage.tokens is not there"),
        (int, ("choices", "n"), "choices.n is not there"),
        (tuple[dict, ...], ("usage",), "usage is 5"),
    ):
        with pytest.raises(ForeignError, match=said):
            field(answer, kind, *path)
    with pytest.raises(ForeignError, match=r"usage\.n is not there"):
        field(answer, int, "usage", "n", default=0)
