"""Rollouts for TRL, verl and OpenR1: what stands in the files, read by `datasets`, and back again."""

import json

import pytest
from datasets import load_dataset
from trl.data_utils import is_conversational, maybe_apply_chat_template, maybe_unpair_preference_dataset

from inspector.cli import main
from inspector.common.errors import InspectorError
from tests.base_model.tiny_model import tiny_tokenizer
from tests.trainer.rollout_rows import rollout
from trainer.exporting import FORMS, export
from trainer.rollouts.mapping import Mapped, columns_of, mapped
from trainer.rollouts.row_file import write_rows
from trainer.rollouts.schema import digest, read_rollouts

TEMPLATE = (
    "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
)
SYSTEM = {"role": "system", "content": "be brief"}
GROUPS = [
    rollout(0, 0, 0.0), rollout(0, 1, 1.0), rollout(0, 2, 1.0), rollout(0, 3, 0.0),
    rollout(1, 0, 1.0), rollout(1, 1, 1.0),
    rollout(2, 0, 0.0, finish_reason="length"), rollout(2, 1, 1.0),
    rollout(3, 0, 1.0, split="test"), rollout(3, 1, 0.0, split="test"),
]  # fmt: skip


class Never:
    """A grader that must not be asked."""

    def grade(self, *_asked):
        raise AssertionError


@pytest.fixture(params=[".jsonl", ".parquet"])
def written(request, tmp_path):
    """(what was said, path, rows as `datasets` reads them) of an export."""

    def make(form, rollouts=GROUPS):
        path = tmp_path / f"{form}{request.param}"
        said = export(rollouts, form, path)
        kind = "parquet" if request.param == ".parquet" else "json"
        return said, path, load_dataset(kind, data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]

    return make


def test_preference(written):
    """Group 0 alone is mixed once what was cut and what is for testing is left out: its first right and wrong."""
    said, path, found = written("trl-preference")
    assert said == f"1 pair written to {path}. 3 rows left out: cut by the token limit, or not of the train split."
    assert found[0] == {
        "prompt": [{"role": "user", "content": "0 + 1 = ?"}],
        "chosen": [{"role": "assistant", "content": "try 1"}],
        "rejected": [{"role": "assistant", "content": "try 0"}],
    }


def test_trl_takes_it(written):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = TEMPLATE
    _, _, found = written("trl-preference")
    assert is_conversational(found[0])
    assert maybe_apply_chat_template(found[0], tokenizer) == {
        "prompt": "u:0 + 1 = ?\na:",
        "chosen": "try 1\n",
        "rejected": "try 0\n",
    }
    _, _, rows = written("trl-unpaired")
    assert all(is_conversational(row) for row in rows)
    assert maybe_unpair_preference_dataset(rows) is rows
    pair = maybe_unpair_preference_dataset(found)
    assert {k: pair[0][k] for k in pair.column_names} == rows[1]


def test_unpaired(written):
    said, path, found = written("trl-unpaired")
    assert said.startswith(f"7 rows written to {path}. 3 rows left out")
    assert found.column_names == ["prompt", "completion", "label"]
    assert found["label"] == [False, True, True, False, True, True, True]
    assert found[3]["completion"] == [{"role": "assistant", "content": "try 3"}]


def test_verl(written):
    _, _, found = written("verl")
    assert len(found) == 4
    assert found[2] == {
        "data_source": "sums", "prompt": [{"role": "user", "content": "2 + 1 = ?"}], "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "3"},
        "extra_info": {"split": "train", "index": 2, "question": "2 + 1 = ?", "answer": "3", "group_id": "2",
                       "teacher": "t"},
        "responses": ["try 0", "try 1"], "scores": [0.0, 1.0],
    }  # fmt: skip


def test_open_r1(written):
    _, _, found = written("open-r1", [*GROUPS[:4], rollout(1, 0, 0.0, finish_reason="length")])
    assert found[0]["correctness_math_verify"] == [False, True, True, False]
    assert (found[0]["correctness_count"], found[0]["answer"]) == (2, "1")
    assert found[0]["messages"][-1] == {"role": "assistant", "content": "try 1"}
    assert found[1]["is_reasoning_complete"] == [False]
    assert found[1]["finish_reasons"] == ["length"]
    assert [m["role"] for m in found[1]["messages"]] == ["user"]


