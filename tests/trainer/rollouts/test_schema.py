"""Rows to rollouts and back, in both kinds of files; what training sees has one digest."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inspector.common.errors import InspectorError
from tests.trainer.rollout_rows import jsonl, rollout
from trainer.rollouts.row_file import write_rows
from trainer.rollouts.schema import Rollout, RowError, digest, read_rollouts

KEYS = [
    "schema_version", "id", "group_id", "k", "source", "source_index", "prompt", "completion", "problem", "solution",
    "reward", "reward_status", "answer_parsed", "teacher", "temperature", "top_p", "max_tokens", "seed",
    "finish_reason", "prompt_tokens", "completion_tokens", "created", "split", "reasoning", "weight",
]  # fmt: skip
SIMPLE = {"prompt": "1 + 1?", "completion": "2", "answer": "2", "reward": 1}


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet", "r.JSONL", "r.PARQUET"])
def test_files_hold_every_field(tmp_path, name):
    rows = [rollout(g, k, text="α\u2028\n\x00 \\boxed{2}" if k else "") for g in range(3) for k in range(2)]
    assert write_rows(tmp_path / name, reversed(rows)) == 6
    assert read_rollouts(tmp_path / name) == rows


def test_a_row_has_all_keys_and_no_null():
    bare = Rollout(group_id="g", prompt=rollout().prompt, completion=rollout().completion, reward=0.0)
    for one in (bare, rollout()):
        row = one.to_row()
        assert list(row) == KEYS
        assert None not in row.values()
        assert Rollout.from_row(row) == one


def test_a_lone_surrogate_does_not_break_a_file(tmp_path):
    for name in ("r.jsonl", "r.parquet"):
        write_rows(tmp_path / name, [rollout(text="so \ud800 4")])
        assert read_rollouts(tmp_path / name)[0].text == "so ? 4"


def test_rows_of_the_simple_form(tmp_path):
    """A group is named, or else the prompt; text stands for a message."""
    chat = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "1 + 1?"}]
    other = {"prompt": chat, "completion": [{"role": "assistant", "content": "3"}], "reward": False, "group": 4}
    found = read_rollouts(jsonl(tmp_path / "r.jsonl", [SIMPLE, other, SIMPLE | {"completion": "two"}]))
    assert [(r.text, r.reward, r.k) for r in found] == [("2", 1.0, 0), ("3", 0.0, 0), ("two", 1.0, 1)]
    assert found[0].group_id == found[2].group_id != found[1].group_id == "4"
    assert found[0].prompt == ({"role": "user", "content": "1 + 1?"},)
    assert found[1].prompt == tuple(chat)
    assert len({r.id for r in found}) == 3
    assert (found[0].solution, found[0].problem) == ("2", "1 + 1?")


def test_files_without_the_later_columns_are_read(tmp_path):
    """Rows of both ages in one file, as after a resumption."""
    old = {key: value for key, value in rollout().to_row().items() if key not in {"reasoning", "weight"}}
    new = rollout(0, 1, reasoning="think", weight=0.5).to_row()
    found = read_rollouts(jsonl(tmp_path / "r.jsonl", [old, new]))
    assert [(r.reasoning, r.weight) for r in found] == [("", 1.0), ("think", 0.5)]
    pq.write_table(pa.Table.from_pylist([old]), tmp_path / "old.parquet")
    assert read_rollouts(tmp_path / "old.parquet") == [rollout()]


def test_the_simple_form_has_reasoning_weight_and_split(tmp_path):
    chat = [{"role": "assistant", "content": "2", "reasoning_content": "one, two"}]
    rows = [
        SIMPLE | {"reasoning": "why", "weight": 2, "split": "test"}, SIMPLE | {"completion": chat, "split": None},
        SIMPLE | {"reasoning_content": "so", "reasoning": None}, SIMPLE,
    ]  # fmt: skip
    found = read_rollouts(jsonl(tmp_path / "r.jsonl", rows))
    assert [r.reasoning for r in found] == ["why", "one, two", "so", ""]
    assert [r.weight for r in found] == [2, 1, 1, 1]
    assert [r.split for r in found] == ["test", "train", "train", "train"]
    for bad, said in {-1: "weight is -1", "x": "weight is no finite number"}.items():
        with pytest.raises(InspectorError, match=rf"row 2: {said}"):
            read_rollouts(jsonl(tmp_path / "bad.jsonl", [SIMPLE, SIMPLE | {"weight": bad}]))


def test_the_order_is_that_of_the_source(tmp_path):
    """However rows came in, one file is one training."""
    rows = [rollout(g, k) for g in range(3) for k in range(2)]
    one, other = ([r.to_row() for r in order] for order in (rows, [*rows[3:], *rows[:3]]))
    a, b = read_rollouts(jsonl(tmp_path / "a.jsonl", one)), read_rollouts(jsonl(tmp_path / "b.jsonl", other))
    assert a == b
    assert digest(a) == digest(b)


@pytest.mark.parametrize(
    "change",
    [
        {"reward": 0.5}, {"group_id": "other"}, {"finish_reason": "length"}, {"weight": 2.0}, {"split": "test"},
        {"reasoning": "so"},
        {"completion": ({"role": "assistant", "content": "else"},)}, {"prompt": ({"role": "user", "content": "else"},)},
    ],
)  # fmt: skip
def test_the_digest_is_of_what_training_sees(change):
    rows = [rollout(0, 0), rollout(0, 1)]
    same = [replace(r, id="x", teacher="x", created="x", seed=1, completion_tokens=1) for r in rows]
    assert digest(rows) == digest(same) != digest([rows[0], replace(rows[1], **change)])
    assert digest(rows) != digest(rows[::-1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reward": "1"}, r"reward is no finite number \('1'\)"),
        ({"reward": float("nan")}, r"reward is no finite number \('nan'\)"),
        ({"k": 1.5}, "k is no whole number"),
        ({"seed": None}, r"seed is no whole number \('None'\)"),
        ({"teacher": None}, "teacher is no text"),
        ({"reward_status": "fine"}, "reward_status is none of ok"),
        ({"prompt": []}, "prompt is neither text nor a list"),
        ({"prompt": [{"role": "user"}]}, "a message of the prompt has no role and content"),
        ({"completion": [{"role": "user", "content": "x"}]}, "not one message of the assistant"),
        ({"schema_version": 2}, "schema_version 2 is newer than 1"),
        ({"weight": -0.5}, "weight is -0.5: it must be 0 or more"),
        ({"weight": float("nan")}, r"weight is no finite number \('nan'\)"),
        ({"weight": "2"}, r"weight is no finite number \('2'\)"),
        ({"weight": True}, r"weight is no finite number \('True'\)"),
        ({"weight": None}, r"weight is no finite number \('None'\)"),
        ({"reasoning": 7}, r"reasoning is no text \('7'\)"),
    ],
)
def test_bad_rows_are_named(tmp_path, change, said):
    path = jsonl(tmp_path / "bad.jsonl", [rollout().to_row(), rollout(1).to_row() | change])
    with pytest.raises(InspectorError, match=rf"bad\.jsonl, row 2: .*{said}"):
        read_rollouts(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{oops\n", "row 1: no JSON .Expecting property name enclosed in double quotes at column 2"),
        ('{"schema_version": 1, "id":\n', r"row 1: no JSON .Expecting value at column 28\)\.$"),
        ("[" * 10**5, "row 1: no JSON .nested too deeply"),
        ("[1]\n", "row 1: a row must be an object"),
        ('{"prompt": "x", "reward": 1}\n', "row 1: no completion"),
        ('{"schema_version": 1}\n', r"row 1: no id, group_id, k, .*in all"),
        ("", "has not a row in it"),
    ],
)
def test_bad_files(tmp_path, text, said):
    (tmp_path / "bad.jsonl").write_text(text)
    with pytest.raises(InspectorError, match=said):
        read_rollouts(tmp_path / "bad.jsonl")


def test_the_mark_some_editors_begin_a_file_with_is_no_part_of_it(tmp_path):
    (tmp_path / "r.jsonl").write_text('{"prompt": "x", "completion": "y", "reward": 1}\r\n', encoding="utf-8-sig")
    assert [row.completion[0]["content"] for row in read_rollouts(tmp_path / "r.jsonl")] == ["y"]


def test_other_bad_files(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not really")
    pq.write_table(pa.table({"prompt": ["x"], "completion": ["y"], "reward": [None]}), tmp_path / "b.parquet")
    (tmp_path / "c.jsonl").write_bytes(b'\n{"prompt": "\xff"}\n')
    for name, said in {
        "a.parquet": r"Cannot read [^.]*\.parquet: .*[^.]\.$", "b.parquet": "row 1: no reward",
        "c.jsonl": "row 2: no UTF-8 text", "d.jsonl": "No such file", "e.csv": "must end in .jsonl or .parquet",
    }.items():  # fmt: skip
        with pytest.raises(InspectorError, match=said):
            read_rollouts(tmp_path / name)


def test_a_row_that_is_there_twice_is_named(tmp_path):
    path = jsonl(tmp_path / "r.jsonl", [rollout(0, 0).to_row(), rollout(0, 1).to_row(), rollout(0, 0).to_row()])
    with pytest.raises(InspectorError, match="row 3: it has the id of row 1"):
        read_rollouts(path)


def test_a_row_alone_says_what_is_wrong():
    with pytest.raises(RowError, match="no completion and no reward"):
        Rollout.from_row({"prompt": "x"})
