"""One rollout a row: what training reads, and who sampled it how. No torch.

A row has the same keys whoever wrote it, and none is null: what is not known is -1 or empty.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self, get_args

from inspector.common.errors import InspectorError
from inspector.common.jsonl import json_rows
from inspector.common.special_files import refuse_special
from inspector.common.text import plain, some
from inspector.tasks.grading import Status
from trainer.rollouts import fields as read
from trainer.rollouts.fields import Message, RowError

SCHEMA_VERSION = 1
UNKNOWN = -1
SUFFIXES = (".jsonl", ".parquet")
TRAIN = "train"
"""The split that is learned from; rows of any other are held out."""
_STATUSES = get_args(Status)

_LATER = {"reasoning": "", "weight": 1.0}
"""Columns that files written before there were any do not have."""
_AROUND = 16
"""Tokens of an answer that no text stands for: its end, marks around its reasoning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One completion of one prompt. Counts in tokens, -1 where unknown."""

    schema_version: int = SCHEMA_VERSION
    id: str = ""
    """Prompt, gold answer, teacher, settings, seed and k, by content."""
    group_id: str
    """All completions of one prompt share it."""
    k: int = 0
    """Which of the prompt's completions, from 0."""
    source: str = ""
    source_index: int = UNKNOWN
    """Place of the problem in its source, from 0."""
    prompt: tuple[Message, ...]
    """The chat that is trained on: without the worked examples the teacher may have been shown."""
    completion: tuple[Message, ...]
    """One message of the assistant."""
    problem: str = ""
    solution: str = ""
    """The gold answer."""
    reward: float
    reward_status: Status = "ok"
    answer_parsed: str = ""
    teacher: str = ""
    temperature: float = float(UNKNOWN)
    top_p: float = float(UNKNOWN)
    max_tokens: int = UNKNOWN
    seed: int = UNKNOWN
    """Of this one draw."""
    finish_reason: str = ""
    """`stop`, or `length` where the token limit cut it."""
    prompt_tokens: int = UNKNOWN
    """By the teacher's tokenizer, worked examples included."""
    completion_tokens: int = UNKNOWN
    created: str = ""
    split: str = TRAIN
    reasoning: str = ""
    """What the teacher thought before the completion, where its server sends that apart."""
    weight: float = 1.0
    """What the row counts in the methods that weigh rows."""

    @property
    def text(self) -> str:
        """The completion alone."""
        return self.completion[0]["content"]

    @property
    def unended(self) -> bool:
        """Whether the token limit cut it: as the teacher says, or, where it does not say, by its length."""
        return self.finish_reason == "length" or (
            not self.finish_reason and 0 < self.max_tokens <= self.completion_tokens
        )

    @property
    def hidden(self) -> bool:
        """Whether the teacher counts more tokens than its text has bytes: reasoning that its server kept to itself."""
        written = len(f"{self.reasoning}{self.text}".encode(errors="replace"))
        return self.completion_tokens > written + _AROUND

    @classmethod
    def columns(cls) -> list[tuple[str, str]]:
        """(name, type) of every column, in order."""
        return [(f.name, str(f.type)) for f in fields(cls)]

    def to_row(self) -> dict[str, Any]:
        """Every field under its name, as JSON holds it."""
        row = {f.name: getattr(self, f.name) for f in fields(self)}
        return row | {name: [dict(m) for m in row[name]] for name in ("prompt", "completion")}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """A row of this schema, or of the simple form prompt / completion / reward, with answer and group if known.

        Raises RowError with what is wrong.
        """
        values = _LATER | dict(row) if "schema_version" in row else _complete(row)
        if missing := [f.name for f in fields(cls) if f.name not in values]:
            raise RowError(f"no {some(missing, 6)}")
        version = read.integer(values, "schema_version")
        if version > SCHEMA_VERSION:
            raise RowError(f"schema_version {version} is newer than {SCHEMA_VERSION}: update adapter-inspector")
        found: dict[str, Any] = {}
        for field in fields(cls):
            kind = {"int": read.integer, "float": read.number}.get(str(field.type), read.words)
            if field.name not in {"prompt", "completion"}:
                found[field.name] = kind(values, field.name)
        if found["reward_status"] not in _STATUSES:
            raise RowError(f"reward_status is none of {', '.join(_STATUSES)} ({plain(found['reward_status'], 40)!r})")
        prompt = read.messages(values["prompt"], "prompt", "user")
        return cls(prompt=prompt, completion=read.answer(values["completion"]), **found)


