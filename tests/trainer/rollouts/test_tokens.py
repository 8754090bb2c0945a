"""Rollouts as token ids: as the tokenizer gives them one by one, made once, never believed by halves."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from inspector.base_model.encode import prompt_ids
from tests.base_model.tiny_model import tiny_tokenizer
from tests.trainer.rollout_rows import rollout
from trainer.rollouts import tokens
from trainer.rollouts.schema import digest
from trainer.rollouts.tokens import opened, stored, tokenised

SOME = [
    rollout(g, k, float(k), "so " * (g + k), split="test" if g == 4 else "train", finish_reason="length" if k else "")
    for g in range(5)
    for k in range(2)
]


def file_of(folder, rollouts=SOME, tokenizer=None, reasoning="wrap", note=lambda _text: None):
    return stored(folder, rollouts, digest(rollouts), tokenizer or tiny_tokenizer(), reasoning, note)


def test_ids_are_those_of_each_rollout_alone(monkeypatch):
    """In batches of a few rollouts too; one that was cut has no end."""
    tokenizer = tiny_tokenizer()
    whole = list(tokenised(SOME, tokenizer))
    monkeypatch.setattr(tokens, "_CHARACTERS", 10)
    parts = tokenised(SOME, tokenizer)
    assert parts.table.column("ids").num_chunks > 1
    for found in (whole, list(parts)):
        for one, r in zip(found, SOME, strict=True):
            opening = prompt_ids(tokenizer, r.prompt)
            body = tokenizer(r.text, add_special_tokens=False)["input_ids"]
            assert one.ids.tolist() == [*opening, *body, *([] if r.k else [tokenizer.eos_token_id])]
            assert one[1:7] == (len(opening), r.reward, r.group_id, 1.0, r.solution, r.split)
            assert one[7:] == (bool(r.k), False, False)


def test_the_file_holds_what_memory_does_and_is_made_once(tmp_path):
    told = []
    path = file_of(tmp_path, note=told.append)
    before = path.stat()
    found, wanted = opened(path), tokenised(SOME, tiny_tokenizer())
    assert found.table.equals(wanted.table)
    assert found.reasoning == "wrap"
    assert not next(iter(found)).ids.flags.owndata, "mapped, not read"
    assert file_of(tmp_path, note=told.append) == path
    assert path.stat() == before
    assert told == ["Tokenising 10 rollouts …"]


def test_what_makes_other_ids_makes_another_file(tmp_path):
    templated, pieces = tiny_tokenizer(), tiny_tokenizer()
    templated.chat_template = "{{ messages[0]['content'] }}"
    pieces.add_tokens(["so so"])
    solved = [replace(SOME[0], solution="7"), *SOME[1:]]
    files = [
        file_of(tmp_path),
        file_of(tmp_path, tokenizer=templated),
        file_of(tmp_path, tokenizer=pieces),
        file_of(tmp_path, reasoning="drop"),
        file_of(tmp_path, SOME[1:]),
        file_of(tmp_path, solved),
    ]
    assert len(set(files)) == len(files)
    assert next(iter(opened(files[-1]))).solution == "7"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_file_without_its_end_is_made_anew(tmp_path, share):
    path = file_of(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    left = path.parent / f".{path.name}.abc.part"
    left.write_bytes(whole)
    told = []
    assert file_of(tmp_path, note=told.append) == path
    assert path.read_bytes() == whole
    assert told
    assert not left.exists(), "what a killed process had begun"


def test_of_several_at_once_one_makes_it(tmp_path):
    """Threads stand for processes: each opens the lock for itself."""
    told = []
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: file_of(tmp_path, note=told.append), range(3)))
    assert len(set(made)) == len(told) == 1
    assert opened(made[0]).table.equals(tokenised(SOME, tiny_tokenizer()).table)
