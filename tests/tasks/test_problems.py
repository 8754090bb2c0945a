"""Problems under the column names people use, from files, the Hub and the package."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inspector.common.errors import InspectorError
from inspector.tasks.problems import INSTRUCTION, last_boxed, load_problems
from tests.hub_server import Fault, HubServer

GSM8K = [
    {"question": "Tom has 2 apples and buys 3. How many?", "answer": "2+3=<<2+3=5>>5\n#### 5"},
    {"question": "How much are 1000 and 234?", "answer": "#### 1,234"},
]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as server:
        server.patch(monkeypatch, tmp_path / "home")
        yield server


def published(hub, tmp_path, repo, file, rows):
    path = tmp_path / "data" / file
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    (tmp_path / "data" / "README.md").write_text("words")
    return hub.add(repo, tmp_path / "data")


def test_gsm8k_from_the_hub_then_from_its_cache(hub, tmp_path):
    published(hub, tmp_path, "openai/gsm8k", "main/test-00000-of-00001.parquet", GSM8K)
    found = load_problems("gsm8k")
    assert [(p.question, p.answer) for p in found.problems] == [
        ("Tom has 2 apples and buys 3. How many?", "5"),
        ("How much are 1000 and 234?", "1234"),
    ]
    hub.faults.append(Fault("api", status=503))
    assert load_problems("gsm8k").digest == found.digest


def test_of_the_files_of_a_dataset_only_those_of_the_split_are_read(hub, tmp_path):
    """From the Hub, and from the cache in which the other split lies beside it."""
    repo = published(hub, tmp_path, "openai/gsm8k", "main/test-00000-of-00001.parquet", GSM8K)
    pq.write_table(pa.Table.from_pylist(GSM8K[1:]), tmp_path / "data" / "train.parquet")
    repo.files["main/train-00000-of-00001.parquet"] = (tmp_path / "data" / "train.parquet").read_bytes()
    repo.files["main/test.md"] = b"words"
    found = [len(load_problems(name).problems) for name in ("gsm8k-train", "gsm8k")]
    hub.faults.append(Fault("api", status=503))
    assert [len(load_problems(name).problems) for name in ("gsm8k-train", "gsm8k")] == found == [1, 2]


def test_aime_has_its_own_columns(hub, tmp_path):
    rows = [{"problem_idx": n, "problem": f"Find {n}.", "answer": 100 + n} for n in (7, 3)]
    published(hub, tmp_path, "MathArena/aime_2026", "data/train-00000-of-00001.parquet", rows)
    found = load_problems("aime26").problems
    assert [(p.id, p.question, p.answer) for p in found] == [("7", "Find 7.", "107"), ("3", "Find 3.", "103")]


def test_deepscaler_is_one_array_and_its_bad_rows_are_said(hub, tmp_path):
    rows = [{"problem": f"Find {n}.", "answer": answer, "solution": "…"} for n, answer in enumerate(("1", "2", ""))]
    path = tmp_path / "data" / "deepscaler.json"
    path.parent.mkdir()
    path.write_text(json.dumps([*rows[:2], rows[2] | {"solution": ""}]))
    hub.add("agentica-org/DeepScaleR-Preview-Dataset", path.parent)
    notes = []
    found = load_problems("deepscaler", note=notes.append).problems
    assert [(p.question, p.answer) for p in found] == [("Find 0.", "1"), ("Find 1.", "2")]
    assert notes == ["1 row of agentica-org/DeepScaleR-Preview-Dataset without a question or an answer: left out"]


def test_a_hub_that_cannot_be_reached_is_a_sentence(hub):
    with pytest.raises(InspectorError, match="openai/gsm8k"):
        load_problems("gsm8k")


def test_a_dataset_without_its_file(hub, tmp_path):
    published(hub, tmp_path, "openai/gsm8k", "socratic/test.parquet", GSM8K)
    with pytest.raises(InspectorError, match=r"no main/test\* file any more"):
        load_problems("gsm8k")


def test_what_is_trained_on_is_not_what_is_tested_on():
    trained, tested = (
        {p.question for p in load_problems(name).problems} for name in ("arithmetic-train", "arithmetic")
    )
    assert not trained & tested


@pytest.mark.parametrize(("name", "size"), [("arithmetic", 200), ("arithmetic-train", 600)])
def test_the_bundled_sums_work_offline_and_have_right_answers(name, size):
    found = load_problems(name)
    assert len(found.problems) == size
    for problem in found.problems:
        terms = problem.question.removeprefix("What is ").partition("?")[0].split()
        total = int(terms[0])
        for sign, term in zip(terms[1::2], terms[2::2], strict=True):
            total += int(term) if sign == "+" else -int(term)
        assert str(total) == problem.answer
    (example,) = found.examples
    assert example[0] not in {p.question for p in found.problems}


def test_worked_examples_come_first_and_only_when_asked_for():
    found = load_problems("arithmetic")
    roles = [turn["role"] for turn in found.messages(found.problems[0])]
    assert roles == ["user", "assistant", "user"]
    assert len(found.messages(found.problems[0], shots=False)) == 1


def test_the_request_for_a_box_stands_once(tmp_path):
    path = jsonl(
        tmp_path / "a.jsonl", [{"question": "1+1?", "answer": "2"}, {"question": "In \\boxed{}: 2?", "answer": "2"}]
    )
    found = load_problems(str(path))
    assert [found.messages(p)[0]["content"] for p in found.problems] == [f"1+1? {INSTRUCTION}", "In \\boxed{}: 2?"]


def test_rollouts_are_problems_once_and_completions_all(tmp_path):
    rows = [
        {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}],
         "completion": [{"role": "assistant", "content": text}], "answer": "2"}
        for text in ("2", "it is 2", "2")
    ]  # fmt: skip
    path = str(jsonl(tmp_path / "r.jsonl", rows))
    assert [p.question for p in load_problems(path).problems] == ["1+1?"]
    assert [p.completion for p in load_problems(path, completions=True).problems] == ["2", "it is 2"]


def test_rows_whose_ids_are_not_their_own_are_numbered(tmp_path):
    rows = [{"id": "7", "question": question, "answer": "2"} for question in ("1+1?", "1+1?", "3-1?")]
    found = load_problems(str(jsonl(tmp_path / "a.jsonl", rows))).problems
    assert [(p.id, p.question) for p in found] == [("1", "1+1?"), ("2", "3-1?")]


def test_the_answer_is_the_last_box_of_a_solution(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", [{"problem": "?", "solution": "so \\boxed{1} and \\boxed{\\frac{1}{2}}."}])
    assert load_problems(str(path)).problems[0].answer == "\\frac{1}{2}"
    assert last_boxed("\\boxed{open") == ""


def test_the_digest_follows_the_content(tmp_path):
    one = load_problems(str(jsonl(tmp_path / "a.jsonl", GSM8K)))
    pq.write_table(pa.Table.from_pylist(GSM8K), tmp_path / "b.PARQUET")
    same = load_problems(str(tmp_path / "b.PARQUET"))
    other = load_problems(str(jsonl(tmp_path / "c.jsonl", GSM8K[:1])))
    assert one.digest == same.digest != other.digest
    assert one.first(1).digest == other.digest
    greek = load_problems(str(jsonl(tmp_path / "d.jsonl", [{"question": "α?", "answer": "β"}])))
    assert greek.digest.startswith("6c75bb81")  # as files hold it


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"question": "1", "answer": "2"}\n{oops', "row 2: no JSON"),
        ("[1, 2]\n", "row 1: a row must be an object"),
        ('{"text": "1", "answer": "2"}\n', r"row 1: no question in its columns \(text, answer\)"),
        ('{"question": "1", "label": "2"}\n', r"row 1: no answer .*Name it one of answer"),
        ("", "has not a row in it"),
    ],
)
def test_bad_rows_are_named(tmp_path, content, said):
    path = tmp_path / "ba\u202ed.jsonl"
    path.write_text(content)
    with pytest.raises(InspectorError, match=f"bad.jsonl.* {said}") as error:
        load_problems(str(path))
    assert str(error.value).isprintable()


def test_the_mark_some_editors_begin_a_file_with_is_no_part_of_it(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"question": "1 + 1", "answer": "2"}\r\n', encoding="utf-8-sig")
    assert [p.answer for p in load_problems(str(tmp_path / "p.jsonl")).problems] == ["2"]


def test_bad_files(tmp_path):
    for name, content, said in (
        ("a\u202e.parquet", b"PAR1 not really", r"Cannot read .*a\.parquet"),
        ("b\u202e.jsonl", b"\xff\xfe\x00", r"b\.jsonl, row 1: no UTF-8"),
        ("c\u202e.json", b"[5]", r"c\.json is neither \.jsonl nor \.parquet"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InspectorError, match=said) as error:
            load_problems(str(tmp_path / name))
        assert str(error.value).isprintable()
    with pytest.raises(InspectorError, match=r"No problems 'gsm9k': name a \.jsonl .* gsm8k"):
        load_problems("gsm9k")
    path = jsonl(tmp_path / "c.jsonl", [{"question": "1", "answer": "2"}])
    with pytest.raises(InspectorError, match="has not a completion in it"):
        load_problems(str(path), completions=True)
