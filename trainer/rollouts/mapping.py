"""Rollouts of others as ours: columns by name, one row a completion. No torch.

`--map prompt=…,completion=…,reward=…,answer=…` names their columns, a dot going into a record
(`reward_model.ground_truth`). A column may hold one value a row, or a list with one value a completion. A preference
pair (`chosen=…,rejected=…`) becomes two rows in a group of their own, with the rewards 1 and 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.text import plain, some
from inspector.tasks.grading import Grader
from inspector.tasks.problems import last_boxed
from trainer.rollouts.fields import Message, RowError, reasoning
from trainer.rollouts.plan import key
from trainer.rollouts.rewards import Reward, reward
from trainer.rollouts.schema import UNKNOWN, Rollout, read_rows

FIELDS = (
    "prompt", "completion", "reward", "answer", "problem", "group", "teacher", "finish_reason", "prompt_tokens",
    "completion_tokens", "chosen", "rejected", "reasoning", "weight",
)  # fmt: skip
_PAIR = {"chosen", "rejected"}
PRESETS = {
    "open-r1": "prompt=problem,completion=generations,reward=correctness_math_verify,answer=answer",
    "verl": "prompt=prompt,completion=responses,reward=scores,answer=reward_model.ground_truth",
    "trl-preference": "prompt=prompt,chosen=chosen,rejected=rejected",
    "trl-unpaired": "prompt=prompt,completion=completion,reward=label",
}


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where rows come from and which of their columns is which of our fields."""

    path: Path
    columns: tuple[tuple[str, str], ...]
    teacher: str = ""
    split: str = "train"

    def column(self, field: str) -> str:
        """Their column for a field of `FIELDS`; empty where none is named."""
        return dict(self.columns).get(field, "")


