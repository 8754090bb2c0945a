"""Problems with gold answers: from the Hub, from a JSONL or Parquet file, or the bundled sums. No torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from inspector.common.assets import problems_folder
from inspector.common.errors import InspectorError
from inspector.common.foreign import parse_json
from inspector.common.jsonl import json_rows
from inspector.common.special_files import refuse_special
from inspector.common.text import count, plain, some

INSTRUCTION = "Put the final answer in \\boxed{}."
HUB = {
    "gsm8k": ("openai/gsm8k", "main/test"),
    "gsm8k-train": ("openai/gsm8k", "main/train"),
    "deepscaler": ("agentica-org/DeepScaleR-Preview-Dataset", "deepscaler"),
    "aime24": ("HuggingFaceH4/aime_2024", "data/train"),
    "aime25": ("math-ai/aime25", "test"),
    "aime26": ("MathArena/aime_2026", "data/train"),
}
"""Name -> (dataset on the Hub, how its files begin)."""
BUNDLED = ("arithmetic", "arithmetic-train")
_TOKENS = {"arithmetic": 128, "aime24": 16_384, "aime25": 16_384, "aime26": 16_384}
_QUESTIONS = ("question", "problem", "prompt", "query", "instruction", "input")
_ANSWERS = ("answer", "final_answer", "gold", "solution", "expected_answer", "target", "output")
_COMPLETIONS = ("completion", "response", "generation")
_IDS = ("id", "unique_id", "problem_idx", "index")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `completion` is a rollout that came with it, empty where there is none."""

    id: str
    question: str
    answer: str
    completion: str = ""


@dataclass(frozen=True, slots=True)
class Problems:
    """A set of problems; `examples` are shown solved before every question."""

    name: str
    problems: tuple[Problem, ...]
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """sha256 over everything a model would be shown, in hexadecimal."""
        content = [[p.id, p.question, p.answer, p.completion] for p in self.problems]
        return hashlib.sha256(json.dumps([content, self.examples], ensure_ascii=False).encode()).hexdigest()

    def first(self, count: int) -> Problems:
        """The first `count` of them, all for 0."""
        return replace(self, problems=self.problems[:count]) if count else self

    def messages(self, problem: Problem, *, shots: bool = True) -> list[dict[str, str]]:
        """The chat up to the answer: worked examples (if asked for), then the question."""
        turns = []
        for question, answer in self.examples if shots else ():
            turns += [{"role": "user", "content": asked(question)}, {"role": "assistant", "content": answer}]
        return [*turns, {"role": "user", "content": asked(problem.question)}]


def token_limit(task: str) -> int:
    """The longest answer in tokens where the user names none: as long as the task's answers need."""
    return _TOKENS.get(task, 512)


def asked(question: str) -> str:
    """The question with the request for a boxed answer, once."""
    return question if "\\boxed" in question else f"{question} {INSTRUCTION}"


def load_problems(
    name: str, *, completions: bool = False, note: Callable[[str], None] = lambda _text: None
) -> Problems:
    """`gsm8k`, `aime26`, … from the Hub, `arithmetic` from the package, or a JSONL or Parquet file.

    A question asked twice (several rollouts of it) stands once, unless the `completions` are wanted. Rows of the
    Hub without a question or an answer, which no user can mend, are left out with a note.
    Raises InspectorError with what is missing.
    """
    if name in BUNDLED:
        return _bundled(name, completions=completions)
    path = Path(name).expanduser()
    refuse_special(path)
    if path.suffix.lower() in {".jsonl", ".parquet"} and path.is_file():
        return Problems(plain(path.name), _problems(_rows(path), path, completions=completions))
    if name in HUB:
        return Problems(name, _from_hub(name, note, completions=completions))
    if path.is_file():
        raise InspectorError(f"{plain(path.name)} is neither .jsonl nor .parquet: convert it first.")
    raise InspectorError(
        f"No problems {plain(name)!r}: name a .jsonl or .parquet file that exists, or one of "
        f"{', '.join((*BUNDLED, *HUB))}."
    )


