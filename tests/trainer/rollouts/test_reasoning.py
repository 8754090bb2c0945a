"""Reasoning teachers: what they thought is kept, and learned in the way that was asked for, never silently."""

import json
from pathlib import Path

import pytest

from tests.base_model.chat_server import ChatServer
from tests.base_model.tiny_model import tiny_tokenizer
from tests.trainer.rollout_rows import jsonl, rollout, rows_of, undated
from tests.trainer.rollouts.test_sample import InProcess
from trainer.exporting import export
from trainer.rollouts.mapping import Mapped, columns_of, mapped
from trainer.rollouts.reasoning import joined, parts
from trainer.rollouts.row_file import write_rows
from trainer.rollouts.sample import Options, sample
from trainer.rollouts.schema import digest, read_rollouts
from trainer.rollouts.summary import lines, summarise

APART, PLAIN = rollout(text="4", reasoning="\n2 and 2\n"), rollout(text="4")
INSIDE = rollout(text="<think>\n2 and 2\n</think>\n\n4")
BEGUN = rollout(text="2 and 2\n</think>\n4")
"""Of a template that opens the tag."""


@pytest.mark.parametrize(
    ("row", "wrap", "keep", "drop"),
    [
        (APART, "<think>\n2 and 2\n</think>\n\n4", "2 and 2\n\n4", "4"),
        (INSIDE, INSIDE.text, "2 and 2\n\n4", "4"),
        (BEGUN, BEGUN.text, "2 and 2\n\n4", "4"),
        (PLAIN, "4", "4", "4"),
    ],
)
def test_what_is_learned(row, wrap, keep, drop):
    assert [joined(row, how) for how in ("wrap", "keep", "drop")] == [wrap, keep, drop]


def test_a_prompt_that_opens_the_tag_has_it_once():
    assert joined(APART, "wrap", opened=True) == "2 and 2\n</think>\n\n4"
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ messages[0]['content'] }}<think>\n"
    for row in (APART, BEGUN):
        found = rows_of([row], tokenizer, 200).rows[0]
        assert tokenizer.decode(found.ids).count("<think>") == 1
        assert tokenizer.decode(found.completion).startswith("2 and 2")


def test_rows_hold_it_and_say_so():
    tokenizer, given = tiny_tokenizer(), [APART, rollout(k=1, reward=0.0, text="5"), rollout(k=2, text="6")]
    texts, digests = {}, set()
    for how in ("wrap", "keep", "drop"):
        rows = rows_of(given, tokenizer, 200, reasoning=how)
        texts[how] = tokenizer.decode(rows.rows[0].completion)
        assert rows.account().startswith(
            f"1 row with a teacher's reasoning, which is {'not ' * (how == 'drop')}learned"
        )
        assert f"(--reasoning {how}; else " in rows.account()
        digests.add(rows.digest)
    assert texts == {
        "wrap": "<think>\n2 and 2\n</think>\n\n4<eos>", "keep": "2 and 2\n\n4<eos>", "drop": "4<eos>",
    }  # fmt: skip
    assert len(digests) == 3
    assert rows_of(given[1:], tokenizer, 200).account() == ""


def test_tokens_beyond_the_bytes_of_the_text_were_not_sent():
    """`4` is one byte: 17 tokens may be its end and marks, 18 cannot."""
    assert not rollout(text="4", completion_tokens=17).hidden
    hidden = rollout(text="4", completion_tokens=18)
    assert hidden.hidden
    assert not rollout(text="4", reasoning="two", completion_tokens=18).hidden
    told = rows_of([hidden], tiny_tokenizer(), 200).account()
    assert told.startswith("1 row with more tokens, by the server's count, than the text can hold: reasoning that it")
    assert any(line.startswith("not sent") for line in lines(summarise([hidden])))
    assert not any(line.startswith(("not sent", "reasoning")) for line in lines(summarise([PLAIN])))