def columns_of(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(field, column) from `prompt=question,answer=gold` or the name of a preset; later ones win."""
    found: dict[str, str] = {}
    parts = [part.strip() for text in texts for word in text.split(",") for part in PRESETS.get(word, word).split(",")]
    for part in filter(None, parts):
        field, _, column = part.partition("=")
        if field not in FIELDS or not column:
            raise InspectorError(
                f"--map {plain(part, 60)!r}: write FIELD=COLUMN with a field of {', '.join(FIELDS)}, "
                f"or {' or '.join(PRESETS)}."
            )
        found[field] = column
    pair = _PAIR & found.keys()
    needed = ("prompt", *sorted(_PAIR)) if pair else ("prompt", "completion")
    if missing := [field for field in needed if field not in found]:
        raise InspectorError(f"--map names no {' and no '.join(missing)}: as in --map prompt=question,completion=text.")
    if pair and (more := {"completion", "reward"} & found.keys()):
        raise InspectorError(f"--map names {' and '.join(sorted(more))} beside chosen and rejected, which are both.")
    if not pair and "reward" not in found and "answer" not in found:
        raise InspectorError("--map names neither reward nor answer: one of them is needed, to take or to grade.")
    return tuple(found.items())


def mapped(where: Mapped, grader: Grader) -> Iterator[Rollout]:
    """Their rows as ours; what has no reward is graded against its answer.

    Raises InspectorError naming file and row where one cannot be read so.
    """
    sizes: dict[str, int] = {}
    for number, row in read_rows(where.path):
        try:
            for rollout in _rollouts(where, row, grader):
                k = sizes[rollout.group_id] = sizes.get(rollout.group_id, -1) + 1
                id_ = f"{rollout.group_id}-{k}"
                yield Rollout.from_row(replace(rollout, id=id_, k=k, source_index=number - 1).to_row())
        except RowError as error:
            raise InspectorError(f"{plain(where.path)}, row {number}: {error}.") from error


def _rollouts(where: Mapped, row: Mapping[str, Any], grader: Grader) -> Iterator[Rollout]:
    values = {field: _value(row, column) for field, column in where.columns}
    pair = [values.pop("chosen"), values.pop("rejected")] if values.keys() >= _PAIR else []
    if pair:
        values |= {"completion": pair, "reward": [1.0, 0.0]}
    completions = _completions(values["completion"], where.column("completion"))
    prompt = _prompt(values["prompt"])
    for n, (completion, thought) in enumerate(completions):
        one = {field: _nth(value, n, len(completions), where.column(field)) for field, value in values.items()}
        answer = _answer(one.get("answer"))
        got = _reward(one.get("reward"), where.column("reward"), completion, answer, grader)
        group = _text(one.get("group"))
        yield Rollout(
            group_id=group or key(prompt, "\0".join(text for text, _ in completions) if pair else answer),
            source=plain(where.path.name), prompt=prompt,
            completion=({"role": "assistant", "content": completion},),
            problem=_text(one.get("problem")) or prompt[-1]["content"], solution=answer,
            reward=got.value, reward_status=got.status, answer_parsed=got.parsed,
            teacher=_text(one.get("teacher")) or where.teacher, finish_reason=_text(one.get("finish_reason")),
            prompt_tokens=_count(one.get("prompt_tokens")), completion_tokens=_count(one.get("completion_tokens")),
            split=where.split, reasoning=_text(one.get("reasoning")) or thought, weight=one.get("weight", 1.0),
        )  # fmt: skip


def _value(row: Mapping[str, Any], column: str) -> Any:
    """What stands in a column, a dot going into a record where no column has that very name."""
    if column in row:
        return row[column]
    found: Any = row
    for name in column.split("."):
        if not isinstance(found, Mapping) or name not in found:
            raise RowError(f"no column {plain(column, 60)!r}, but {some(list(row), 8)}")
        found = found[name]
    return found


def _nth(value: Any, n: int, size: int, column: str) -> Any:
    """The n-th of a list with one value a completion; the value itself where it is no list, or one of messages."""
    if not isinstance(value, list) or (value and isinstance(value[0], Mapping)):
        return value
    if len(value) == size:
        return value[n]
    if len(value) == 1:
        return value[0]
    raise RowError(f"{plain(column, 60)} has {len(value)} values for {size} completions")


def _completions(value: Any, column: str) -> list[tuple[str, str]]:
    """(text, reasoning) of one text, one chat, or a list of either."""
    several = value if isinstance(value, list) and not _is_chat(value) else [value]
    found = [(one, "") if isinstance(one, str) else _last(one) for one in several]
    if not found or None in found:
        raise RowError(f"{plain(column, 60)} is neither text, nor messages that end with the assistant's, nor a list")
    return [one for one in found if one is not None]


def _is_chat(value: Any) -> bool:
    return bool(value) and all(isinstance(m, Mapping) and isinstance(m.get("content"), str) for m in value)


def _last(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, list) or not _is_chat(value) or value[-1].get("role") != "assistant":
        return None
    return str(value[-1]["content"]), reasoning({}, value)


def _prompt(value: Any) -> tuple[Message, ...]:
    """Text as the user's; of a chat what comes before the last answer."""
    if isinstance(value, str) and value.strip():
        return ({"role": "user", "content": value},)
    if isinstance(value, list) and _is_chat(value):
        chat = [{"role": _text(m.get("role")) or "user", "content": m["content"]} for m in value]
        while chat and chat[-1]["role"] == "assistant":
            chat.pop()
        if chat:
            return tuple(chat)
    raise RowError("the prompt is neither text nor messages with one of the user")


def _reward(value: Any, column: str, completion: str, answer: str, grader: Grader) -> Reward:
    if value is None:
        if not answer:
            raise RowError("neither a reward nor an answer to grade by")
        return reward(grader, completion, answer)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise RowError(f"{plain(column, 60)} is no finite number ({plain(value, 40)!r})")
    return Reward(float(value), "ok", "")


def _answer(value: Any) -> str:
    r"""The gold answer; of a worked solution what follows `####`, or its last `\boxed{…}`."""
    text = _text(value)
    return text.rpartition("####")[2].strip() if "####" in text else last_boxed(text) or text


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else UNKNOWN
