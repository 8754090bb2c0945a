"""Rollouts of others, as open-r1 and verl write them, become ours."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inspector.common.errors import InspectorError
from inspector.tasks.grading import Grader
from tests.trainer.rollout_rows import jsonl
from trainer.exporting import export
from trainer.rollouts.mapping import Mapped, columns_of, mapped
from trainer.rollouts.row_file import write_rows
from trainer.rollouts.schema import read_rollouts

OPEN_R1 = {
    "problem": "What is 1 + 1?", "solution": "so \\boxed{2}", "answer": "2",
    "messages": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "it is 2"}],
    "generations": ["\\boxed{2}", "\\boxed{3}", "\\boxed{2}."], "correctness_math_verify": [True, False, True],
    "finish_reasons": ["stop", "length", "stop"],
}  # fmt: skip
VERL = {
    "prompt": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2 + 2?"}],
    "reward_model": {"ground_truth": "4", "style": "rule"}, "responses": ["4", "5"], "scores": [1.0, 0.0],
}  # fmt: skip


class Never:
    """A grader that must not be asked."""

    def grade(self, *_asked):
        raise AssertionError


def ours(path, *texts, grader=None, **more):
    return list(mapped(Mapped(path, columns_of(texts), **more), grader or Never()))


def test_open_r1(tmp_path):
    path = jsonl(tmp_path / "r1.jsonl", [OPEN_R1, OPEN_R1 | {"problem": "And 2?"}])
    found = ours(path, "open-r1,finish_reason=finish_reasons", teacher="R1")
    assert [r.reward for r in found] == [1, 0, 1] * 2
    assert [r.k for r in found] == [0, 1, 2] * 2
    assert [r.finish_reason for r in found[:3]] == ["stop", "length", "stop"]
    assert len({r.group_id for r in found}) == 2
    assert found[0].prompt == ({"role": "user", "content": "What is 1 + 1?"},)
    assert (found[1].text, found[1].solution, found[1].teacher) == ("\\boxed{3}", "2", "R1")
    chat = ours(path, "open-r1", "prompt=messages")
    assert chat[0].prompt == ({"role": "user", "content": "1 + 1?"},)


def test_verl_as_parquet_and_back(tmp_path):
    pq.write_table(pa.Table.from_pylist([VERL]), tmp_path / "verl.parquet")
    found = ours(tmp_path / "verl.parquet", "verl")
    assert [(r.text, r.reward, r.solution) for r in found] == [("4", 1.0, "4"), ("5", 0.0, "4")]
    assert [m["role"] for m in found[0].prompt] == ["system", "user"]
    write_rows(tmp_path / "ours.parquet", found)
    assert read_rollouts(tmp_path / "ours.parquet") == found


def test_flat_rows_share_a_group_by_their_prompt(tmp_path):
    rows = [{"q": "1 + 1?", "text": text, "ok": ok, "gold": "#### 2"} for text, ok in (("2", 1), ("3", 0))]
    found = ours(jsonl(tmp_path / "f.jsonl", rows), "prompt=q,completion=text,reward=ok,answer=gold")
    assert [(r.k, r.solution) for r in found] == [(0, "2"), (1, "2")]
    assert found[0].group_id == found[1].group_id
    named = ours(jsonl(tmp_path / "g.jsonl", rows), "prompt=q,completion=text,reward=ok,group=text")
    assert [r.group_id for r in named] == ["2", "3"]


def test_what_has_no_reward_is_graded(tmp_path):
    rows = [OPEN_R1 | {"correctness_math_verify": [True, None, None]}]
    with Grader() as grader:
        found = ours(jsonl(tmp_path / "r.jsonl", rows), "open-r1", grader=grader)
    assert [(r.reward, r.answer_parsed) for r in found] == [(1.0, ""), (0.0, "3"), (1.0, "2")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"correctness_math_verify": [True]}, None),
        ({"correctness_math_verify": [True, False]}, "correctness_math_verify has 2 values for 3 completions"),
        ({"correctness_math_verify": ["yes"] * 3}, "is no finite number"),
        ({"correctness_math_verify": [None] * 3, "answer": None}, "neither a reward nor an answer"),
        ({"generations": []}, "generations is neither text"),
        ({"generations": [3]}, "generations is neither text"),
        ({"problem": ""}, "the prompt is neither text"),
    ],
)
def test_bad_rows_are_named(tmp_path, change, said):
    path = jsonl(tmp_path / "r.jsonl", [OPEN_R1, OPEN_R1 | change])
    if said is None:  # one value for all
        assert [r.reward for r in ours(path, "open-r1")] == [1, 0, 1, 1, 1, 1]
        return
    with pytest.raises(InspectorError, match=rf"r\.jsonl, row 2: .*{said}"):
        ours(path, "open-r1")


def test_a_column_that_is_not_there(tmp_path):
    path = jsonl(tmp_path / "r.jsonl", [VERL])
    with pytest.raises(InspectorError, match=r"row 1: no column 'reward_model.gold', but prompt, reward_model"):
        ours(path, "verl", "answer=reward_model.gold")


def test_preference_pairs_are_two_rows_of_a_group_each_and_come_back_as_exported(tmp_path):
    chat = lambda role, text: [{"role": role, "content": text}]  # noqa: E731
    rows = [
        {
            "prompt": chat("user", f"{a}+{a}?"),
            "chosen": chat("assistant", f"{2 * a}"),
            "rejected": chat("assistant", "0"),
        }
        for a in (1, 1, 2)
    ]
    path = jsonl(tmp_path / "pairs.jsonl", [*rows[:1], rows[1] | {"rejected": chat("assistant", "9")}, rows[2]])
    found = ours(path, "trl-preference")
    assert [(r.text, r.reward) for r in found] == [("2", 1), ("0", 0), ("2", 1), ("9", 0), ("4", 1), ("0", 0)]
    assert len({r.group_id for r in found}) == 3, "a group a pair, though two have one prompt"
    write_rows(tmp_path / "ours.jsonl", found)
    export(read_rollouts(tmp_path / "ours.jsonl"), "trl-preference", tmp_path / "again.jsonl")
    assert sorted((tmp_path / "again.jsonl").read_text().splitlines()) == sorted(path.read_text().splitlines())
    whole = [{"chosen": row["prompt"] + row["chosen"], "rejected": row["prompt"] + row["rejected"]} for row in rows]
    texts = ours(jsonl(tmp_path / "whole.jsonl", whole), "prompt=chosen,chosen=chosen,rejected=rejected")
    assert [r.prompt for r in texts[:2]] == [tuple(chat("user", "1+1?"))] * 2
    unpaired = [{"prompt": "1?", "completion": "1", "label": True}, {"prompt": "1?", "completion": "2", "label": False}]
    assert [r.reward for r in ours(jsonl(tmp_path / "kto.jsonl", unpaired), "trl-unpaired")] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "p", "chosen": "a", "rejected": "b"}, r"a preference pair .* --map trl-preference"),
        ({"chosen": "a", "rejected": "b"}, r".*--map prompt=…,chosen=chosen,rejected=rejected"),
        ({"chosen": [], "rejected": []}, r".*--map prompt=chosen,chosen=chosen,rejected=rejected"),
        ({"prompt": "p", "completion": "a", "label": True}, r"no reward .* --map trl-unpaired"),
        ({"messages": []}, r"no prompt and no completion and no reward \(columns: messages\)"),
        ({"prompt": "p", "completion": "a"}, r"no reward \(columns: prompt, completion\), and a rollout has prompt, "),
    ],
)
def test_rows_of_other_columns_say_which_are_wanted_and_how_to_get_there(tmp_path, row, said):
    with pytest.raises(InspectorError, match=rf"r\.jsonl, row 1: {said}"):
        read_rollouts(jsonl(tmp_path / "r.jsonl", [row]))


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("prompt=a,chosen=b",), "names no rejected"),
        (("trl-preference,completion=c",), "names completion beside chosen and rejected"),
        (("prompt=a",), "names no completion"),
        (("prompt=a,completion=b",), "neither reward nor answer"),
        (("prompt=a,colour=b",), "'colour=b': write FIELD=COLUMN"),
        (("trl",), "or open-r1 or verl"),
        ((), "names no prompt and no completion"),
    ],
)
def test_bad_maps(texts, said):
    with pytest.raises(InspectorError, match=said):
        columns_of(texts)