@pytest.mark.parametrize("form", ["verl", "open-r1"])
def test_there_and_back(written, form):
    """The same prompts, completions, gold answers and rewards, in the same groups and order."""
    _, path, _ = written(form)
    back = list(mapped(Mapped(path, columns_of([form])), Never()))
    for name in ("prompt", "completion", "reward", "solution", "k"):
        assert [getattr(r, name) for r in back] == [getattr(r, name) for r in GROUPS]
    groups = [r.group_id for r in back]
    assert [groups.index(g) for g in groups] == [[r.group_id for r in GROUPS].index(r.group_id) for r in GROUPS]


def test_what_the_formats_hold_beyond_that(written):
    """verl keeps any reward and chat; OpenR1 right or wrong, and the chat in `messages`."""
    chat = (SYSTEM, {"role": "user", "content": "1 + 1?"})
    odd = [rollout(0, k, reward, prompt=chat) for k, reward in enumerate((0.5, -1.0))]
    _, path, _ = written("verl", odd)
    back = list(mapped(Mapped(path, columns_of(["verl"])), Never()))
    assert [(r.reward, r.prompt) for r in back] == [(0.5, chat), (-1.0, chat)]
    said, path, _ = written("open-r1", odd)
    assert said.endswith("Rewards other than 0 and 1 became right (above 0) or wrong.")
    back = list(mapped(Mapped(path, columns_of(["open-r1,prompt=messages"])), Never()))
    assert [(r.reward, r.prompt) for r in back] == [(1.0, chat), (0.0, chat)]


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_overwritten_and_nothing_half_written(tmp_path, form, monkeypatch):
    path = tmp_path / "there.jsonl"
    path.write_text("mine")
    with pytest.raises(InspectorError, match="exists already: name another file by --out"):
        export(GROUPS, form, path)
    assert path.read_text() == "mine"
    with pytest.raises(InspectorError, match=r"must end in \.jsonl or \.parquet"):
        export(GROUPS, form, tmp_path / "there.csv")
    mixed = [rollout(0, 0, 0.0), rollout(0, 1, 1.0, prompt=({"role": "user", "content": "another?"},))]
    if form != "trl-unpaired":
        with pytest.raises(InspectorError, match="Group '0' holds answers to different prompts"):
            export(mixed, form, tmp_path / "new.parquet")
    monkeypatch.setattr("trainer.exporting._parquet", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(InspectorError, match=r"Cannot write .*: No space left"):
        export(GROUPS, form, tmp_path / "new.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["there.jsonl"]


def test_nothing_to_export(tmp_path):
    with pytest.raises(InspectorError, match="no group of the train split has right and wrong answers"):
        export(GROUPS[4:6], "trl-preference", tmp_path / "p.jsonl")
    with pytest.raises(InspectorError, match="has a completion that ends"):
        export(GROUPS[8:], "trl-unpaired", tmp_path / "p.jsonl")


def test_lone_surrogates(written):
    """A file holds no lone surrogate: it becomes a question mark, as in our own files."""
    _, _, found = written("verl", [rollout(0, 0, 1.0, text="a\ud800b")])
    assert found[0]["responses"] == ["a?b"]


def command(*words):
    return main.run(lambda: main.cli.main(["rollouts", *map(str, words)], standalone_mode=False))


def test_the_command_there_and_back(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "r.jsonl", GROUPS)
    assert command("r.jsonl", "--export", "verl", "--out", "v.parquet") == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", "4 prompts written to v.parquet.\n")
    assert command("--from", "v.parquet", "--map", "verl", "--out", "back.jsonl") == 0
    one, other = (json.loads(p.read_text().splitlines()[0]) for p in (tmp_path / "r.jsonl", tmp_path / "back.jsonl"))
    assert {k: one[k] for k in ("prompt", "completion", "reward", "solution")} == {
        k: other[k] for k in ("prompt", "completion", "reward", "solution")
    }
    assert len(digest(read_rollouts("back.jsonl"))) == 64


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("r.jsonl", "--export", "verl"), "Name what to write with --out"),
        (("r.jsonl", "--export", "verl", "--summary"), "leave out one of them"),
        (("--export", "verl", "--out", "x.jsonl"), "inspector rollouts FILE --export FORM --out OUT"),
        (("r.jsonl", "--export", "hf", "--out", "x.jsonl"), "'hf' is not one of"),
        (("r.jsonl", "--export", "verl", "--out", "x.jsonl", "--task", "gsm8k"), "stands alone"),
        (("none.jsonl", "--export", "verl", "--out", "x.jsonl"), "No such file"),
        (("r.jsonl",), "Sum it up with --summary, or --export it"),
    ],
)
def test_what_is_refused(tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "r.jsonl", GROUPS)
    assert command(*words) == 2
    assert said in capsys.readouterr().err
