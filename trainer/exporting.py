"""Rollouts as others read them: TRL's preference and unpaired data, verl's rows, OpenR1's groups. No torch.

What trains by itself (the two of TRL) holds what training here would read: the train split, without completions that
the token limit cut and that therefore never end. verl and OpenR1 hold every row, in one row a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.text import count, plain
from trainer.methods.rewards import pairs
from trainer.rollouts.reasoning import WRAP, joined, parts
from trainer.rollouts.row_file import check_suffix
from trainer.rollouts.schema import TRAIN, Rollout

Row = dict[str, Any]
_WRITTEN = {"wrap": "it stands in <think> tags", "keep": "it stands before the answer", "drop": "it is left out"}


def export(rollouts: Sequence[Rollout], form: str, out: Path, reasoning: str = WRAP) -> str:
    """Write the rollouts in a form of `FORMS`, complete or not at all; what was written, in words.

    A teacher's reasoning becomes part of the completion, or does not, as training with `--reasoning` would have it.
    Raises InspectorError where the file cannot be written, or nothing could be in it.
    """
    check_suffix(out)
    if out.exists():
        raise InspectorError(f"{plain(out)} exists already: name another file by --out.")
    make, noun, types = FORMS[form]
    thought = sum(bool(parts(r)[0]) for r in rollouts)
    texts = [joined(r, reasoning) for r in rollouts]
    rollouts = [
        replace(r, completion=({"role": "assistant", "content": text},))
        for r, text in zip(rollouts, texts, strict=True)
    ]
    rows = [json.loads(json.dumps(row, ensure_ascii=False).encode(errors="replace")) for row in make(rollouts)]
    if not rows:
        wanted = "right and wrong answers" if form == "trl-preference" else "a completion that ends"
        raise InspectorError(f"There is nothing to export: no group of the train split has {wanted}.")
    with replacing(out) as temporary:
        if out.suffix.lower() == ".parquet":
            _parquet(temporary, rows, types)
        else:
            text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
            temporary.write_text(text, encoding="utf-8")
    more = f"{_left_out(rollouts, form)}{_changed(rollouts, thought, reasoning)}"
    return f"{count(len(rows), noun)} written to {plain(out)}.{more}"


def preference(rollouts: Sequence[Rollout]) -> Iterator[Row]:
    """TRL's conversational preference data with an explicit prompt: one pair a mixed group, as DPO takes them here."""
    learned = _learned(rollouts)
    for right, wrong in pairs([r.reward for r in learned], [r.group_id for r in learned]):
        chosen, rejected = learned[right], learned[wrong]
        _one_prompt([chosen, rejected])
        yield {
            "prompt": list(chosen.prompt),
            "chosen": list(chosen.completion),
            "rejected": list(rejected.completion),
        }


def unpaired(rollouts: Sequence[Rollout]) -> Iterator[Row]:
    """TRL's conversational unpaired preference data: the label is whether the reward is above 0."""
    for r in _learned(rollouts):
        yield {"prompt": list(r.prompt), "completion": list(r.completion), "label": r.reward > 0}


def verl(rollouts: Sequence[Rollout]) -> Iterator[Row]:
    """verl's rows, with `responses` as its generation writes them, and `scores` beside them.

    `data_source` chooses verl's reward function; it knows few names, and needs a custom one for the others.
    """
    for index, group in enumerate(_groups(rollouts)):
        first = group[0]
        yield {
            "data_source": first.source,
            "prompt": list(first.prompt),
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": first.solution},
            "extra_info": {
                "split": first.split, "index": first.source_index if first.source_index >= 0 else index,
                "question": first.problem, "answer": first.solution, "group_id": first.group_id,
                "teacher": first.teacher,
            },
            "responses": [r.text for r in group],
            "scores": [r.reward for r in group],
        }  # fmt: skip


