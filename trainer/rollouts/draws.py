"""What is drawn from a teacher, how, and what came of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from trainer.rollouts.fields import Message


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    seed: int = 42

    def of(self, key: str, k: int) -> int:
        """The seed of completion k of a prompt known by `key`: 31 bits, which every server takes."""
        text = json.dumps([self.seed, key, k])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


@dataclass(frozen=True, slots=True)
class Draw:
    """One completion to be drawn: what the teacher is shown, and the seed of this draw."""

    messages: tuple[Message, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What came of draw `index`."""

    index: int
    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    reasoning: str = ""