def test_the_summary_says_how_many_and_what_becomes_of_them():
    told = "\n".join(lines(summarise([APART, rollout(k=1), INSIDE, rollout(k=3, weight=0.5, split="test")])))
    assert "reasoning     2 (50.0 %), learned in <think> tags before its answer unless train's --reasoning" in told
    assert "weighted      1 (25.0 %)" in told
    assert "held out      test 1 (25.0 %): scored at checkpoints" in told


@pytest.fixture
def chat(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trainer.rollouts.sample.Grader", InProcess)
    jsonl(tmp_path / "sums.jsonl", [{"question": f"{n} + 1 = ?", "answer": f"{n + 1}"} for n in range(2)])
    with ChatServer(("big",), lambda *_: "\\boxed{2}") as server:
        yield server


def drawn(chat, out="r.jsonl"):
    assert sample(Options("sums.jsonl", Path(out), k=2, server=(chat.url,))) == 0
    return read_rollouts(out)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("out", ["r.jsonl", "r.parquet"])
def test_a_servers_reasoning_is_kept(chat, name, out):
    chat.message = {name: "1 and 1 is 2"}
    rows = drawn(chat, out)
    assert {(r.reasoning, r.text) for r in rows} == {("1 and 1 is 2", "\\boxed{2}")}
    assert [r.reward for r in rows] == [0, 0, 1, 1]


def test_other_things_under_that_name_are_not_text(chat):
    chat.message = {"reasoning": {"effort": "high"}, "reasoning_content": None}
    assert {r.reasoning for r in drawn(chat)} == {""}


def test_a_file_from_before_is_gone_on_with(chat):
    """The rows there have no such column; what is missing alone is asked for."""
    old = undated(drawn(chat))
    kept = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()[:3]]
    jsonl(Path("r.jsonl"), [{k: v for k, v in row.items() if k not in {"reasoning", "weight"}} for row in kept])
    chat.asked.clear()
    chat.message = {"reasoning_content": "so"}
    rows = drawn(chat)
    assert len(chat.asked) == 1
    assert sorted(r.reasoning for r in rows) == ["", "", "", "so"]
    assert [(r.id, r.text) for r in rows] == [(r.id, r.text) for r in old]


def test_the_digest_of_rows_without_is_what_it_was():
    """Of a file of before, so that its runs stay done."""
    assert digest([rollout(0, 0), rollout(0, 1)]) == (
        "83ee0f7dce30eb33089b1c8012bddd8c68f9874543051cd3f12e4c44b73619d4"
    )


def test_exports_hold_it_as_asked(tmp_path):
    rows = [APART, rollout(k=1, reward=0.0, text="5", weight=2.0)]
    for how, text in {"wrap": "<think>\n2 and 2\n</think>\n\n4", "keep": "2 and 2\n\n4", "drop": "4"}.items():
        told = export(rows, "trl-unpaired", tmp_path / f"{how}.jsonl", how)
        first = json.loads((tmp_path / f"{how}.jsonl").read_text().splitlines()[0])
        assert first["completion"] == [{"role": "assistant", "content": text}]
        assert "1 row with a teacher's reasoning: it" in told
        assert told.endswith("The weights of 1 row are left out.")


def test_rows_of_others(tmp_path):
    theirs = {"q": "1+1", "a": "2", "r": 1, "t": "hm", "w": 0.5}
    chat = theirs | {"a": [{"role": "assistant", "content": "2", "reasoning_content": "ah"}], "w": 2}
    where = jsonl(tmp_path / "t.jsonl", [theirs, chat])
    columns = "prompt=q,completion=a,reward=r,weight=w"
    found = [list(mapped(Mapped(where, columns_of([text])), None)) for text in (f"{columns},reasoning=t", columns)]
    assert [[(r.reasoning, r.weight) for r in rows] for rows in found] == [
        [("hm", 0.5), ("hm", 2)], [("", 0.5), ("ah", 2)],
    ]  # fmt: skip
    write_rows(tmp_path / "ours.parquet", found[1])
    assert [parts(r)[0] for r in read_rollouts(tmp_path / "ours.parquet")] == ["", "ah"]
