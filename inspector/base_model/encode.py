"""Problems as token ids: the same ids, at the same positions, for every adapter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from inspector.tasks.problems import Problems

TODAY = date(2024, 7, 26)
"""The date of chat templates, that which Llama 3's falls back on: with the clock's, one prompt would be other tokens on
another day, and methods that were trained, or adapters that were measured, a day apart could not be compared."""
_NOW = re.compile(r"""strftime_now\(\s*(['"])((?:(?!\1).)*)\1\s*\)""")


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one example; those from `start` on are the ones predicted."""

    ids: tuple[int, ...]
    start: int

    @property
    def targets(self) -> int:
        return len(self.ids) - self.start


def prompt_ids(tokenizer: Any, messages: Sequence[dict[str, str]]) -> list[int]:
    """The prompt up to where the answer begins: the tokenizer's chat template, or a plain one without it.

    A template that prints today's date is given `TODAY`.
    """
    if getattr(tokenizer, "chat_template", None):
        template = _dated(tokenizer.get_chat_template()) if "strftime_now" in str(tokenizer.chat_template) else None
        text = tokenizer.apply_chat_template(
            list(messages), chat_template=template, tokenize=False, add_generation_prompt=True
        )
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    names = {"user": "Question", "assistant": "Answer", "system": "Note"}
    text = "".join(f"{names[m['role']]}: {m['content']}\n\n" for m in messages)
    return list(tokenizer(f"{text}Answer:")["input_ids"])


def _dated(template: str) -> str:
    """With `TODAY` where it asks for the day: transformers lets no other clock through to a template."""
    return _NOW.sub(lambda found: f"{found[1]}{TODAY.strftime(found[2])}{found[1]}", template)


def prompts(tokenizer: Any, problems: Problems) -> list[Encoded]:
    """The prompts alone, without worked examples."""
    found = [tuple(prompt_ids(tokenizer, problems.messages(p, shots=False))) for p in problems.problems]
    return [Encoded(ids, len(ids)) for ids in found]


def answers(tokenizer: Any, problems: Problems, loss: str) -> list[Encoded]:
    r"""Prompt and target: `\boxed{gold}` for the loss `boxed`, the rollout's own text for `rollouts`."""
    found = []
    for problem in problems.problems:
        ids = prompt_ids(tokenizer, problems.messages(problem, shots=False))
        text = f"\\boxed{{{problem.answer}}}" if loss == "boxed" else problem.completion
        target = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        if loss == "rollouts" and tokenizer.eos_token_id is not None:
            target.append(tokenizer.eos_token_id)
        found.append(Encoded((*ids, *target), len(ids)))
    return found
