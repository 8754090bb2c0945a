"""Rollouts made up for tests."""

import json
from dataclasses import replace

from inspector.tasks.problems import Problem, Problems
from trainer.rollouts.rows import Rows, learned
from trainer.rollouts.schema import Rollout
from trainer.rollouts.tokens import tokenised

QUESTIONS = Problems(
    "sums", tuple(Problem(f"p{n}", f"{n} + 1 = ?", f"{n + 1}") for n in range(6)), (("0 + 0 = ?", "0"),)
)


def rollout(group=0, k=0, reward=1.0, text="", **more):
    """Completion k of question `group`."""
    values = {
        "id": f"{group}-{k}", "group_id": str(group), "k": k, "source": "sums", "source_index": group,
        "prompt": ({"role": "user", "content": f"{group} + 1 = ?"},),
        "completion": ({"role": "assistant", "content": text or f"try {k}"},),
        "problem": f"{group} + 1 = ?", "solution": str(group + 1), "reward": reward, "teacher": "t",
        "temperature": 1.0, "top_p": 1.0, "max_tokens": 8, "seed": 7, "finish_reason": "stop", "prompt_tokens": 10,
        "completion_tokens": 3 + k, "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Rollout(**values | more)


def jsonl(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def undated(rollouts):
    """All but when."""
    return [replace(r, created="") for r in rollouts]


def rows_of(rollouts, tokenizer, max_length, cut="drop", reasoning="wrap") -> Rows:
    """What the methods read of them."""
    return learned(tokenised(rollouts, tokenizer, reasoning), max_length, cut)


def lists(column):
    """Token ids, as plain numbers, of every example."""
    return [list(map(int, ids)) for ids in column]