def open_r1(rollouts: Sequence[Rollout]) -> Iterator[Row]:
    """OpenR1-Math's columns, as far as rollouts know them.

    `problem` is what the user says in the prompt; a system message stands in `messages` alone, which hold the first
    right answer where there is one. Rewards become right or wrong.
    """
    for group in _groups(rollouts):
        first, right = group[0], [r for r in group if r.reward > 0]
        yield {
            "problem": first.prompt[-1]["content"],
            "solution": first.solution,
            "answer": first.solution,
            "source": first.source,
            "uuid": first.group_id,
            "is_reasoning_complete": [not r.unended for r in group],
            "generations": [r.text for r in group],
            "correctness_math_verify": [r.reward > 0 for r in group],
            "finish_reasons": [r.finish_reason for r in group],
            "correctness_count": len(right),
            "messages": [*first.prompt, *(right[0].completion if right else ())],
        }


_CHAT: Any = [{"role": "string", "content": "string"}]
FORMS: Mapping[str, tuple[Callable[[Sequence[Rollout]], Iterator[Row]], str, Row]] = {
    "trl-preference": (preference, "pair", {"prompt": _CHAT, "chosen": _CHAT, "rejected": _CHAT}),
    "trl-unpaired": (unpaired, "row", {"prompt": _CHAT, "completion": _CHAT, "label": "bool"}),
    "verl": (
        verl,
        "prompt",
        {
            "data_source": "string", "prompt": _CHAT, "ability": "string",
            "reward_model": {"style": "string", "ground_truth": "string"},
            "extra_info": {
                "split": "string", "index": "int64", "question": "string", "answer": "string", "group_id": "string",
                "teacher": "string",
            },
            "responses": ["string"], "scores": ["double"],
        },
    ),
    "open-r1": (
        open_r1,
        "problem",
        {
            "problem": "string", "solution": "string", "answer": "string", "source": "string", "uuid": "string",
            "is_reasoning_complete": ["bool"], "generations": ["string"], "correctness_math_verify": ["bool"],
            "finish_reasons": ["string"], "correctness_count": "int64", "messages": _CHAT,
        },
    ),
}  # fmt: skip
"""Name -> what makes the rows, what a row is, and its types: names, [an element], {fields}."""


def _learned(rollouts: Sequence[Rollout]) -> list[Rollout]:
    return [r for r in rollouts if r.split == TRAIN and not r.unended]


def _left_out(rollouts: Sequence[Rollout], form: str) -> str:
    """What a reader of the new file would not guess."""
    if form.startswith("trl"):
        gone = len(rollouts) - len(_learned(rollouts))
        return f" {count(gone, 'row')} left out: cut by the token limit, or not of the train split." if gone else ""
    if form == "open-r1" and {r.reward for r in rollouts} - {0.0, 1.0}:
        return " Rewards other than 0 and 1 became right (above 0) or wrong."
    return ""


def _changed(rollouts: Sequence[Rollout], thought: int, reasoning: str) -> str:
    told = f" {count(thought, 'row')} with a teacher's reasoning: {_WRITTEN[reasoning]}." if thought else ""
    weighted = sum(r.weight != 1 for r in rollouts)
    return told + (f" The weights of {count(weighted, 'row')} are left out." if weighted else "")


def _groups(rollouts: Sequence[Rollout]) -> list[list[Rollout]]:
    """The completions of each prompt, in the order in which the prompts come."""
    found: dict[str, list[Rollout]] = {}
    for r in rollouts:
        found.setdefault(r.group_id, []).append(r)
    for group in found.values():
        _one_prompt(group)
    return list(found.values())


def _one_prompt(group: Sequence[Rollout]) -> None:
    if any(r.prompt != group[0].prompt for r in group):
        raise InspectorError(f"Group {plain(group[0].group_id, 40)!r} holds answers to different prompts.")


def _parquet(path: Path, rows: Sequence[Row], types: Row) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, _type(kind)) for name, kind in types.items()])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")


def _type(kind: Any) -> Any:
    """Arrow's type of a description in `FORMS`."""
    import pyarrow as pa

    if isinstance(kind, list):
        return pa.list_(_type(kind[0]))
    if isinstance(kind, dict):
        return pa.struct([(name, _type(inner)) for name, inner in kind.items()])
    return pa.type_for_alias(kind)