def read_rollouts(path: str | Path) -> list[Rollout]:
    """The rollouts of a JSONL or Parquet file, by source, place in it and k: however they came in, one order.

    Raises InspectorError naming the file, and the row where one is bad.
    """
    path = Path(path)
    found: list[Rollout] = []
    seen: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for number, row in read_rows(path):
        try:
            rollout = Rollout.from_row(row)
        except RowError as error:
            raise InspectorError(f"{plain(path)}, row {number}: {error}.") from error
        if not rollout.id:
            k = sizes[rollout.group_id] = sizes.get(rollout.group_id, -1) + 1
            rollout = replace(rollout, id=f"{rollout.group_id}-{k}", k=k)
        if (first := seen.setdefault(rollout.id, number)) != number:
            raise InspectorError(f"{plain(path)}, row {number}: it has the id of row {first}. Remove one of them.")
        found.append(rollout)
    if not found:
        raise InspectorError(f"{plain(path)} has not a row in it: sample some with `inspector rollouts`.")
    return sorted(found, key=lambda r: (r.source, r.source_index, r.k if r.source else 0))


def digest(rollouts: Sequence[Rollout]) -> str:
    """sha256 over what training sees, in this order: prompt, completion, reward, group, and whether it was cut.

    What few rows have is in it where it is there: reasoning, a weight, being held out.
    """
    total = hashlib.sha256()
    for r in rollouts:
        seen: list[Any] = [r.group_id, list(r.prompt), list(r.completion), r.reward, r.unended]
        rare = {"reasoning": r.reasoning, "weight": r.weight, "split": r.split}
        seen += [{name: value} for name, value in rare.items() if value not in {"", 1.0, TRAIN}]
        total.update(json.dumps(seen, sort_keys=True).encode())
    return total.hexdigest()


def drawn(rollouts: Sequence[Rollout]) -> dict[str, list[Any]]:
    """Of each setting of sampling every value that the rows name."""
    names = ("teacher", "source", "temperature", "top_p", "max_tokens")
    return {name: sorted({getattr(r, name) for r in rollouts} - {"", UNKNOWN}) for name in names}


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(number from 1, row) of a JSONL or Parquet file. Raises InspectorError with what to do."""
    if path.suffix.lower() not in SUFFIXES:
        raise InspectorError(f"Cannot read {plain(path)}: its name must end in {' or '.join(SUFFIXES)}.")
    refuse_special(path)
    try:
        yield from _parquet_rows(path) if path.suffix.lower() == ".parquet" else json_rows(path)
    except OSError as error:
        raise InspectorError(f"Cannot read {plain(path)}: {error.strerror or plain(error, 120)}.") from error
    except ValueError as error:  # pyarrow's errors are ValueErrors too
        raise InspectorError(f"Cannot read {plain(path)}: {plain(error, 120).rstrip('.')}.") from error


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow.parquet as pq

    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                number += 1
                yield number, row


def _complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the simple form with every key of the schema; the group is the prompt where none is named."""
    if missing := [name for name in ("prompt", "completion", "reward") if row.get(name) is None]:
        raise RowError(_wanted(row, missing))
    answer = next((row[name] for name in ("answer", "solution") if row.get(name) is not None), "")
    prompt = read.messages(row["prompt"], "prompt", "user")
    group = next((row[name] for name in ("group", "group_id") if row.get(name) is not None), None)
    named = hashlib.sha256(json.dumps([prompt, str(answer)]).encode()).hexdigest()[:16] if group is None else str(group)
    known = {f.name: f.default for f in fields(Rollout)} | {"problem": prompt[-1]["content"], "solution": str(answer)}
    given = {f: row[f] for f in ("reward", "prompt", "completion", "weight") if f in row}
    if row.get("split") is not None:
        given["split"] = row["split"]
    return known | given | {"group_id": named, "reasoning": read.reasoning(row, row["completion"])}


def _wanted(row: Mapping[str, Any], missing: Sequence[str]) -> str:
    """What a row of other columns lacks, and how one gets from there to rollouts."""
    what, columns = f"no {' and no '.join(missing)}", "prompt=…,completion=…,reward=…"
    if {"chosen", "rejected"} <= row.keys():
        what = "a preference pair"
        inside = "chosen" if isinstance(row["chosen"], list) else "…"  # of two chats: what comes before the answers
        columns = "trl-preference" if "prompt" in row else f"prompt={inside},chosen=chosen,rejected=rejected"
    elif {"completion", "label"} <= row.keys():
        columns = "trl-unpaired"
    there = f" (columns: {some(list(row), 8)})" if row else ""
    return (
        f"{what}{there}, and a rollout has prompt, completion and reward: "
        f"`inspector rollouts --from FILE --map {columns} --out rollouts.jsonl` makes rollouts of such rows"
    )