def _bundled(name: str, *, completions: bool) -> Problems:
    """One-digit sums of 2-3 terms with one worked example, so that a small model solves some."""
    path = problems_folder() / f"{name}.jsonl"
    first, *rest = _rows(path)
    example = (str(first["question"]), str(first["completion"]))
    return Problems(name, _problems(rest, path, completions=completions), (example,))


def _from_hub(name: str, note: Callable[[str], None], *, completions: bool) -> tuple[Problem, ...]:
    """The dataset's own files, through the Hub's cache."""
    from inspector.tasks.datasets import dataset_files

    repo, start = HUB[name]
    files = dataset_files(repo, start, (".parquet", ".jsonl", ".json"))
    rows = [row for file in files for row in _rows(file)]
    whole = [row for row in rows if _text(row, _QUESTIONS) and _answer(row)]
    if len(whole) < len(rows):
        note(f"{count(len(rows) - len(whole), 'row')} of {repo} without a question or an answer: left out")
    return _problems(whole, Path(repo), completions=completions)


def _rows(path: Path) -> list[Mapping[str, Any]]:
    try:
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            rows: list[Mapping[str, Any]] = pq.read_table(path).to_pylist()
            return rows
        if path.suffix.lower() == ".json":
            return _json_array(path)
        return [row for _, row in json_rows(path)]
    except OSError as error:
        raise InspectorError(f"Cannot read {plain(path)}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InspectorError(f"{plain(path)} is not UTF-8 text: convert it first.") from error
    except ValueError as error:  # pyarrow's errors are ValueErrors too
        raise InspectorError(f"Cannot read {plain(path)}: {plain(error, 120).rstrip('.')}.") from error


def _json_array(path: Path) -> list[Mapping[str, Any]]:
    """One array of rows, as some datasets of the Hub are; lines where it is none."""
    text = path.read_text(encoding="utf-8")
    if not text.lstrip().startswith("["):
        return [row for _, row in json_rows(path)]
    rows: list[Any] = parse_json(text, float)
    if bad := next((n for n, row in enumerate(rows, 1) if not isinstance(row, dict)), 0):
        raise InspectorError(f"{plain(path)}, row {bad}: a row must be an object with named fields.")
    return rows


def _problems(rows: Sequence[Mapping[str, Any]], path: Path, *, completions: bool) -> tuple[Problem, ...]:
    """Rows as problems, by the column names people use."""
    found: dict[str, Problem] = {}
    for number, row in enumerate(rows, 1):
        question, answer = _text(row, _QUESTIONS), _answer(row)
        if not question or not answer:
            wanted = "question" if not question else "answer"
            raise InspectorError(
                f"{plain(path)}, row {number}: no {wanted} in its columns ({some(list(row), 8)}). "
                f"Name it one of {', '.join(_QUESTIONS if not question else _ANSWERS)}."
            )
        completion = _text(row, _COMPLETIONS)
        key = f"{question}\0{completion}" if completions else question
        if key not in found and (completion or not completions):
            identity = _text(row, _IDS) or f"{number}"
            found[key] = Problem(identity, question, answer, completion)
    if not found:
        what = "a completion" if completions and rows else "a row"
        raise InspectorError(f"{plain(path.name)} has not {what} in it: nothing to measure on.")
    problems = tuple(found.values())
    if len({p.id for p in problems}) < len(problems):
        problems = tuple(replace(p, id=str(n)) for n, p in enumerate(problems, 1))
    return problems


def _text(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of these columns that is there, as text; of a list of messages the last one."""
    for name in names:
        value = row.get(name)
        if isinstance(value, list) and value and isinstance(value[-1], dict):
            value = value[-1].get("content")
        if value is not None and not (isinstance(value, float) and not isfinite(value)) and str(value).strip():
            return str(value).strip()
    return ""


def _answer(row: Mapping[str, Any]) -> str:
    r"""The gold answer: what follows GSM8K's `####`, or the last `\boxed{…}` of a worked solution."""
    text = _text(row, _ANSWERS)
    if "####" in text:
        return re.sub(r"(?<=\d),(?=\d)", "", text.rpartition("####")[2].strip())
    return last_boxed(text) or text


def last_boxed(text: str) -> str:
    r"""What stands in the last complete `\boxed{…}`, braces matched; empty where there is none."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return ""
    depth = 0
    for at in range(start + 6, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start + 7 : at].strip()
    return ""
