"""What a reasoning teacher thought before its answer, and what of it is learned. No torch.

Servers with a parser send it apart (`reasoning_content`); without one, and from a model that runs here, it begins the
text, up to `</think>`.
"""

from __future__ import annotations

from trainer.rollouts.schema import Rollout

_OPEN, _CLOSE = "<think>", "</think>"
LEARNED = {
    "wrap": "learned in <think> tags before its answer",
    "keep": "learned as text before its answer",
    "drop": "not learned, its answer alone is",
}
"""What becomes of the reasoning, the default first."""
WRAP = next(iter(LEARNED))


def parts(rollout: Rollout) -> tuple[str, str]:
    """(reasoning, answer); no reasoning is empty."""
    if rollout.reasoning:
        return rollout.reasoning, rollout.text
    before, tag, after = rollout.text.partition(_CLOSE)
    return (before.strip().removeprefix(_OPEN).strip(), after.lstrip()) if tag else ("", rollout.text)


def joined(rollout: Rollout, how: str, *, opened: bool = False) -> str:
    """The completion as it is learned, by a key of `LEARNED`; `opened`: the prompt ends with `<think>` already."""
    reasoning, answer = parts(rollout)
    if not reasoning:
        return rollout.text
    if how == "drop":
        return answer
    if how == "keep":
        return f"{reasoning.strip()}\n\n{answer}"
    if not rollout.reasoning:  # it has its tags
        return rollout.text
    tag = "" if opened else f"{_OPEN}\n"
    return f"{tag}{reasoning.strip()}\n{_CLOSE}\n\n{answer.lstrip()}"


def opens(prompt: str) -> bool:
    """Whether a chat template has begun the reasoning: the model goes on after `<think>`."""
    return prompt.rstrip().endswith(_OPEN)
