"""What is seen of a training: one line on a terminal, plain lines elsewhere, and log.jsonl with every step."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from inspector.common.console import StatusLine, say
from inspector.common.files import replacing
from inspector.common.foreign import parse_json
from inspector.common.text import duration
from inspector.common.validate import typed

_ENDS = 10
_KEPT = ("loss", "grad_norm", "learning_rate", "tokens", "nll_up", "nll_down", "negatives", "vanished", "runaway",
         "rewards/accuracies", "rewards/margins", "kl", "right", "groups_drawn", "groups_learned",
         "completions/mean_length", "completions/clipped_ratio", "entropy", "clip_ratio/region_mean")  # fmt: skip
EVALUATED = {
    "nll_right": "right answers {:.4f} nats a token", "nll_wrong": "wrong ones {:.4f}", "accuracy": "{:.1%} solved",
}  # fmt: skip
"""What is measured at checkpoints, and in which words it is shown."""


class TrainingLog(TrainerCallback):
    """Loss, tokens a second, remaining time; every step's numbers to log.jsonl, and the seconds of all sessions."""

    before = 0.0
    """Seconds of the sessions before this one."""

    def __init__(self, name: str, log: Path, seconds: Path) -> None:
        self._name, self._path, self._seconds = name, log, seconds
        self._start, self._line = time.monotonic(), StatusLine(at_once=True)
        self._first = self._tokens = 0
        self._seen = 0

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        """Cut the log to where the training goes on."""
        self._start, self._first = time.monotonic(), state.global_step
        self._seen = int(state.num_input_tokens_seen)  # TRL's count goes on after a resumption
        if state.is_world_process_zero:
            self.before = _number_in(self._seconds) if state.global_step else 0.0
            before = read_log(self._path) if state.global_step else []
            kept = [line for line in before if line["step"] <= state.global_step]
            self._path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def on_log(
        self,
        args: Any,  # noqa: ARG002 - the signature is transformers'
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """One line."""
        if not state.is_world_process_zero or logs is None:
            return
        if found := {name: logs[f"eval_{name}"] for name in EVALUATED if f"eval_{name}" in logs}:
            self._write({"step": state.global_step, **found})
            text = ", ".join(EVALUATED[name].format(value) for name, value in found.items())
            say(f"{self._name}: step {state.global_step}, held out: {text}.")
        if "loss" not in logs:
            return
        # TRL's trainers count the tokens since they began, ours those of the step.
        whole = int(logs.get("num_tokens", self._seen))
        step_tokens = int(logs["tokens"]) if "tokens" in logs else whole - self._seen
        self._seen, self._tokens = whole, self._tokens + step_tokens
        line = {key: logs[key] for key in _KEPT if key in logs and math.isfinite(logs[key])}
        self._write({"step": state.global_step, **line, "tokens": step_tokens})
        with replacing(self._seconds) as temporary:
            temporary.write_text(f"{self.before + time.monotonic() - self._start:.1f}\n", encoding="utf-8")
        self._show(state, logs, last=control.should_training_stop or state.global_step == state.max_steps)

    def _write(self, line: Mapping[str, float]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _show(self, state: TrainerState, logs: Mapping[str, float], *, last: bool) -> None:
        spent = max(time.monotonic() - self._start, 1e-9)
        left = (state.max_steps - state.global_step) * spent / max(state.global_step - self._first, 1)
        self._line.show(
            f"{self._name}: step {state.global_step} of {state.max_steps}, loss {logs['loss']:.4f}, "
            + (f"{logs['right']:.0%} right, " if "right" in logs else "")
            + f"{self._tokens / spent:,.0f} tokens/s, {duration(left)} left",
            last=last,
        )


def _number_in(path: Path) -> float:
    """0 if there is none."""
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


def read_log(path: Path) -> list[dict[str, float]]:
    """The steps in log.jsonl; a last line cut by a kill is left out."""
    found = []
    if path.is_file():
        for text in path.read_bytes().splitlines():
            try:
                found.append(typed(dict, parse_json(text, float)))
            except ValueError:
                break
    return found


def evaluations(log: list[dict[str, float]]) -> list[dict[str, float]]:
    """The lines of what was measured, one a checkpoint, the first before training."""
    return [line for line in log if line.keys() & EVALUATED.keys()]


def best(log: list[dict[str, float]], metric: str) -> tuple[int, float]:
    """(step, value) of the checkpoint of the highest accuracy, or the lowest NLL; the first of equal ones."""
    found = [(int(line["step"]), line[metric]) for line in log if line["step"] and metric in line]
    return min(found, key=lambda at: (-at[1] if metric == "accuracy" else at[1], at[0]))


def diagnostics(log: list[dict[str, float]]) -> dict[str, float]:
    """Of a log: negatives seen and vanished, steps in which the loss ran away, groups drawn and learned from.

    `right_first` and `right_last` are the mean share of right answers among the first and last `_ENDS` steps' draws,
    `clipped` that of completions cut by the limit among all of them.
    """
    found = {}
    for key in ("negatives", "vanished", "runaway", "groups_drawn", "groups_learned"):
        if any(key in line for line in log):
            found[key] = sum(line.get(key, 0.0) for line in log)
    if right := [line["right"] for line in log if "right" in line]:
        first, last = right[:_ENDS], right[-_ENDS:]
        found |= {"right_first": sum(first) / len(first), "right_last": sum(last) / len(last)}
    if clipped := [line["completions/clipped_ratio"] for line in log if "completions/clipped_ratio" in line]:
        found["clipped"] = sum(clipped) / len(clipped)
    return found
